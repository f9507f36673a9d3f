/* SPDX-License-Identifier: BSD-2-Clause */
/* Links the guest image into the program. */
    .section .rodata
    .globl demo_image, demo_image_end
    .p2align 12
demo_image:
    .incbin DEMO_IMAGE
demo_image_end:
    .section .note.GNU-stack, "", @progbits
