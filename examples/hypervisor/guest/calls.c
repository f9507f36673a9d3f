/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls of job=program, in ring 0: as many as busybox needs to compute something. There is one file, the program
 * itself, at any path that ends in /program; what is written to others is lost.
 */
#include "program.h"

#include <asm/errno.h>
#include <asm/prctl.h>
#include <asm/stat.h>
#include <asm/unistd.h>

enum {
    PAGE = 4096,
    FILES = 16,
    CREATE = 0100, /* O_CREAT, F_DUPFD, F_DUPFD_CLOEXEC, S_IFREG, S_IFCHR: the kernel's values */
    DUPLICATE = 0,
    DUPLICATE_FOR_ITSELF = 1030,
    REGULAR = 0100644,
    CHARACTER_DEVICE = 020620,
};

enum kind {
    CLOSED = 0,
    TERMINAL, /* nothing to be read */
    PROGRAM,
    SINK,
};

static struct {
    enum kind kind;
    uint64_t at;
} files[FILES] = {{TERMINAL, 0}, {TERMINAL, 0}, {TERMINAL, 0}};

static bool ends_in(const char *text, const char *end)
{
    for (; *text != 0; text++) {
        unsigned n = 0;

        while (end[n] != 0 && text[n] == end[n])
            n++;
        if (end[n] == 0 && text[n] == 0)
            return true;
    }
    return false;
}

static bool is_open(uint64_t file)
{
    return file < FILES && files[file].kind != CLOSED;
}

/* --- files --------------------------------------------------------------------------------------------------------------- */

static int64_t new_file(enum kind kind, uint64_t at, uint64_t first)
{
    for (uint64_t n = first; n < FILES; n++) {
        if (files[n].kind != CLOSED)
            continue;
        files[n].kind = kind;
        files[n].at = at;
        return (int64_t)n;
    }
    return -EMFILE;
}

static int64_t open_file(const char *path, uint64_t flags)
{
    if (ends_in(path, "/program"))
        return new_file(PROGRAM, 0, 0);
    return flags & CREATE ? new_file(SINK, 0, 0) : -ENOENT;
}

static int64_t duplicate(uint64_t from, uint64_t first)
{
    return is_open(from) ? new_file(files[from].kind, files[from].at, first) : -EBADF;
}

static int64_t close_file(uint64_t file)
{
    if (!is_open(file))
        return -EBADF;
    files[file].kind = CLOSED;
    return 0;
}

static int64_t duplicate_to(uint64_t from, uint64_t to)
{
    if (!is_open(from) || to >= FILES)
        return -EBADF;
    files[to] = files[from];
    return (int64_t)to;
}

static int64_t read_file(uint64_t file, void *to, uint64_t size)
{
    uint64_t left;

    if (!is_open(file))
        return -EBADF;
    if (files[file].kind != PROGRAM || files[file].at > program.size)
        return 0;
    left = program.size - files[file].at;
    size = size < left ? size : left;
    program_copy(to, program.file + files[file].at, size);
    files[file].at += size;
    return (int64_t)size;
}

static int64_t write_file(uint64_t file, const uint8_t *from, uint64_t size)
{
    if (!is_open(file))
        return -EBADF;
    for (uint64_t n = 0; files[file].kind == TERMINAL && n < size; n++)
        program_put(from[n]);
    return (int64_t)size;
}

static int64_t write_pieces(uint64_t file, const uint64_t (*pieces)[2], uint64_t count)
{
    int64_t all = 0;

    for (uint64_t n = 0; n < count; n++)
        all += write_file(file, (const uint8_t *)pieces[n][0], pieces[n][1]);
    return all;
}

static int64_t seek(uint64_t file, uint64_t offset, uint64_t from)
{
    if (!is_open(file))
        return -EBADF;
    if (files[file].kind == TERMINAL)
        return -ESPIPE;
    files[file].at = (from == 0 ? 0 : from == 1 ? files[file].at : program.size) + offset;
    return (int64_t)files[file].at;
}

static int64_t describe(enum kind kind, struct stat *stat)
{
    if (kind == CLOSED)
        return -ENOENT;
    program_clear(stat, sizeof(*stat));
    stat->st_ino = kind;
    stat->st_nlink = 1;
    stat->st_mode = kind == TERMINAL ? CHARACTER_DEVICE : REGULAR;
    stat->st_size = kind == PROGRAM ? (long)program.size : 0;
    stat->st_blksize = PAGE;
    return 0;
}

static int64_t describe_open(uint64_t file, struct stat *stat)
{
    return is_open(file) ? describe(files[file].kind, stat) : -EBADF;
}

static int64_t describe_path(const char *path, struct stat *stat)
{
    return describe(ends_in(path, "/program") ? PROGRAM : CLOSED, stat);
}

/* --- memory -------------------------------------------------------------------------------------------------------------- */

