# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# What the build checks share: where the repository is, and how a check fails or is skipped.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
failures=0

fail() {
    printf 'FAIL: %s\n' "$*"
    failures=$((failures + 1))
}

# ctest shows 77 as skipped.
skip() {
    printf 'skipped: %s\n' "$*"
    exit 77
}

need_tool() {
    command -v "$1" >/dev/null || skip "$1 is not installed"
}

# Ends a check.
finish() {
    ((failures == 0)) || {
        printf '%d failed\n' "$failures"
        exit 1
    }
    printf 'ok\n'
}

# Every C file of the library.
library_sources() {
    find "$root/src" -name '*.c' | sort
}
