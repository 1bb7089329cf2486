#!/usr/bin/env bash
# Builds the seven programs of the test cluster, from the Go modules pinned beside this file, into .cluster/bin.
#
# Takes names of programs (default: all), and CLUSTER_BIN, another target folder. A second run takes no time; the first
# takes about ten minutes on two cores.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../../.." && pwd -P)
bin=${CLUSTER_BIN:-$root/.cluster/bin}

# The server tells clients its version, and some features of theirs depend on it; unset it would be v0.0.0.
kubernetes=v1.37.2
kubernetes_flags="-s -w -X k8s.io/component-base/version.gitVersion=$kubernetes -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37"

# name, module, package, linker flags
programs=(
    "etcd|etcd|go.etcd.io/etcd/server/v3|-s -w"
    "kwok|kwok|sigs.k8s.io/kwok/cmd/kwok|-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=v0.8.0"
    "kwokctl|kwok|sigs.k8s.io/kwok/cmd/kwokctl|-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=v0.8.0"
    "kubectl|kubernetes|k8s.io/kubernetes/cmd/kubectl|$kubernetes_flags"
    "kube-scheduler|kubernetes|k8s.io/kubernetes/cmd/kube-scheduler|$kubernetes_flags"
    "kube-controller-manager|kubernetes|k8s.io/kubernetes/cmd/kube-controller-manager|$kubernetes_flags"
    "kube-apiserver|kubernetes|k8s.io/kubernetes/cmd/kube-apiserver|$kubernetes_flags"
)

# shellcheck source=../go-build.sh
source "$here/../go-build.sh"
grep -q "k8s.io/kubernetes $kubernetes " "$here/kubernetes/go.mod" ||
    fail "kubernetes/go.mod does not pin $kubernetes; correct the version in this script"
build_programs 'control plane' "$here" "$bin" "$*" "${programs[@]}"
