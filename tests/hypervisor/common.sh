# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# The small guest on the hypervisor. HYPERVISOR and GUEST are set by ctest.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${HYPERVISOR:?the hypervisor to test}" "${GUEST:?the guest to run}"
work=$(mktemp -d)
children=()

clean_up() {
    local child
    for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

skip() {
    printf 'skipped: %s\n' "$*"
    exit 77
}

need_kvm() {
    [[ -r /dev/kvm && -w /dev/kvm ]] || skip "/dev/kvm can't be used here"
}

# guest JOB ARGUMENTS...: runs it; the output is in $work/output.
guest() {
    local job=$1
    shift
    "$HYPERVISOR" --kernel "$GUEST" --memory 64 --append "job=$job" --seconds 60 "$@" >"$work/output" 2>&1 || {
        cat "$work/output"
        ! grep -q '^memory page by page: userfaultfd' "$work/output" || skip "the host has no userfaultfd for us"
        fail "the guest did not power off"
    }
}

# check_job JOB [ROUNDS]: the console has what the model says.
check_job() {
    local line
    while read -r line; do
        grep -qxF -- "$line" "$work/output" || {
            cat "$work/output"
            fail "missing: $line"
        }
    done < <("$here/model.py" "$@" && echo 'guest: done')
}
