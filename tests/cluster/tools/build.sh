#!/usr/bin/env bash
# Builds the programs that the tests of the chart and of GitOps use, from the Go modules pinned beside this file, into
# .cluster/bin: Helm 3, Helm 4 and kubeconform; kstatus and argo-lua, whose sources are here; and Flux's
# kustomize-controller, with its CRD in .cluster/bin/kustomizations.yaml.
#
# Takes names of programs (default: all), and CLUSTER_BIN, another target folder. All but the last pin the Kubernetes libraries of the control plane, so that Go compiles
# those once for all: after control-plane/build.sh they take about a minute, the last another three, the second time none.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../../.." && pwd -P)
bin=${CLUSTER_BIN:-$root/.cluster/bin}

# name, module, package, linker flags
programs=(
    "helm3|helm|helm.sh/helm/v3/cmd/helm|-s -w -X helm.sh/helm/v3/internal/version.version=v3.22.0"
    "helm4|helm|helm.sh/helm/v4/cmd/helm|-s -w -X helm.sh/helm/v4/internal/version.version=v4.3.1"
    "kubeconform|helm|github.com/yannh/kubeconform/cmd/kubeconform|-s -w"
    "argo-lua|argo-lua|.|-s -w"
    "kstatus|kstatus|.|-s -w"
    "kustomize-controller|kustomize-controller|github.com/fluxcd/kustomize-controller|-s -w"
)

# shellcheck source=../go-build.sh
source "$here/../go-build.sh"
build_programs tools "$here" "$bin" "$*" "${programs[@]}"
[[ $# -eq 0 || " $* " == *' kustomize-controller '* ]] || exit 0
crds=$(cd "$here/kustomize-controller" && GOWORK=off go list -m -f '{{.Dir}}' github.com/fluxcd/kustomize-controller)/config/crd/bases
install -m 644 "$crds/kustomize.toolkit.fluxcd.io_kustomizations.yaml" "$bin/kustomizations.yaml"
