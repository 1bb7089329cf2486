#!/usr/bin/env bash
# A Kubernetes control plane on this machine, with simulated nodes: `cluster.sh up`, `cluster.sh down`.
# An outage of it: `cluster.sh api-down` kills its API server, `cluster.sh api-up` starts it again.
#
# Takes the binaries which control-plane/build.sh made, the pod behaviour in stages/, and these options:
#   --dir DIR       where everything of this cluster is kept         (default .cluster)
#   --bin DIR       where the binaries are                           (default .cluster/bin)
#   --nodes N       how many nodes of 8 CPUs, 32 GiB and 110 pods    (default 5)
#   --enforce-owner-references   switch on the admission plugin OwnerReferencesPermissionEnforcement
#   --keep          `down` leaves DIR/state, that is all logs, behind
# Leaves behind DIR/kubeconfig, DIR/audit.log and DIR/state; everything listens on 127.0.0.1, on free ports.
# `up` on a running cluster changes nothing; on the remains of a crashed one it cleans up first.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }

command=${1:-}
shift || true
dir=$root/.cluster bin=$root/.cluster/bin nodes=5 enforce='' keep=''
while (($#)); do
    case $1 in
        --dir) dir=${2:?--dir needs a folder}; shift 2 ;;
        --bin) bin=${2:?--bin needs a folder}; shift 2 ;;
        --nodes) nodes=${2:?--nodes needs a number}; shift 2 ;;
        --enforce-owner-references) enforce=1; shift ;;
        --keep) keep=1; shift ;;
        *) echo "cluster.sh: unknown option $1" >&2; usage ;;
    esac
done
[[ $nodes =~ ^[0-9]+$ ]] || { echo "cluster.sh: --nodes $nodes is not a number" >&2; exit 2; }

mkdir -p "$dir"
dir=$(cd "$dir" && pwd -P)
state=$dir/state

# Neither a proxy nor a trust store of this machine has a say in how local processes talk to each other.
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy SSL_CERT_FILE SSL_CERT_DIR KUBECONFIG

# The processes of this cluster, and of no other: each has a path below $state/ among its arguments.
# Pid files would miss what a killed `up` had started and not yet noted.
pids() {
    local programs=${1:-etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kwok-controller|kwokctl}
    ps -axww -o pid=,command= | awk -v state="$state/" -v self="$$" -v programs="/($programs)\$" '
        $1 != self && index($0, state) && $2 ~ programs { print $1 }'
}

down() {
    local pid tries
    for pid in $(pids); do
        # The state is thrown away, so there is nothing to shut down in order.
        kill -KILL "$pid" 2>/dev/null || true
    done
    for ((tries = 0; tries < 100; tries++)); do
        [[ -z $(pids) ]] && break
        sleep 0.1
    done
    rm -f "$dir/kubeconfig"
    [[ -n $keep ]] || rm -rf "$state" "$dir/audit.log"
}

# Two kwokctl that look for free ports at once find the same ones, also from two checkouts of one user. Only who starts a
# cluster holds the lock: the processes it leaves behind do not inherit it.
one_at_a_time=()
if command -v flock >/dev/null; then
    one_at_a_time=(flock --close "${TMPDIR:-/tmp}/jobrequest-cluster-ports.$UID.lock")
fi

kwokctl() {
    # kwokctl prefers a kubectl on the PATH to the one it is told of.
    PATH=$bin:$PATH KWOK_WORKDIR=$state/kwok ${one_at_a_time[@]+"${one_at_a_time[@]}"} "$bin/kwokctl" "$@" --name jobrequest >>"$state/kwokctl.log" 2>&1
}

kubectl() { "$bin/kubectl" --kubeconfig "$dir/kubeconfig" "$@"; }

# A line `#include FILE` becomes the lines of that file, indented as the line was.
expand() {
    awk -v from="$here/stages/" '
        /^ *#include / {
            indent = $0; sub(/#.*/, "", indent)
            while ((getline line < (from $2)) > 0) print (line == "" ? "" : indent line)
            close(from $2); next
        }
        { print }' "$1"
}

