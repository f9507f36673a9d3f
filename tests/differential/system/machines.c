/* SPDX-License-Identifier: BSD-2-Clause */
/* QEMU and Bochs as processes that run the disk. */
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *const model_names[MODEL_COUNT] = {"library", "QEMU", "Bochs"};

static const char bochs_settings[] = "megs: 128\n"
                                     "romimage: file=/usr/share/bochs/BIOS-bochs-latest\n"
                                     "vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest\n"
                                     "cpu: model=%s, reset_on_triple_fault=1\n"
                                     "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n"
                                     "ata0-master: type=disk, path=\"%s\", mode=flat\n"
                                     "boot: disk\n"
                                     "display_library: term\n"
                                     "log: %s.log\n"
                                     "panic: action=report\n"
                                     "error: action=ignore\n"
                                     "info: action=ignore\n"
                                     "clock: sync=none\n"
                                     "sound: waveoutdrv=dummy\n"
                                     "speaker: enabled=0\n";

const char *machine_missing(enum model model)
{
    if (model == MODEL_QEMU && system("command -v qemu-system-x86_64 >/dev/null 2>&1") != 0)
        return "qemu-system-x86_64 is not installed";
    if (model == MODEL_BOCHS && system("command -v bochs >/dev/null 2>&1 && command -v script >/dev/null 2>&1") != 0)
        return "bochs (with bochs-term, bochsbios and vgabios) is not installed";
    if (model == MODEL_BOCHS && (access("/usr/share/bochs/BIOS-bochs-latest", R_OK) != 0 ||
                                 access("/usr/share/bochs/VGABIOS-lgpl-latest", R_OK) != 0))
        return "the packages bochsbios and vgabios are not installed";
    return NULL;
}

static void run_qemu(const char *disk, bool amd)
{
    char drive[600];

    snprintf(drive, sizeof(drive), "file=%s,format=raw,if=ide,cache=unsafe", disk);
    execlp("qemu-system-x86_64", "qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-m", "128", "-cpu",
           amd ? "max,vendor=AuthenticAMD" : "max,vendor=GenuineIntel", "-nodefaults", "-display", "none", "-device",
           "isa-debug-exit,iobase=0xf4,iosize=1", "-drive", drive, (char *)NULL);
    _exit(127);
}

/* Bochs shows its screen on a terminal: script gives it one. */
static void run_bochs(const char *disk, bool amd)
{
    char settings[600], debugger[600], command[2048];
    FILE *file;

    snprintf(settings, sizeof(settings), "%s.rc", disk);
    snprintf(debugger, sizeof(debugger), "%s.debugger", disk);
    if ((file = fopen(settings, "w")) == NULL)
        _exit(127);
    fprintf(file, bochs_settings, amd ? "ryzen" : "corei7_icelake_u", disk, disk);
    fclose(file);
    if ((file = fopen(debugger, "w")) == NULL)
        _exit(127);
    for (unsigned i = 0; i < 1000; i++) /* go on, now and after each reset */
        fputs("c\n", file);
    fclose(file);
    snprintf(command, sizeof(command), "TERM=vt100 exec bochs -q -f '%s' -rc '%s'", settings, debugger);
    execlp("script", "script", "-qec", command, "/dev/null", (char *)NULL);
    _exit(127);
}

bool machine_start(enum model model, bool amd, const char *disk, pid_t *pid)
{
    int null;

    fflush(NULL);
    *pid = fork();
    if (*pid != 0)
        return *pid > 0;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* not to outlive this program */
    null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    if (getenv("X86EMU_SHOW_MACHINES") == NULL)
        dup2(null, 2);
    if (model == MODEL_QEMU)
        run_qemu(disk, amd);
    run_bochs(disk, amd);
    return false;
}

bool machine_wait(enum model model, pid_t pid, unsigned seconds)
{
    struct timespec pause = {.tv_nsec = 20000000};
    time_t end = time(NULL) + seconds;
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (time(NULL) > end) {
            fprintf(stderr, "%s: not done within %u s\n", model_names[model], seconds);
            kill(-pid, SIGKILL);
            waitpid(pid, &status, 0);
            return false;
        }
        nanosleep(&pause, NULL);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        fprintf(stderr, "%s: could not be started\n", model_names[model]);
        return false;
    }
    return true;
}
