/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the comparison on each model of a processor with nested paging and under KVM, and adds up what it found. */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* As in walks/walks.h. */
enum model {
    MODEL_QEMU = 1,
    MODEL_BOCHS = 2,
    MODEL_KVM = 3,
};

static const struct machine {
    const char *name, *what, *program; /* the last must be installed */
    const char *how;                   /* the processor's model; for KVM, the command */
    enum model model;
    uint64_t levels; /* of the nested tables, where that depends on the host's paging */
    uint64_t share;  /* of the walks asked for, in percent: Bochs takes its time. 0: only when asked for by name */
} machines[] = {
    {"qemu-svm", "QEMU, SVM with nested paging", "qemu-system-x86_64", "max,+svm,+npt", MODEL_QEMU, 4, 40},
    {"qemu-svm5", "QEMU, SVM with 5-level nested paging", "qemu-system-x86_64", "max,+svm,+npt", MODEL_QEMU, 5, 20},
    {"bochs-vmx", "Bochs, VMX with EPT", "bochs", "corei7_skylake_x", MODEL_BOCHS, 4, 25},
    {"bochs-svm", "Bochs, SVM with nested paging", "bochs", "ryzen", MODEL_BOCHS, 4, 15},
    {"kvm", "KVM, guest tables alone", PAGING_KVM, PAGING_KVM, MODEL_KVM, 4, 100},
    {"kvm-shadow", "KVM with shadow paging, in QEMU", "qemu-system-x86_64", PAGING_SHADOW, MODEL_KVM, 4, 0},
};
enum {
    MACHINES = sizeof(machines) / sizeof(machines[0]),
};

static struct options {
    uint64_t seed, count; /* count 0: not said */
    const char *only;
} options = {.seed = 1};

static char folder[512];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static const char *path(const struct machine *machine, const char *suffix)
{
    static char text[4][600];
    static unsigned next;

    next = (next + 1) % 4;
    snprintf(text[next], sizeof(text[next]), "%s/%s.%s", folder, machine->name, suffix);
    return text[next];
}

static FILE *open_file(const char *name, const char *mode)
{
    FILE *file = fopen(name, mode);

    if (file == NULL)
        die(name);
    return file;
}

/* --- what a machine runs ------------------------------------------------------------------------------------------- */

static uint64_t walks_of(const struct machine *machine)
{
    uint64_t all = options.count != 0 ? options.count : machine->share != 0 ? 40000 : 1000;
    uint64_t walks = options.only != NULL ? all : all * machine->share / 100;

    return walks != 0 ? walks : 1;
}

/* The disk: the program with its parameters filled in. Bochs wants whole cylinders. */
static void write_disk(const struct machine *machine)
{
    static uint8_t disk[20 * 16 * 63 * 512];
    FILE *image = open_file(PAGING_IMAGE, "rb"), *file;
    const uint64_t parameters[] = {options.seed, walks_of(machine), machine->model, machine->levels};
    size_t size = fread(disk, 1, sizeof(disk), image), at = 0;

    fclose(image);
    while (at + 32 < size && memcmp(disk + at, "X86EMUPG", 8) != 0)
        at += 8;
    if (at + 32 >= size) {
        fprintf(stderr, "%s: no parameters in it\n", PAGING_IMAGE);
        exit(1);
    }
    memcpy(disk + at + 8, parameters, sizeof(parameters));
    file = open_file(path(machine, "disk"), "wb");
    if (fwrite(disk, sizeof(disk), 1, file) != 1 || fclose(file) != 0)
        die("disk image");
}

static void write_bochs_configuration(const struct machine *machine)
{
    FILE *file = open_file(path(machine, "rc"), "w");

    fprintf(file, "cpu: model=%s, ips=200000000\nmemory: guest=128, host=128\n", machine->how);
    fprintf(file, "romimage: file=/usr/share/bochs/BIOS-bochs-latest\n");
    fprintf(file, "vgaromimage: file=/usr/share/vgabios/vgabios.bin\n");
    fprintf(file, "ata0-master: type=disk, path=%s, mode=flat, cylinders=20, heads=16, spt=63\n",
            path(machine, "disk"));
    fprintf(file, "boot: disk\ndisplay_library: term\nclock: sync=none\n");
    fprintf(file, "com1: enabled=1, mode=file, dev=%s\nlog: %s\n", path(machine, "out"), path(machine, "log"));
    fprintf(file, "panic: action=fatal\nerror: action=ignore\ninfo: action=ignore\ndebug: action=ignore\n");
    fclose(file);
    file = open_file(path(machine, "debugger"), "w"); /* Debian's Bochs is built with one: go on */
    fprintf(file, "c\n");
    fclose(file);
}

/* Seconds until a machine counts as stuck. */
static uint64_t patience(const struct machine *machine)
{
    return 60 + walks_of(machine) / (machine->share != 0 ? 10 : 2);
}

