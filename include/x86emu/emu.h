/* SPDX-License-Identifier: BSD-2-Clause */
/* Emulation, one instruction at a time: step, request, answer, complete. */
#ifndef X86EMU_EMU_H
#define X86EMU_EMU_H

#include <x86emu/cache.h>
#include <x86emu/insn.h>
#include <x86emu/paging.h>
#include <x86emu/region.h>
#include <x86emu/types.h>
#include <x86emu/vcpu.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most data one request carries, in bytes: a batch of string elements, or the widest vector register. */
#define X86EMU_REQUEST_DATA 512

/* What the library asks for. docs/requests.md tells for each kind who fills what. */
enum x86emu_request_kind {
    X86EMU_REQUEST_NONE = 0,
    X86EMU_REQUEST_FETCH = 1,        /* instruction bytes at gpa */
    X86EMU_REQUEST_READ = 2,         /* memory at gpa */
    X86EMU_REQUEST_WRITE = 3,        /* memory at gpa */
    X86EMU_REQUEST_RMW = 4,          /* memory at gpa: what was read, and what to replace it with */
    X86EMU_REQUEST_ENTRY_READ = 5,   /* page-table entry at gpa */
    X86EMU_REQUEST_ENTRY_UPDATE = 6, /* page-table entry at gpa: accessed and dirty bits, by compare-exchange */
    X86EMU_REQUEST_TRANSLATE = 7,    /* guest-virtual to guest-physical; only with X86EMU_OPTION_TRANSLATE */
    X86EMU_REQUEST_STATE = 8,        /* groups of vCPU state */
    X86EMU_REQUEST_PORT_IN = 9,
    X86EMU_REQUEST_PORT_OUT = 10,
    X86EMU_REQUEST_HALT = 11, /* HLT: answered when the guest may go on; RIP is that of the next instruction by then */
    X86EMU_REQUEST_HYPERCALL = 12, /* VMCALL, VMMCALL: registers but RIP and RFLAGS may be changed before answering */
    X86EMU_REQUEST_CPUID = 13,     /* leaf index, subleaf subindex: EAX, EBX, ECX, EDX, 4 bytes each */
    X86EMU_REQUEST_MSR_READ = 14,  /* model-specific register index */
    X86EMU_REQUEST_MSR_WRITE = 15, /* the same */
    X86EMU_REQUEST_TIME = 16,      /* time-stamp counter, 8 bytes, and IA32_TSC_AUX, 4 bytes */
    X86EMU_REQUEST_COUNTER = 17,   /* performance counter index */
    X86EMU_REQUEST_RANDOM = 18, /* subindex random bytes in 8; the ninth is 1 if they are; index 0: RDRAND, 1: RDSEED */
    X86EMU_REQUEST_ENQUEUE = 19, /* ENQCMD, ENQCMDS: a command of 64 bytes for the device at gpa; answer data 0 when it
                                    took the command, 1 when it didn't (the guest tries again) */
    X86EMU_REQUEST_KINDS = 20,
};

/* What the caller says. */
enum x86emu_answer {
    X86EMU_ANSWER_NONE = 0,     /* not answered (yet) */
    X86EMU_ANSWER_OK = 1,       /* done; data holds what was read */
    X86EMU_ANSWER_CHANGED = 2,  /* RMW, ENTRY_UPDATE: old_data was no longer there; it now holds what is */
    X86EMU_ANSWER_FAULT = 3,    /* the instruction ends with request.fault */
    X86EMU_ANSWER_UNMAPPED = 4, /* nothing is there: the step ends with X86EMU_UNMAPPED */
};

enum x86emu_request_flag {
    X86EMU_REQUEST_LOCKED = 1 << 0,  /* RMW: must be atomic to other processors */
    X86EMU_REQUEST_SPLIT = 1 << 1,   /* RMW: the last size - first_size bytes are at gpa_second; if LOCKED as well, this
                                         is a split lock: atomic over both parts */
    X86EMU_REQUEST_FOR_RMW = 1 << 2, /* READ: an RMW of the same bytes follows */
    X86EMU_REQUEST_PARTIAL = 1 << 3, /* one part of an access that had to be split: at a page, a region or its width */
};

