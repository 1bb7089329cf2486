#!/usr/bin/env bash
# `make demo`: builds what it uses, starts a cluster with simulated nodes, runs the operator, applies examples and
# shows what becomes of them. Stops what it started when it ends; KEEP=1 leaves cluster and operator running.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dir=.cluster/demo
mkdir -p "$dir"
say() { printf '\n== %s\n' "$1"; }

build_log=$dir/build.log
controller=
clean_up() {
    if [[ -n ${KEEP:-} && -n $controller ]]; then
        say 'KEEP=1: cluster and operator keep running'
        echo "  reach it:   export KUBECONFIG=$PWD/$dir/kubeconfig; alias kubectl=$PWD/.cluster/bin/kubectl"
        echo "  stop it:    kill $controller; tests/cluster/cluster.sh down --dir $dir"
        return
    fi
    [[ -z $controller ]] || { kill "$controller" 2>/dev/null; wait "$controller" 2>/dev/null; } || true
    tests/cluster/cluster.sh down --dir "$dir" >/dev/null 2>&1 || true
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say 'the test cluster and the operator are built (12 to 30 minutes once, then seconds)'
(
    trap 'kill "$!" 2>/dev/null; exit 143' TERM
    nice tests/cluster/control-plane/build.sh &
    wait "$!"
    # Of the tools, what the demo uses.
    nice tests/cluster/tools/build.sh helm4 &
    wait "$!"
) >"$build_log" 2>&1 &
control_plane=$!
cargo build
while kill -0 "$control_plane" 2>/dev/null; do
    tail -n 1 "$build_log"
    for ((i = 0; i < 20; i++)); do kill -0 "$control_plane" 2>/dev/null && sleep 1; done
done
wait "$control_plane" || { tail -n 30 "$build_log" >&2; echo "demo: the test cluster did not build; see $build_log" >&2; exit 1; }

say 'a cluster with five simulated nodes starts'
tests/cluster/cluster.sh up --dir "$dir"
export KUBECONFIG=$PWD/$dir/kubeconfig
kubectl=.cluster/bin/kubectl
jobrequest=target/debug/jobrequest

helm=(.cluster/bin/helm4 --namespace jobrequest-system)
export HELM_CACHE_HOME=$PWD/$dir/helm HELM_CONFIG_HOME=$PWD/$dir/helm HELM_DATA_HOME=$PWD/$dir/helm
say 'helm install jobrequest charts/jobrequest --namespace jobrequest-system --create-namespace'
# Simulated nodes run no program: no pod, and the operator runs here, with the account that the chart gave it.
"${helm[@]}" install jobrequest charts/jobrequest --create-namespace --set replicas=0 >"$dir/helm.log"
"$kubectl" wait --for=condition=Established crd/jobrequests.jobrequest.dev --timeout=30s >/dev/null
token=$("$kubectl" create token jobrequest --namespace jobrequest-system --duration=24h)
account=$dir/operator.kubeconfig
"$kubectl" config view --raw --minify --flatten >"$account"
"$kubectl" --kubeconfig "$account" config unset users >/dev/null
user=$("$kubectl" --kubeconfig "$account" config view --output 'jsonpath={.contexts[0].context.user}')
"$kubectl" --kubeconfig "$account" config set-credentials "$user" --token "$token" >/dev/null
"$kubectl" --kubeconfig "$account" config set-context --current --namespace jobrequest-system >/dev/null

say "jobrequest controller   (with the chart's account; log: $dir/controller.log)"
KUBECONFIG=$account "$jobrequest" controller >"$dir/controller.log" 2>&1 &
controller=$!

examples=(-f examples/job-demo.yaml -f examples/everything.yaml -f examples/demo)
say "kubectl apply ${examples[*]}"
"$kubectl" apply "${examples[@]}"

say 'what becomes of them'
# Fixed columns, so that a row which did not change looks the same.
table() {
    "$kubectl" get jobrequests -o 'jsonpath={range .items[*]}{.metadata.name}{"|"}{.status.phase}{"|"}{.status.completions}{"|"}{.status.reason}{"|"}{.status.duration}{"|"}{.spec.alias}{"\n"}{end}' 2>/dev/null |
        awk -F'|' 'BEGIN { f = "%-18s %-10s %-12s %-21s %-9s %s\n"; printf f, "NAME", "PHASE", "COMPLETIONS", "REASON", "DURATION", "ALIAS" }
                   { printf f, $1, $2, $3, $4, $5, $6 }'
}
shown='' lines=0 ended=0
# Bounded: whatever happens, the demo ends.
for ((tick = 0; tick < 240; tick++)); do
    kill -0 "$controller" 2>/dev/null || { tail -n 20 "$dir/controller.log" >&2; echo 'demo: the operator stopped' >&2; exit 1; }
    now=$(table)
    if [[ $now != "$shown" ]]; then
        if [[ -t 1 ]]; then
            ((lines == 0)) || printf '\033[%dA\033[J' "$lines"
            printf '%s\n' "$now"
            lines=$(wc -l <<<"$now")
        elif [[ -z $shown ]]; then
            printf '%s\n' "$now"
        else
            diff <(printf '%s\n' "$shown") <(printf '%s\n' "$now") | sed -n 's/^> //p' || true
        fi
        shown=$now
    fi
    ended=$(grep -cE ' (Completed|Failed) |ImagePullFailed' <<<"$now" || true)
    ((ended == 5)) && break
    sleep 0.5
done
((ended == 5)) || { echo "demo: not all examples got where they should; see $dir/controller.log" >&2; exit 1; }

say 'why, in words'
"$kubectl" get jobrequests -o 'jsonpath={range .items[*]}{.metadata.name}{": "}{.status.conditions[?(@.type=="Ready")].message}{"\n"}{end}'

say 'try next'
cat <<'TEXT'
  KEEP=1 make demo                     leaves all of this running
  kubectl get jr -o wide               aliases and Jobs
  kubectl edit jr job-demo             change the image: run 2 starts, run 1 stays in status.runs
  kubectl get jr job-demo -o yaml      conditions and records
TEXT