/* What a machine needs is written, and the shell's command answered that runs it. */
static const char *prepare(const struct machine *machine)
{
    static char command[4096];

    switch (machine->model) {
    case MODEL_QEMU:
        write_disk(machine);
        snprintf(command, sizeof(command),
                 "qemu-system-x86_64 -accel tcg -cpu %s -m 128 -nodefaults -display none -no-reboot "
                 "-device isa-debug-exit,iobase=0xf4 -drive format=raw,file=%s -serial file:%s >%s 2>&1",
                 machine->how, path(machine, "disk"), path(machine, "out"), path(machine, "terminal"));
        break;
    case MODEL_BOCHS:
        write_disk(machine);
        write_bochs_configuration(machine);
        /* Its display wants a terminal. */
        snprintf(command, sizeof(command), "script -qec 'bochs -q -f %s -rc %s' /dev/null </dev/null >%s 2>&1",
                 path(machine, "rc"), path(machine, "debugger"), path(machine, "terminal"));
        break;
    default:
        snprintf(command, sizeof(command), "%s %" PRIu64 " %" PRIu64 " >%s", machine->how, options.seed,
                 walks_of(machine), path(machine, "out"));
        break;
    }
    return command;
}

static pid_t start(const struct machine *machine)
{
    char command[4200];
    pid_t pid;

    unlink(path(machine, "out"));
    snprintf(command, sizeof(command), "TERM=vt100 timeout %" PRIu64 " %s", patience(machine), prepare(machine));
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* --- what came out ------------------------------------------------------------------------------------------------- */

struct total {
    uint64_t walks, unexplained;
};

/* Copies what is worth reading to stdout. False: the machine did not come to its end. */
static bool read_results(const struct machine *machine, struct total *total)
{
    FILE *file = fopen(path(machine, "out"), "r");
    char line[1024];
    bool done = false;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        uint64_t walks, unexplained;

        if (sscanf(line, "DONE %" SCNu64 " %" SCNu64, &walks, &unexplained) == 2) {
            printf("%s: %" PRIu64 " walks, %" PRIu64 " unexplained\n", machine->what, walks, unexplained);
            total->walks += walks;
            total->unexplained += unexplained;
            done = true;
        } else if (machine->model == MODEL_KVM && strncmp(line, "NONE ", 5) == 0) {
            printf("skipped: %s: %s", machine->what, line + 5);
            done = true;
        } else if (strncmp(line, "OUTCOMES ", 9) == 0) {
            printf("%s: %s", machine->what, line + 9);
        } else if (strncmp(line, "FEATURES ", 9) == 0) {
            printf("  asked about: %s", line + 9);
        } else if (strncmp(line, "EXPLAINED ", 10) == 0) {
            printf("  explained: %s", line + 10);
        } else {
            printf("%s", line);
        }
    }
    if (file != NULL)
        fclose(file);
    return done;
}

static bool is_installed(const char *program)
{
    char command[128];

    snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
    return system(command) == 0;
}

/* --- the command line ---------------------------------------------------------------------------------------------- */

static void usage(FILE *to)
{
    fprintf(to,
            "usage: x86emu-differential-paging [--quick] [--seed N] [--count N] [--machine NAME]\n\n"
            "Guests access memory under random guest and nested page tables, some of them built by the library, on\n"
            "software models of processors with nested paging, and under random guest page tables in a guest under\n"
            "KVM. Ends, error codes, exit qualifications, accessed and dirty bits and data are compared with the\n"
            "library's walks.\n\n"
            "  --quick         2500 walks, and as many under KVM\n"
            "  --seed N        another series of tables\n"
            "  --count N       so many walks (40000), and as many under KVM\n"
            "  --machine NAME  on one machine only:");
    for (unsigned i = 0; i < MACHINES; i++)
        fprintf(to, " %s", machines[i].name);
    fprintf(to, "\n");
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {{"quick", 0, NULL, 'q'},   {"seed", 1, NULL, 's'}, {"count", 1, NULL, 'n'},
                                          {"machine", 1, NULL, 'm'}, {"help", 0, NULL, 'h'}, {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'q':
            options.count = 2500;
            break;
        case 's':
            options.seed = strtoull(optarg, NULL, 0);
            break;
        case 'n':
            options.count = strtoull(optarg, NULL, 0);
            break;
        case 'm':
            options.only = optarg;
            break;
        default:
            usage(c == 'h' ? stdout : stderr);
            exit(c == 'h' ? 0 : 2);
        }
    }
}

int main(int argc, char **argv)
{
    struct total total = {0};
    pid_t pids[MACHINES] = {0};
    bool good = true;

    read_options(argc, argv);
    snprintf(folder, sizeof(folder), "%s.d", PAGING_IMAGE);
    if (mkdir(folder, 0777) != 0 && access(folder, W_OK) != 0)
        die(folder);
    for (unsigned i = 0; i < MACHINES; i++) {
        if (options.only != NULL ? strcmp(options.only, machines[i].name) != 0 : machines[i].share == 0)
            continue;
        if (is_installed(machines[i].program))
            pids[i] = start(&machines[i]);
        else
            printf("skipped: %s: %s is not installed\n", machines[i].what, machines[i].program);
    }
    for (unsigned i = 0; i < MACHINES; i++) {
        if (pids[i] == 0)
            continue;
        waitpid(pids[i], NULL, 0);
        if (!read_results(&machines[i], &total)) {
            printf("%s: did not come to its end; see %s\n", machines[i].what, path(&machines[i], "*"));
            good = false;
        }
    }
    printf("%" PRIu64 " walks, %" PRIu64 " unexplained\n", total.walks, total.unexplained);
    return !good || total.walks == 0 || total.unexplained != 0;
}