/* An exception: raised by the instruction, or answered by the caller. */
struct x86emu_exception {
    uint64_t cr2; /* #PF: the linear address */
    uint32_t error_code;
    uint8_t vector; /* enum x86emu_vector */
    bool has_error_code;
};

/* The request. The caller writes answer, and data, old_data or fault as the kind says; nothing else. */
struct x86emu_request {
    uint64_t id;    /* a new one for each request of a context: tells a late answer from a right one */
    uint8_t kind;   /* enum x86emu_request_kind */
    uint8_t answer; /* enum x86emu_answer */
    uint16_t flags; /* enum x86emu_request_flag */
    uint16_t size;  /* bytes of one element */
    uint16_t count; /* elements, one after the other in data */
    int32_t stride; /* bytes from one element's address to the next: 0 (one port or register), size or -size */
    uint16_t port;
    uint16_t access;               /* TRANSLATE: enum x86emu_access with enum x86emu_walk_access */
    uint32_t state;                /* STATE: enum x86emu_state bits to load */
    uint32_t index, subindex;      /* CPUID, MSR_READ, MSR_WRITE, COUNTER, RANDOM */
    uint16_t first_size;           /* with X86EMU_REQUEST_SPLIT */
    uint64_t gpa;                  /* guest-physical address of the first element */
    uint64_t gpa_second;           /* with X86EMU_REQUEST_SPLIT */
    uint64_t gva;                  /* linear address, where one was computed; else 0 */
    struct x86emu_exception fault; /* the answer X86EMU_ANSWER_FAULT */
    union {
        uint8_t bytes[16];
        uint64_t value;
    } old_data; /* RMW, ENTRY_UPDATE: what was read */
    union {
        uint8_t bytes[X86EMU_REQUEST_DATA];
        uint64_t value; /* little-endian hosts: the first 8 bytes */
    } data;
};

/*
 * Answers a request on the spot: does what it says and sets request->answer, or leaves it X86EMU_ANSWER_NONE and the
 * request goes to the caller of x86emu_step().
 */
typedef void x86emu_callback(void *opaque, struct x86emu_vcpu *vcpu, struct x86emu_request *request);

enum x86emu_option {
    X86EMU_OPTION_TRANSLATE = 1 << 0, /* linear addresses are translated by requests instead of by walking tables */
    X86EMU_OPTION_NO_BATCH = 1 << 1,  /* one element per request */
};

/* Components of XCR0 whose place in a save area can be told: numbers 2 to 9. */
#define X86EMU_XSAVE_COMPONENTS 10

/* What a context is set up with; everything may be zero. The pointers stay the caller's and must outlive the context. */
struct x86emu_config {
    x86emu_callback *callbacks[X86EMU_REQUEST_KINDS]; /* NULL: the request goes to the caller of x86emu_step() */
    void *opaque;                                     /* given to callbacks */
    const struct x86emu_region_map *map; /* RAM in it is accessed directly, devices are called; NULL: all by request */
    struct x86emu_cache *cache;          /* of this vCPU alone, for runs of many instructions; NULL: none */
    uint32_t options;                    /* enum x86emu_option */
    uint32_t decode_options;             /* enum x86emu_decode_option */
    uint8_t maxphyaddr;                  /* physical-address width; 0 means 52 */
    struct x86emu_features features;     /* what the guest's CPUID lacks: #UD; adds to decode_options what follows */
    /* Where XSAVE puts component i in the standard format: EBX of the guest's CPUID leaf 0DH, subleaf i. It differs
       among vendors. 0: as Intel's processors have it (SDM Vol. 1, 13.4.3). */
    uint16_t xsave_offsets[X86EMU_XSAVE_COMPONENTS];
};

/* What the exit told about the access. */
enum x86emu_hint_flag {
    X86EMU_HINT_GPA = 1 << 0,      /* gpa */
    X86EMU_HINT_GPA_PAGE = 1 << 1, /* gpa, but only the page: the low 12 bits were lost */
    X86EMU_HINT_GVA = 1 << 2,      /* gva */
    X86EMU_HINT_ACCESS = 1 << 3,   /* access */
};

