# SPDX-License-Identifier: BSD-2-Clause
# Which files make up the library.
list(APPEND X86EMU_SOURCES
    src/decode/careful.c
    src/decode/decode.c
    src/decode/format.c
    src/decode/forms.c
    src/decode/generated/names.c
    src/decode/generated/tables.c
    src/decode/operand.c
    src/decode/rules.c
    src/exec/alu.c
    src/exec/batch.c
    src/exec/bit.c
    src/exec/bounds.c
    src/exec/branch.c
    src/exec/effect.c
    src/exec/exchange.c
    src/exec/fetch.c
    src/exec/flagops.c
    src/exec/generated/dispatch.c
    src/exec/locate.c
    src/exec/memory.c
    src/exec/move.c
    src/exec/multiply.c
    src/exec/operand.c
    src/exec/port.c
    src/exec/ram.c
    src/exec/request.c
    src/exec/rotate.c
    src/exec/segment.c
    src/exec/shift.c
    src/exec/stack.c
    src/exec/state.c
    src/exec/step.c
    src/exec/string.c
    src/exec/translate.c
    src/mmu/region.c
    src/mmu/walk.c
)
list(TRANSFORM X86EMU_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/")
