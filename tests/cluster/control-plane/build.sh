#!/usr/bin/env bash
# Builds the seven programs of the test cluster, from the Go modules pinned beside this file, into .cluster/bin.
#
# Takes an optional target folder. A module whose pins and Go version did not change since its last build is
# skipped, so a second run takes no time; the first takes about ten minutes on two cores.
# A program appears under its name only when it is complete, so this can be interrupted at any time.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../../.." && pwd -P)
bin=${1:-$root/.cluster/bin}
minimum=1.26.0

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

fail() { echo "control-plane/build.sh: $*" >&2; exit 1; }

command -v go >/dev/null || fail "\`go' is not on the PATH; Go $minimum or newer builds the test cluster (https://go.dev/dl/)"
version=$(go env GOVERSION)
version=${version#go}
[[ $(printf '%s\n%s\n' "$minimum" "${version%% *}" | sort -V | head -n 1) == "$minimum" ]] ||
    fail "Go $version is too old; the test cluster needs $minimum or newer (https://go.dev/dl/)"
grep -q "k8s.io/kubernetes $kubernetes " "$here/kubernetes/go.mod" ||
    fail "kubernetes/go.mod does not pin $kubernetes; correct the version in this script"

mkdir -p "$bin"
bin=$(cd "$bin" && pwd -P)
stamps=$bin/.stamps
mkdir -p "$stamps"

checksum() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

child='' temporary=''
cleanup() {
    [[ -z $child ]] || kill "$child" 2>/dev/null || true
    [[ -z $temporary ]] || rm -f "$temporary"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

n=0
for program in "${programs[@]}"; do
    IFS='|' read -r name module package flags <<<"$program"
    n=$((n + 1))
    stamp=$( { cat "$here/$module/go.mod" "$here/$module/go.sum"; echo "$version $flags"; } | checksum)
    if [[ -x $bin/$name && $(cat "$stamps/$name" 2>/dev/null) == "$stamp" ]]; then
        continue
    fi
    temporary=$bin/.$name.$$
    began=$SECONDS said=$SECONDS
    echo "[$n/${#programs[@]}] building $name"
    # The pins are read from go.mod, so nothing of a workspace or of flags around this may change them.
    (cd "$here/$module" && exec env CGO_ENABLED=0 GOWORK=off GOFLAGS=-buildvcs=false \
        go build -ldflags "$flags" -o "$temporary" "$package") &
    child=$!
    while kill -0 "$child" 2>/dev/null; do
        sleep 0.2
        if ((SECONDS - said >= 20)); then
            said=$SECONDS
            echo "[$n/${#programs[@]}] building $name: $((SECONDS - began)) s so far, $SECONDS s in all"
        fi
    done
    wait "$child" || { child=''; fail "$name did not build"; }
    child=''
    mv -f "$temporary" "$bin/$name"
    temporary=''
    printf '%s\n' "$stamp" >"$stamps/$name"
    echo "[$n/${#programs[@]}] built $name in $((SECONDS - began)) s"
done
echo "control plane: ${#programs[@]} programs are current in $bin ($SECONDS s)"