/*
 * What a hypervisor's exit said, given to the next x86emu_step(). The library uses the guest-physical address for the
 * operand it belongs to instead of walking the guest's tables. An instruction that cannot have caused the exit answers
 * X86EMU_NOT_THIS_INSN or X86EMU_NO_ACCESS.
 */
struct x86emu_hint {
    uint64_t gpa, gva;
    uint16_t flags;     /* enum x86emu_hint_flag */
    uint8_t access;     /* enum x86emu_access: X86EMU_ACCESS_READ or X86EMU_ACCESS_WRITE */
    uint8_t byte_count; /* instruction bytes known, 0 to 15 */
    uint8_t bytes[X86EMU_MAX_INSN_LENGTH];
};

/* What x86emu_step() and x86emu_complete() answer: which state the caller is in. */
enum x86emu_status {
    X86EMU_RETIRED = 0,       /* done: vcpu is the state after it; outcome tells what changed */
    X86EMU_REQUEST = 1,       /* request wants an answer, then x86emu_complete(); vcpu unchanged */
    X86EMU_EXCEPTION = 2,     /* outcome.exception is for the caller to inject; vcpu unchanged */
    X86EMU_NOT_EMULATED = 3,  /* outcome.reason, bytes; vcpu unchanged */
    X86EMU_UNMAPPED = 4,      /* no such region: outcome.gpa, outcome.access; vcpu unchanged */
    X86EMU_NOT_THIS_INSN = 5, /* the instruction there now cannot have caused the hinted exit; resume the guest */
    X86EMU_NO_ACCESS = 6,     /* the instruction there touches no memory; resume the guest */
    X86EMU_BAD_ANSWER = 7,    /* the answer doesn't fit the request; the request is still open */
    X86EMU_NO_REQUEST = 8,    /* x86emu_complete() without a request; nothing changed */
    X86EMU_BAD_CONFIG = 9,    /* a context that was never initialised, or a mode that doesn't exist */
    X86EMU_SHUTDOWN = 10,     /* x86emu_deliver(): a double fault could not be delivered (triple fault) */
};

/* Why an instruction is not emulated. */
enum x86emu_reason {
    X86EMU_REASON_NONE = 0,
    X86EMU_REASON_NO_FUNCTION = 1,  /* decoded, but the table names no function for its row */
    X86EMU_REASON_LIMIT = 2,        /* more pages or accesses than a transaction holds */
    X86EMU_REASON_INCONSISTENT = 3, /* vcpu was changed while a request was open: answers no longer fit */
    X86EMU_REASON_COMPONENT = 4,    /* XSAVE, XRSTOR, XGETBV: of state that is not in struct x86emu_vcpu */
};

/* Translations or caches that an instruction has made invalid: X86EMU_RETIRED, for the caller's own (SDM Vol. 3, 4.10.4). */
enum x86emu_invalidation {
    X86EMU_INVALIDATE_NONE = 0,
    X86EMU_INVALIDATE_PAGE = 1,       /* of la, of pcid and global: INVLPG, INVPCID */
    X86EMU_INVALIDATE_PCID = 2,       /* of pcid, but global ones: MOV to CR3, INVPCID */
    X86EMU_INVALIDATE_ALL = 3,        /* global ones too */
    X86EMU_INVALIDATE_NOT_GLOBAL = 4, /* of all PCIDs, but global ones */
    X86EMU_INVALIDATE_CACHES = 5,     /* no translation: the caches, INVD, WBINVD, WBNOINVD */
    X86EMU_INVALIDATE_EVERYWHERE = 6, /* ALL, on every processor of the guest: INVLPGB */
};

