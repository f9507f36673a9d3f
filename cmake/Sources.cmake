# SPDX-License-Identifier: BSD-2-Clause
# Which files make up the library.
file(GLOB X86EMU_SOURCES CONFIGURE_DEPENDS
    "${PROJECT_SOURCE_DIR}/src/*/*.c" "${PROJECT_SOURCE_DIR}/src/*/generated/*.c")
