#!/usr/bin/env bash
# Everything that has to be green: format, lints, tests, in this order. `make test` calls it.
#
# The programs of the test cluster build beside cargo, at low priority; their output is kept in
# .cluster/build.log, and shown when it fails. Ends with the `test result:` lines of cargo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=()
command -v cargo >/dev/null || missing+=("cargo (Rust 1.91 or newer, https://rustup.rs)")
command -v go >/dev/null || missing+=("go (1.26 or newer, https://go.dev/dl/)")
if command -v cargo >/dev/null; then
    cargo fmt --version >/dev/null 2>&1 || missing+=("rustfmt (rustup component add rustfmt)")
    cargo clippy --version >/dev/null 2>&1 || missing+=("clippy (rustup component add clippy)")
fi
if ((${#missing[@]})); then
    printf 'make test: missing: %s\n' "${missing[@]}" >&2
    exit 1
fi

headline() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

mkdir -p .cluster
log=.cluster/build.log
(
    trap 'kill "$!" 2>/dev/null; exit 143' TERM
    for programs in control-plane tools; do
        nice "tests/cluster/$programs/build.sh" &
        wait "$!"
    done
) >"$log" 2>&1 &
control_plane=$!
trap 'kill "$control_plane" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM

headline 'format'
cargo fmt --all -- --check

headline 'lints'
cargo clippy --all-targets -- -D warnings
# What published builds leave out.
cargo clippy --features otel --lib --bins --test traces -- -D warnings

headline 'tests are built'
cargo test --no-run

# A static binary is a Linux one.
if [[ $(uname -s) == Linux ]]; then
    headline 'the image is built'
    .image/build.sh
fi

headline 'test cluster'
said=$SECONDS
while kill -0 "$control_plane" 2>/dev/null; do
    sleep 0.5
    if ((SECONDS - said >= 20)); then
        said=$SECONDS
        tail -n 1 "$log"
    fi
done
if ! wait "$control_plane"; then
    tail -n 30 "$log" >&2
    echo "make test: the test cluster did not build; all of its output is in $log" >&2
    exit 1
fi
trap - EXIT
tail -n 2 "$log"

headline 'tests'
printf 'everything before the tests took %s s\n' "$SECONDS"
began=$SECONDS
code=0
cargo test 2>&1 || code=$?
# On stderr, so that the results of cargo stay the last lines of the output proper.
printf '== tests took %s s, all together %s s\n' "$((SECONDS - began))" "$SECONDS" >&2
exit "$code"