/* How a step ended. */
struct x86emu_outcome {
    struct x86emu_exception exception; /* X86EMU_EXCEPTION */
    uint64_t gpa;                      /* X86EMU_UNMAPPED: where */
    uint64_t la;                       /* X86EMU_INVALIDATE_PAGE: the linear address */
    uint64_t dr6;                      /* #DB raised, or due as a trap: bits to set in DR6 */
    uint32_t changed;                  /* X86EMU_RETIRED: enum x86emu_state written by this instruction */
    uint16_t pcid;
    uint8_t invalidation; /* X86EMU_RETIRED: enum x86emu_invalidation */
    uint8_t access;       /* X86EMU_UNMAPPED: enum x86emu_access */
    uint8_t reason;       /* X86EMU_NOT_EMULATED: enum x86emu_reason */
    bool repeats;         /* X86EMU_RETIRED: RIP still points to the instruction: iterations of REP are left, or an
                          exchange was lost too often and nothing has happened */
    bool trap;            /* X86EMU_RETIRED: a debug trap (#DB) is due: single step, data breakpoint, task switch */
};

/* Bounds of one transaction, in entries and bytes; src/exec/bounds.h proves that the worst row fits. */
#define X86EMU_MAX_READS 64
#define X86EMU_MAX_EFFECTS 64
#define X86EMU_MAX_BYTES 3072 /* of each */
#define X86EMU_MAX_PAGES 40

/* What x86emu_deliver() delivers. */
enum x86emu_event_kind {
    X86EMU_EVENT_EXCEPTION = 0, /* found by the processor, as in x86emu_outcome.exception */
    X86EMU_EVENT_INTERRUPT = 1, /* external */
    X86EMU_EVENT_NMI = 2,
    X86EMU_EVENT_SOFTWARE = 3,           /* INT n */
    X86EMU_EVENT_SOFTWARE_EXCEPTION = 4, /* INT3, INTO */
};

struct x86emu_event {
    uint64_t cr2; /* exception #PF: the linear address */
    uint64_t dr6; /* exception #DB: bits to set in DR6 */
    uint32_t error_code;
    uint8_t kind; /* enum x86emu_event_kind */
    uint8_t vector;
    bool has_error_code;
};

/* A linear page the instruction uses. */
struct x86emu_page {
    uint64_t la;    /* of the first access to it */
    uint64_t gpa;   /* of the page */
    uint8_t access; /* enum x86emu_access it was checked for */
    bool dirty;     /* nothing left to do in the page tables */
    bool system;    /* for an access of the processor's own */
};

/* A read that has been answered, or is being answered piece by piece. */
struct x86emu_read {
    uint64_t address; /* guest-physical address or port */
    uint16_t size;    /* bytes in all */
    uint16_t done;    /* bytes answered */
    uint16_t data;    /* where they are in read_bytes */
    uint8_t kind;     /* enum x86emu_request_kind */
};

/* Something to be done once nothing can fault any more: a write, a port output, a halt. */
struct x86emu_effect {
    uint64_t gpa, gpa_second, la;
    uint8_t *host; /* RAM that all of it lies in, found by the run under way; NULL: look at gpa */
    uint16_t size, count;
    int16_t stride;
    uint16_t first_size; /* bytes at gpa, the rest is at gpa_second */
    uint16_t data;       /* where the bytes are in effect_bytes */
    uint16_t port;
    uint32_t index; /* MSR_WRITE */
    uint8_t kind;   /* enum x86emu_request_kind */
    uint8_t flags;  /* enum x86emu_request_flag */
    uint8_t read;   /* RMW: which entry of reads holds the old value */
};

/*
 * The context of one vCPU. Plain data: it may be copied, saved and resumed elsewhere, also while a request is open. In
 * another process, call x86emu_rebind() first. Set up by x86emu_init().
 */
struct x86emu {
    struct x86emu_request request; /* X86EMU_REQUEST: to be answered */
    struct x86emu_outcome outcome;
    struct x86emu_insn insn;               /* the instruction, once decoded */
    uint8_t bytes[X86EMU_MAX_INSN_LENGTH]; /* as fetched */
    uint8_t byte_count;

    /* The rest belongs to the library. */
    struct x86emu_transaction {
        struct x86emu_config config;
        struct x86emu_hint hint;
        struct x86emu_region_cache cache;
        uint64_t next_id;
        uint32_t magic;
        uint8_t lost_exchanges;
        bool begun;      /* a step is under way */
        bool outside;    /* a request was made or a device accessed */
        bool delivering; /* of event, not of an instruction */
        bool restricted; /* config.features lacks anything */
        struct x86emu_event event;
        bool decoded;          /* insn is valid */
        uint8_t operand_count; /* of operands; 0: not expanded yet */
        bool hint_used;        /* the hinted address has found its operand */

