#!/usr/bin/env bash
# Gets jobrequest, and runs `jobrequest validate -o github`.
#
# Takes REPOSITORY, REF (what the action is used by), VERSION, PATHS, TEMPLATES and ARGS, as action.yml describes its inputs; ends with the exit code
# of validate. A program of a release is run only if its checksum is the published one.
set -euo pipefail

# Sets program to that of a release. Never called in $(...) or before ||, where bash would not stop at an error.
download() {
    local arch archive tag=$1 dir=${RUNNER_TEMP:-/tmp}/jobrequest
    case ${RUNNER_OS:-$(uname -s)} in
        Linux) ;;
        *) echo "::error title=jobrequest validate::releases have programs for Linux only; put jobrequest on the PATH" >&2; exit 2 ;;
    esac
    case ${RUNNER_ARCH:-$(uname -m)} in
        X64 | x86_64) arch=amd64 ;;
        ARM64 | aarch64) arch=arm64 ;;
        *) echo "::error title=jobrequest validate::releases have no program for this architecture; put jobrequest on the PATH" >&2; exit 2 ;;
    esac
    archive=jobrequest-linux-$arch.tar.gz
    rm -rf "$dir"
    mkdir -p "$dir"
    # Without a tag: the latest release.
    gh release download ${tag:+"$tag"} --repo "$REPOSITORY" --dir "$dir" --pattern "$archive" --pattern SHA256SUMS >&2
    # Fails also when the list does not have the archive.
    (cd "$dir" && exec sha256sum --check --strict --ignore-missing SHA256SUMS >&2)
    tar -xzf "$dir/$archive" -C "$dir" jobrequest
    program=$dir/jobrequest
}

if [[ -z ${VERSION:-} ]] && command -v jobrequest >/dev/null; then
    program=jobrequest
else
    tag=${VERSION:-}
    # A branch or a commit is no release.
    [[ -n $tag || ! ${REF:-} =~ ^v[0-9]+\.[0-9]+\.[0-9]+ ]] || tag=$REF
    download "$tag"
fi

arguments=(validate -o github -R)
while IFS= read -r path; do
    [[ -z $path ]] || arguments+=(--filename="$path")
done <<<"${PATHS:-.}"
while IFS= read -r path; do
    [[ -z $path ]] || arguments+=(--templates="$path")
done <<<"${TEMPLATES:-}"
read -r -a more <<<"$(tr '\n' ' ' <<<"${ARGS:-}")"
exec "$program" "${arguments[@]}" "${more[@]}"
