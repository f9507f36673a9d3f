/* SPDX-License-Identifier: BSD-2-Clause */
/* The library as the processor: step after step, each request answered as it comes. */
#include "backend.h"

#include <stdio.h>

bool finish_instruction(struct machine *machine, struct x86emu *emu, struct x86emu_vcpu *vcpu, load_state *load,
                        void *opaque)
{
    enum x86emu_status status;

    do {
        status = x86emu_step(emu, vcpu);
        while (status == X86EMU_REQUEST) {
            if (emu->request.kind != X86EMU_REQUEST_STATE)
                machine_answer(machine, emu, vcpu);
            else if (load != NULL && load(opaque, vcpu, emu->request.state))
                emu->request.answer = X86EMU_ANSWER_OK;
            else
                return false;
            status = x86emu_complete(emu, vcpu);
        }
    } while (status == X86EMU_RETIRED && emu->outcome.repeats);
    machine->by_library++;
    if (status != X86EMU_RETIRED)
        machine_report(emu, vcpu, status);
    return status == X86EMU_RETIRED;
}

enum run_end run_interpreter(struct machine *machine, unsigned ring)
{
    /* The guest needs some ten thousand instructions; one that never ends has gone wrong. */
    const unsigned long limit = 10000000;
    struct x86emu_vcpu vcpu;
    struct x86emu emu;

    machine_initial_vcpu(&vcpu, ring);
    machine_init_emulator(machine, &emu);
    while (!machine->devices.exited) {
        if (!finish_instruction(machine, &emu, &vcpu, NULL, NULL))
            return RUN_FAILED;
        if (machine->by_library == limit) {
            printf("the guest doesn't end\n");
            return RUN_FAILED;
        }
    }
    return RUN_EXITED;
}