static int64_t set_brk(uint64_t end)
{
    if (end >= program.lowest_brk && end < program.mapped) {
        if (end > program.brk)
            program_clear((void *)program.brk, end - program.brk);
        program.brk = end;
    }
    return (int64_t)program.brk;
}

/* What is unmapped is not used again. */
static int64_t map(uint64_t size, uint64_t file, uint64_t offset)
{
    size = (size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    if (size == 0 || size > program.mapped - program.brk)
        return -ENOMEM;
    program.mapped -= size;
    program.mapped &= ~(uint64_t)(PAGE - 1);
    program_clear((void *)program.mapped, size);
    if (is_open(file) && files[file].kind == PROGRAM && offset < program.size)
        program_copy((void *)program.mapped, program.file + offset,
                     size < program.size - offset ? size : program.size - offset);
    return (int64_t)program.mapped;
}

static int64_t set_base(uint64_t code, uint64_t base)
{
    if (code != ARCH_SET_FS && code != ARCH_SET_GS)
        return -EINVAL;
    program_write_msr(code == ARCH_SET_FS ? 0xc0000100 : 0xc0000101, base);
    return 0;
}

/* --- all of them --------------------------------------------------------------------------------------------------------- */

static int64_t time(uint64_t *seconds_and_nanoseconds)
{
    seconds_and_nanoseconds[0] = 1000000000;
    seconds_and_nanoseconds[1] = 0;
    return 0;
}

static int64_t name_system(char *to)
{
    static const char *const names[6] = {"Linux", "guest", "6.1.0", "1", "x86_64", ""};

    for (unsigned n = 0; n < 6; n++, to += 65)
        for (unsigned i = 0; i == 0 || names[n][i - 1] != 0; i++)
            to[i] = names[n][i];
    return 0;
}

static void end(uint64_t code)
{
    if (code != 0)
        program_fail("it ended with a status other than 0");
    program_end(true);
}

static int64_t do_file_call(uint64_t number, const uint64_t *a)
{
    switch (number) {
    case __NR_read:
        return read_file(a[0], (void *)a[1], a[2]);
    case __NR_write:
        return write_file(a[0], (const uint8_t *)a[1], a[2]);
    case __NR_writev:
        return write_pieces(a[0], (const uint64_t(*)[2])a[1], a[2]);
    case __NR_open:
        return open_file((const char *)a[0], a[1]);
    case __NR_openat:
        return open_file((const char *)a[1], a[2]);
    case __NR_close:
        return close_file(a[0]);
    case __NR_dup:
        return duplicate(a[0], 0);
    case __NR_dup2:
        return duplicate_to(a[0], a[1]);
    case __NR_fcntl:
        return a[1] == DUPLICATE || a[1] == DUPLICATE_FOR_ITSELF ? duplicate(a[0], a[2]) : 0;
    case __NR_lseek:
        return seek(a[0], a[1], a[2]);
    case __NR_fstat:
        return describe_open(a[0], (struct stat *)a[1]);
    case __NR_stat:
    case __NR_lstat:
        return describe_path((const char *)a[0], (struct stat *)a[1]);
    case __NR_newfstatat:
        return *(const char *)a[1] == 0 ? describe_open(a[0], (struct stat *)a[2])
                                        : describe_path((const char *)a[1], (struct stat *)a[2]);
    case __NR_ioctl:
        return -ENOTTY;
    default:
        return -ENOSYS;
    }
}

uint64_t program_call(uint64_t number, const uint64_t *a)
{
    switch (number) {
    case __NR_brk:
        return (uint64_t)set_brk(a[0]);
    case __NR_mmap:
        return (uint64_t)map(a[1], a[3] & 0x20 ? ~UINT64_C(0) : a[4], a[5]); /* MAP_ANONYMOUS */
    case __NR_munmap:
    case __NR_mprotect:
    case __NR_madvise:
    case __NR_rt_sigaction:
    case __NR_rt_sigprocmask:
    case __NR_set_robust_list:
    case __NR_getuid:
    case __NR_geteuid:
    case __NR_getgid:
    case __NR_getegid:
    case __NR_umask:
    case __NR_fchown:
    case __NR_fchmod:
    case __NR_utimensat:
        return 0;
    case __NR_set_tid_address:
    case __NR_getpid:
    case __NR_getppid:
    case __NR_gettid:
        return 1;
    case __NR_arch_prctl:
        return (uint64_t)set_base(a[0], a[1]);
    case __NR_uname:
        return (uint64_t)name_system((char *)a[0]);
    case __NR_clock_gettime:
        return (uint64_t)time((uint64_t *)a[1]);
    case __NR_exit:
    case __NR_exit_group:
        end(a[0]);
        return 0;
    default:
        return (uint64_t)do_file_call(number, a);
    }
}
