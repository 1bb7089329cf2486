# shellcheck shell=bash
# Sourced by the build scripts of the test cluster: builds programs from Go modules that pin them.
#
# build_programs TITLE MODULES BIN NAMES PROGRAM...   MODULES is the folder of the modules, BIN where the programs go,
# NAMES which of them are built (separated by spaces; empty: all), and a PROGRAM is `name|module|package|linker flags`.
# A program whose module's files, flags and Go version did not change
# since its last build is skipped. One appears under its name only when it is complete, so this can be interrupted at
# any time.

minimum=1.26.0

fail() { echo "${BASH_SOURCE[-1]##*/}: $*" >&2; exit 1; }

checksum() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

child='' temporary=''
clean_up() {
    [[ -z $child ]] || kill "$child" 2>/dev/null || true
    [[ -z $temporary ]] || rm -f "$temporary"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

build_programs() {
    local title=$1 modules=$2 bin=$3 names=$4 version n=0 program name module package flags stamps stamp began said
    shift 4
    if [[ $names ]]; then
        local all=("$@") known=" ${*%%|*} " chosen=()
        for name in $names; do
            [[ $known == *" $name "* ]] || fail "there is no program $name; there are:$known"
        done
        for program in "${all[@]}"; do
            [[ " $names " != *" ${program%%|*} "* ]] || chosen+=("$program")
        done
        set -- "${chosen[@]}"
    fi
    command -v go >/dev/null || fail "\`go' is not on the PATH; Go $minimum or newer builds the test cluster (https://go.dev/dl/)"
    version=$(go env GOVERSION)
    version=${version#go}
    [[ $(printf '%s\n%s\n' "$minimum" "${version%% *}" | sort -V | head -n 1) == "$minimum" ]] ||
        fail "Go $version is too old; the test cluster needs $minimum or newer (https://go.dev/dl/)"

    mkdir -p "$bin"
    bin=$(cd "$bin" && pwd -P)
    stamps=$bin/.stamps
    mkdir -p "$stamps"
    for program; do
        IFS='|' read -r name module package flags <<<"$program"
        n=$((n + 1))
        # Some modules are ours, with sources.
        stamp=$( { cat "$modules/$module"/go.{mod,sum} $(compgen -G "$modules/$module/*.go"); echo "$version $flags"; } | checksum)
        if [[ -x $bin/$name && $(cat "$stamps/$name" 2>/dev/null) == "$stamp" ]]; then
            continue
        fi
        temporary=$bin/.$name.$$
        began=$SECONDS said=$SECONDS
        echo "[$n/$#] building $name"
        # The pins are read from go.mod, so nothing of a workspace or of flags around this may change them.
        (cd "$modules/$module" && exec env CGO_ENABLED=0 GOWORK=off GOFLAGS=-buildvcs=false \
            go build -ldflags "$flags" -o "$temporary" "$package") &
        child=$!
        while kill -0 "$child" 2>/dev/null; do
            sleep 0.2
            if ((SECONDS - said >= 20)); then
                said=$SECONDS
                echo "[$n/$#] building $name: $((SECONDS - began)) s so far, $SECONDS s in all"
            fi
        done
        wait "$child" || { child=''; fail "$name did not build"; }
        child=''
        mv -f "$temporary" "$bin/$name"
        temporary=''
        printf '%s\n' "$stamp" >"$stamps/$name"
        echo "[$n/$#] built $name in $((SECONDS - began)) s"
    done
    echo "$title: $# programs are current in $bin ($SECONDS s)"
}