configuration() {
    cat <<YAML
apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokctlConfiguration
options:
  runtime: binary
  bindAddress: 127.0.0.1
  components: [etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok-controller]
  etcdBinary: $bin/etcd
  kubeApiserverBinary: $bin/kube-apiserver
  kubeControllerManagerBinary: $bin/kube-controller-manager
  kubeSchedulerBinary: $bin/kube-scheduler
  kwokControllerBinary: $bin/kwok
  kubectlBinary: $bin/kubectl
  # Objects of these kinds say which file is the log of a container.
  enableCRDs: [Logs, ClusterLogs]
componentsPatches:
- name: etcd
  extraArgs:
  # The state does not outlive the machine's uptime.
  - {key: unsafe-no-fsync, value: "true"}
- name: kube-apiserver
  extraArgs:
  - {key: audit-policy-file, value: "$here/audit-policy.yaml"}
  - {key: audit-log-path, value: "$dir/audit.log"}
  # A request is in the log when its answer is sent, and the log is never rotated: so it can be counted.
  - {key: audit-log-mode, value: blocking}
  - {key: audit-log-maxsize, value: "100000"}
  # Where kwok serves logs for all nodes.
  - {key: kubelet-preferred-address-types, value: ExternalIP}
${enforce:+  - {key: enable-admission-plugins, value: OwnerReferencesPermissionEnforcement\}}
- name: kube-controller-manager
  extraArgs:
  # There is no other to elect; without elections it outlives an outage of the API server.
  - {key: leader-elect, value: "false"}
  # As in a real cluster: each controller acts with the rights of its own account, not as an administrator.
  - {key: use-service-account-credentials, value: "true"}
  # By default the Job controller may make 20 calls a second, which would be what a load test measures.
  - {key: kube-api-qps, value: "1000"}
  - {key: kube-api-burst, value: "2000"}
  - {key: concurrent-job-syncs, value: "20"}
- name: kube-scheduler
  extraArgs:
  - {key: leader-elect, value: "false"}
---
apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  cidr: 10.0.0.0/8
  # Logs are among them.
  enableDebuggingHandlers: true
  nodeLeaseParallelism: 4
  nodePlayStageParallelism: 4
  podPlayStageParallelism: 16
YAML
    local file
    for file in "$here"/stages/*.yaml; do
        echo ---
        expand "$file"
    done
}

node_list() {
    local i
    for ((i = 1; i <= nodes; i++)); do
        cat <<YAML
---
apiVersion: v1
kind: Node
metadata:
  name: node-$i
  annotations: {kwok.x-k8s.io/node: fake, node.alpha.kubernetes.io/ttl: "0"}
  labels:
    kubernetes.io/hostname: node-$i
    kubernetes.io/os: linux
    kubernetes.io/arch: amd64
    topology.kubernetes.io/zone: zone-$((i % 3 + 1))
status:
  addresses:
  - {type: InternalIP, address: 10.88.$((i / 250)).$((i % 250 + 1))}
  - {type: ExternalIP, address: 127.0.0.1}
  - {type: Hostname, address: node-$i}
  nodeInfo: {kubeletVersion: v1.37.2, containerRuntimeVersion: containerd://2.3.7, architecture: amd64, operatingSystem: linux}
  allocatable: {cpu: "7800m", memory: 31Gi, ephemeral-storage: 90Gi, pods: "110"}
  capacity: {cpu: "8", memory: 32Gi, ephemeral-storage: 100Gi, pods: "110"}
YAML
    done
}

up() {
    local name
    for name in etcd kube-apiserver kube-controller-manager kube-scheduler kwok kwokctl kubectl; do
        [[ -x $bin/$name ]] || { echo "cluster.sh: $bin/$name is missing: run \`make cluster-bin\`" >&2; exit 1; }
    done
    if [[ -s $dir/kubeconfig && $(pids | wc -l) -eq 5 ]] && kubectl get --raw /readyz >/dev/null 2>&1; then
        echo "cluster is up: export KUBECONFIG=$dir/kubeconfig"
        return
    fi
    keep='' down
    # Whatever interrupts this leaves no process behind.
    trap 'keep=1 down; exit 130' INT TERM
    trap 'keep=1 down; echo "cluster.sh: the cluster did not start; its logs are in $state" >&2' EXIT
    mkdir -p "$state"
    configuration >"$state/configuration.yaml"
    if ! kwokctl create cluster --config "$state/configuration.yaml" --kubeconfig "$dir/kubeconfig" --wait 120s; then
        tail -n 20 "$state/kwokctl.log" >&2
        exit 1
    fi
    {
        node_list | kubectl create -f -
        kubectl wait --for=condition=Ready nodes --all --timeout=60s
        # Pods need their namespace's account, which a controller makes a moment after the namespace.
        kubectl wait --for=create serviceaccount/default --timeout=60s
    } >>"$state/kwokctl.log" 2>&1
    trap - EXIT INT TERM
    echo "cluster is up: export KUBECONFIG=$dir/kubeconfig"
}

api_down() {
    local pid
    for pid in $(pids kube-apiserver); do
        kill -KILL "$pid"
    done
    while [[ -n $(pids kube-apiserver) ]]; do sleep 0.1; done
    # Until somebody has reaped the process, kwokctl would take it for a running one.
    rm -f "$state/kwok/clusters/jobrequest/pids/kube-apiserver.pid"
}

api_up() {
    if ! kwokctl start cluster --wait 60s; then
        tail -n 20 "$state/kwokctl.log" >&2
        exit 1
    fi
}

case $command in
    up) up ;;
    down) down; echo "cluster is down" ;;
    api-down) api_down ;;
    api-up) api_up ;;
    *) usage ;;
esac