        struct x86emu_question {
            uint64_t gpa, gva;
            uint16_t size, count;
            uint8_t kind;   /* NONE: no request is open */
            uint8_t access; /* TRANSLATE: enum x86emu_access */
            bool system;    /* TRANSLATE: for an access of the processor's own */
        } question;         /* behind an open request, to hold the answer against */
        bool walking;       /* walk is under way */
        struct x86emu_walk walk;

        struct x86emu_operand operands[X86EMU_CACHE_OPERANDS];

        /* What has been answered: kept while the instruction runs again. */
        uint8_t page_count, read_count;
        uint16_t read_used;
        struct x86emu_page pages[X86EMU_MAX_PAGES];
        struct x86emu_read reads[X86EMU_MAX_READS];
        uint8_t read_bytes[X86EMU_MAX_BYTES];

        /* Vector registers that the run under way has staged: a gather's destination and mask. */
        struct x86emu_staged_vector {
            uint8_t number;
            union x86emu_vector_register value;
        } vectors[2];

        /* What is to be done: built anew by every run. effects_done and bytes_done count what has happened. */
        uint8_t effect_count, effects_done;
        uint16_t bytes_done;
        uint16_t effect_used;
        struct x86emu_effect effects[X86EMU_MAX_EFFECTS];
        uint8_t effect_bytes[X86EMU_MAX_BYTES];
    } transaction;
};

/* Sets a context up; config may be NULL. */
void x86emu_init(struct x86emu *emu, const struct x86emu_config *config);

/* Gives a context that was saved elsewhere this process's callbacks and regions; an open request stays open. */
void x86emu_rebind(struct x86emu *emu, const struct x86emu_config *config);

/* Gives the next step what the exit told. Kept until that step ends. */
void x86emu_hint(struct x86emu *emu, const struct x86emu_hint *hint);

/* Emulates the instruction at vcpu's RIP. While a request is open: answers X86EMU_REQUEST again. */
enum x86emu_status x86emu_step(struct x86emu *emu, struct x86emu_vcpu *vcpu);

/*
 * Emulates up to limit instructions, as that many calls of x86emu_step() would, and quicker: with x86emu_config.cache, for
 * interpreters. *retired says how many have retired. Answers X86EMU_RETIRED after the limit, or before it after an
 * instruction that the caller may have to act upon: one that made a request (even if a callback has answered it) or
 * accessed a device; that wrote other state than general-purpose, x87 and vector registers; that set IF or TF; whose
 * outcome has a trap or an invalidation. Any other answer is about the instruction after those.
 */
enum x86emu_status x86emu_steps(struct x86emu *emu, struct x86emu_vcpu *vcpu, uint64_t limit, uint64_t *retired);

/*
 * Delivers an event through the interrupt vector table or the IDT, as a transaction like an instruction: the handler's
 * first instruction is next. vcpu's RIP is what the handler returns to. X86EMU_EXCEPTION: delivery met another exception,
 * and outcome.exception is what to deliver instead: that one, or #DF (SDM Vol. 3, table 6-5); X86EMU_SHUTDOWN after #DF.
 * In both cases vcpu is unchanged but for CR2, DR6 and DR7.GD, which tell of the first exception.
 * Whether an event may be delivered now (IF, interruptibility) is for the caller to know.
 */
enum x86emu_status x86emu_deliver(struct x86emu *emu, struct x86emu_vcpu *vcpu, const struct x86emu_event *event);

/* Goes on with the answer in emu->request. */
enum x86emu_status x86emu_complete(struct x86emu *emu, struct x86emu_vcpu *vcpu);

/* Gives an open request up: vcpu is as before the instruction; device accesses already answered have happened. */
void x86emu_cancel(struct x86emu *emu);

#ifdef __cplusplus
}
#endif

#endif
