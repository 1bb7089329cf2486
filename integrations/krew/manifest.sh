#!/usr/bin/env bash
# The manifest by which krew installs `kubectl jobrequest`, for the archives of a release.
#   manifest.sh v1.2.3 OWNER/REPOSITORY SHA256SUMS
# takes the version, the repository that has the release, and a file of `sha256sum`; prints the manifest.
set -euo pipefail

version=${1:?the version, such as v1.2.3} repository=${2:?OWNER/REPOSITORY} sums=${3:?a file of sha256sum}
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+([-+].+)?$ ]] || { echo "manifest.sh: $version is not a version such as v1.2.3" >&2; exit 2; }

cat <<EOF
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: jobrequest
spec:
  version: $version
  homepage: https://github.com/$repository
  shortDescription: Create, run, follow and explain JobRequests
  description: |
    Jobs that survive GitOps. Creates JobRequests, runs them and follows each
    run to its end with dependable exit codes, shows logs across retries, says
    why a run failed, reruns and cancels, and checks files before they are
    pushed. Converts Jobs and CronJobs.
  caveats: |
    The cluster needs the operator: see the homepage. What works on files,
    such as validate, render and convert, needs no cluster.
  platforms:
EOF
count=0
while read -r sum file; do
    file=${file#\*}
    [[ $file =~ ^jobrequest-(linux|darwin)-(amd64|arm64)\.tar\.gz$ ]] || continue
    count=$((count + 1))
    cat <<EOF
  - selector: {matchLabels: {os: ${BASH_REMATCH[1]}, arch: ${BASH_REMATCH[2]}}}
    uri: https://github.com/$repository/releases/download/$version/$file
    sha256: $sum
    bin: jobrequest
    files:
    - {from: jobrequest, to: .}
    - {from: LICENSE, to: .}
EOF
done <"$sums"
((count)) || { echo "manifest.sh: $sums names no archive of a platform" >&2; exit 1; }
