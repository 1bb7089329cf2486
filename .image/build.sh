#!/usr/bin/env bash
# Builds the operator's image without a container engine: target/jobrequest-image.tar, an OCI image layout in an archive.
# `make image` calls it. Read by `podman load`, `docker load` (25 or newer), `skopeo copy oci-archive:...`, `crane push`.
#
# Takes .image/Containerfile for labels, user and entry point; IMAGE_BINARY, a static binary to pack instead of building
# one; IMAGE_ARCH, its architecture (default: this machine's); IMAGE_SOURCE, where the sources are. Ends with the sizes, and fails above 10 MiB
# for the archive and 20 MiB for the binary.
# The same sources make the same bytes: files are dated by the commit (or SOURCE_DATE_EPOCH).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

image_limit=$((10 * 1024 * 1024)) binary_limit=$((20 * 1024 * 1024))
fail() { echo "image: $*" >&2; exit 1; }

[[ $(uname -s) == Linux ]] || fail 'the image holds a Linux binary; build it on Linux'
case ${IMAGE_ARCH:-$(uname -m)} in
    x86_64 | amd64) arch=amd64 target=x86_64-unknown-linux-gnu ;;
    aarch64 | arm64) arch=arm64 target=aarch64-unknown-linux-gnu ;;
    *) fail "no image for ${IMAGE_ARCH:-$(uname -m)}" ;;
esac

binary=${IMAGE_BINARY:-}
if [[ -z $binary ]]; then
    # With --target, so that the flags do not reach build scripts and procedural macros, which cannot be static. In a
    # static binary getrandom does not find libc's function and would read /dev/urandom, a file: so the system call.
    RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\"" \
        ${CARGO:-cargo} build --release --locked --target "$target"
    binary=${CARGO_TARGET_DIR:-target}/$target/release/jobrequest
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)

mkdir -p "target/image/$arch"
[[ $binary -ef target/image/$arch/jobrequest ]] || install -m 755 "$binary" "target/image/$arch/jobrequest"

work=$(mktemp -d target/image/.work.XXXXXX)
trap 'rm -rf "$work"' EXIT
layout=$work/layout
mkdir -p "$layout/blobs/sha256" "$work/root"
pack() { tar --sort=name --format=gnu --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -cf - -C "$@"; }
sha256() { sha256sum "$1" | cut -d ' ' -f 1; }
# Files a blob under its digest; leaves its descriptor's digest and size in `digest` and `size`.
blob() {
    digest=$(sha256 "$1") size=$(stat -c %s "$1")
    mv "$1" "$layout/blobs/sha256/$digest"
}

install -m 755 "target/image/$arch/jobrequest" "$work/root/jobrequest"
install -m 644 LICENSE "$work/root/LICENSE"
pack "$work/root" LICENSE jobrequest >"$work/layer.tar"
diff_id=$(sha256 "$work/layer.tar")
gzip -n -9 "$work/layer.tar"
blob "$work/layer.tar.gz"
layer="{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:$digest\",\"size\":$size}"

# What the Containerfile says, as JSON. Its values hold neither quotes nor backslashes.
labels=$(sed -n 's/^LABEL \([^=]*\)=\(".*"\)$/"\1":\2/p' .image/Containerfile | paste -s -d ,)
labels=${labels//"\${VERSION}"/$version}
labels=${labels//"\${REVISION}"/$revision}
labels=${labels//"\${SOURCE}"/${IMAGE_SOURCE:-unknown}}
user=$(sed -n 's/^USER //p' .image/Containerfile)
entrypoint=$(sed -n 's/^ENTRYPOINT //p' .image/Containerfile)
printf '%s' "{\"created\":\"$created\",\"architecture\":\"$arch\",\"os\":\"linux\",\"config\":{\"User\":\"$user\",\"Entrypoint\":$entrypoint,\"Labels\":{$labels}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$diff_id\"]},\"history\":[{\"created\":\"$created\",\"created_by\":\".image/build.sh\"}]}" >"$work/config.json"
blob "$work/config.json"
config="{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:$digest\",\"size\":$size}"

printf '%s' "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":$config,\"layers\":[$layer],\"annotations\":{$labels,\"org.opencontainers.image.created\":\"$created\"}}" >"$work/manifest.json"
blob "$work/manifest.json"
printf '%s' "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:$digest\",\"size\":$size,\"platform\":{\"architecture\":\"$arch\",\"os\":\"linux\"},\"annotations\":{\"org.opencontainers.image.ref.name\":\"$version\",\"io.containerd.image.name\":\"jobrequest:$version\"}}]}" >"$layout/index.json"
printf '%s' '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
pack "$layout" blobs index.json oci-layout >"$work/image.tar"
mv "$work/image.tar" target/jobrequest-image.tar

mib() { awk -v bytes="$1" 'BEGIN { printf "%.1f MiB", bytes / 1048576 }'; }
image_size=$(stat -c %s target/jobrequest-image.tar) binary_size=$(stat -c %s "target/image/$arch/jobrequest")
echo "image: target/jobrequest-image.tar: $(mib "$image_size") compressed, binary $(mib "$binary_size"), linux/$arch, sha256:$digest"
((image_size < image_limit && binary_size < binary_limit)) ||
    fail "larger than $(mib $image_limit), or its binary than $(mib $binary_limit)"
