#!/usr/bin/env bash
# Everything that has to be green: format, lints, tests, in this order. `make test` calls it.
#
# The programs of the test cluster, and the image, build beside cargo's other work; what they print is kept in
# .cluster/build.log and .cluster/image.log, and shown when one fails. Ends with the `test result:` lines of cargo.
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

background=()
# shellcheck disable=SC2086 # each is a word of its own, and there may be none
trap 'kill ${background[*]-} 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM

# LOG COMMAND...: one after the other, at low priority; a signal ends the one that is running, with all that it started.
build_beside() {
    local log=$1
    shift
    (
        set -m # each command leads a process group
        trap 'kill -- "-$!" 2>/dev/null; exit 143' TERM
        for command in "$@"; do
            nice "$command" &
            wait "$!"
        done
    ) >"$log" 2>&1 &
    background+=("$!")
}

# WHAT LOG PID: shows how far it is, until it is built.
wait_for() {
    local what=$1 log=$2 pid=$3 said=$SECONDS
    headline "$what"
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.5
        if ((SECONDS - said >= 20)); then
            said=$SECONDS
            tail -n 1 "$log"
        fi
    done
    if ! wait "$pid"; then
        tail -n 30 "$log" >&2
        echo "make test: the build of the $what failed; all of its output is in $log" >&2
        exit 1
    fi
    tail -n 2 "$log"
}

mkdir -p .cluster
build_beside .cluster/build.log tests/cluster/{control-plane,tools}/build.sh
cluster=$!

headline 'format'
cargo fmt --all -- --check

headline 'lints'
cargo clippy --all-targets -- -D warnings
# What published builds leave out.
cargo clippy --features otel --lib --bins --test traces -- -D warnings

# A static binary is a Linux one. What is wrong with the sources, the lints have said by now.
image=''
if [[ $(uname -s) == Linux ]]; then
    build_beside .cluster/image.log .image/build.sh
    image=$!
fi

headline 'tests are built'
cargo test --no-run

wait_for 'test cluster' .cluster/build.log "$cluster"
if [[ $image ]]; then
    wait_for 'image' .cluster/image.log "$image"
fi
background=()

headline 'tests'
printf 'everything before the tests took %s s\n' "$SECONDS"
began=$SECONDS
code=0
cargo test 2>&1 || code=$?
# On stderr, so that the results of cargo stay the last lines of the output proper.
printf '== tests took %s s, all together %s s\n' "$((SECONDS - began))" "$SECONDS" >&2
exit "$code"
