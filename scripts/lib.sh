# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# shellcheck disable=SC2034 # variables are used by the scripts that source this file
# What the scripts share: packages, the build folder, steps with their times, and a common end.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
quick=0
program=scripts/$(basename "$0")

# Debian packages by purpose.
packages_build=(gcc libc6-dev cmake ninja-build pkg-config binutils python3)
packages_test=(g++ clang libclang-rt-14-dev llvm-14 libcriterion-dev clang-format mandoc shellcheck)
packages_compare=(libzydis-dev libcapstone-dev)
packages_models=(qemu-system-x86 bochs bochs-term bochsbios vgabios bsdutils)
packages_bench=(valgrind libunicorn-dev libllvm14)

die() {
    printf '%s: %s\n' "$program" "$*" >&2
    exit 1
}

note() {
    printf '%s: %s\n' "$program" "$*"
}

# Called for an argument that a script does not know.
bad_argument() {
    printf '%s: unknown argument: %s (see %s --help)\n' "$program" "$1" "$program" >&2
    exit 2
}

# need_packages NAMES...: installs those that are missing, if there are any and we may.
need_packages() {
    local name missing=()
    for name in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    ((EUID == 0)) || die "these Debian packages are missing: ${missing[*]} (as root: apt-get install ${missing[*]})"
    note "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q -o Dpkg::Use-Pty=0 update >/dev/null || die "apt-get update failed"
    apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" >/dev/null ||
        die "apt-get install failed: ${missing[*]}"
}

# Where everything built goes: build/ in the repository; in the user's cache when that is not ours to write.
find_build_folder() {
    build=${X86EMU_BUILD:-$root/build}
    if [[ -n ${X86EMU_BUILD:-} ]] || { mkdir -p "$build" && [[ -z $(find "$build" -maxdepth 2 ! -writable -print -quit) ]]; } 2>/dev/null; then
        mkdir -p "$build"
        return
    fi
    build=${XDG_CACHE_HOME:-${HOME:-}/.cache}/x86emu-$(cksum <<<"$root" | cut -d ' ' -f 1)
    mkdir -p "$build" 2>/dev/null || {
        build=${TMPDIR:-/tmp}/x86emu-$EUID-$(cksum <<<"$root" | cut -d ' ' -f 1)
        mkdir -p "$build"
    }
    note "build/ is not writable, building in $build"
}

# build_preset PRESET [TARGETS...]: configures and builds; prints only what went wrong.
build_preset() {
    local preset=$1 folder=$build/$1 log=$build/$1.log
    shift
    (cd "$root" && cmake --preset "$preset" -B "$folder") >"$log" 2>&1 || {
        cat "$log"
        return 1
    }
    if ! cmake --build "$folder" ${1:+--target "$@"} >"$log" 2>&1; then
        grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking|Re-)' "$log" || cat "$log"
        return 1
    fi
}

# step TITLE COMMAND...: runs one step and prints its time. A failed step is remembered; the next ones still run.
failed_steps=()
step() {
    local title=$1 start=$SECONDS
    shift
    printf '== %s\n' "$title"
    if "$@"; then
        printf '== %s: ok (%d s)\n' "$title" $((SECONDS - start))
    else
        printf '== %s: FAILED (%d s)\n' "$title" $((SECONDS - start))
        failed_steps+=("$title")
        return 1
    fi
}

# programs_in FOLDER: the names of the programs there: FOLDER/NAME.c or FOLDER/NAME/*.c
programs_in() {
    find "$root/$1" -mindepth 1 -maxdepth 2 -name '*.c' 2>/dev/null | sed -e "s|^$root/$1/||" -e 's|/.*||' -e 's|\.c$||' | sort -u
}

# run_programs KIND FOLDER PRESET ARGUMENTS...: builds and runs x86emu-KIND-NAME for the NAME given, or all of them.
run_programs() {
    local kind=$1 folder=$2 preset=$3 name names
    shift 3
    mapfile -t names < <(programs_in "$folder")
    ((${#names[@]})) || die "there is nothing in $folder yet"
    if [[ ${1:-} != -* && -n ${1:-} ]]; then
        [[ " ${names[*]} " == *" $1 "* ]] || bad_argument "$1"
        names=("$1")
        shift
    fi
    find_build_folder
    build_preset "$preset" "${names[@]/#/x86emu-$kind-}" || die "the build failed"
    for name in "${names[@]}"; do
        "$build/$preset/$folder/x86emu-$kind-$name" "$@" || failed_steps+=("$name")
    done
    ((${#failed_steps[@]} == 0)) || die "failed: ${failed_steps[*]}"
}
