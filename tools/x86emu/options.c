/* SPDX-License-Identifier: BSD-2-Clause */
/* The arguments that x86emu takes. */
#include "program.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char usage[] =
    "usage: x86emu decode [options] [hex ...]\n"
    "       x86emu decode [options] --file FILE [--section NAME]\n"
    "       x86emu --help | --version\n"
    "\n"
    "Decodes x86 instructions given as hexadecimal bytes, on standard input if there are no arguments, or in a file.\n"
    "\n"
    "  -m, --mode 16|32|64     mode of the processor (64, or as an ELF file says)\n"
    "  -V, --vendor intel|amd  where the two differ (intel)\n"
    "  -w, --without FEATURE   as a processor without it: avx512f, lzcnt, cet, …; --fields names that of an "
    "instruction\n"
    "  -a, --address NUMBER    address of the first byte (0, or as an ELF file says)\n"
    "  -f, --file FILE         take bytes from FILE; - is standard input\n"
    "  -s, --section NAME      section of an ELF file (.text)\n"
    "  -r, --raw               take all of FILE as code, ELF or not\n"
    "      --offset NUMBER     leave out so many bytes at the beginning\n"
    "      --length NUMBER     decode at most so many bytes\n"
    "  -F, --fields            print the fields of each instruction\n"
    "  -o, --operands          print its operands, those that aren't written too\n"
    "  -j, --json              one JSON object a line\n"
    "      --colour WHEN       auto, always or never\n"
    "  -h, --help              this text\n"
    "\n"
    "Exit status: 0; 1 if some bytes are no instruction; 2 on errors.\n";

enum {
    OPTION_COLOUR = 256,
    OPTION_OFFSET,
    OPTION_LENGTH,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"mode", required_argument, NULL, 'm'},
    {"vendor", required_argument, NULL, 'V'},
    {"without", required_argument, NULL, 'w'},
    {"address", required_argument, NULL, 'a'},
    {"file", required_argument, NULL, 'f'},
    {"section", required_argument, NULL, 's'},
    {"raw", no_argument, NULL, 'r'},
    {"offset", required_argument, NULL, OPTION_OFFSET},
    {"length", required_argument, NULL, OPTION_LENGTH},
    {"fields", no_argument, NULL, 'F'},
    {"operands", no_argument, NULL, 'o'},
    {"json", no_argument, NULL, 'j'},
    {"colour", required_argument, NULL, OPTION_COLOUR},
    {"color", required_argument, NULL, OPTION_COLOUR},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

struct choice {
    const char *name;
    unsigned value;
};

/* choices ends with a null name. */
static unsigned choose(const struct choice *choices, const char *option, const char *argument)
{
    for (; choices->name != NULL; choices++)
        if (strcmp(choices->name, argument) == 0)
            return choices->value;
    die("--%s: '%s' is none of its values (see x86emu --help)", option, argument);
}

static unsigned mode_of(const char *argument)
{
    static const struct choice modes[] = {
        {"16", X86EMU_MODE_16}, {"32", X86EMU_MODE_32}, {"64", X86EMU_MODE_64}, {NULL, 0}};

    return choose(modes, "mode", argument);
}

static unsigned vendor_of(const char *argument)
{
    static const struct choice vendors[] = {{"intel", 0}, {"amd", X86EMU_DECODE_AMD}, {NULL, 0}};

    return choose(vendors, "vendor", argument);
}

/* TZCNT can be absent alone; for the others the library knows what follows. */
static void take_absence(struct options *options, const char *argument)
{
    if (strcasecmp(argument, "tzcnt") == 0) {
        options->flags |= X86EMU_DECODE_NO_TZCNT;
        return;
    }
    for (unsigned feature = 1; feature < X86EMU_FEATURE_COUNT; feature++) {
        if (strcasecmp(argument, x86emu_feature_name((enum x86emu_feature)feature)) == 0) {
            x86emu_feature_remove(&options->features, (enum x86emu_feature)feature);
            options->flags |= x86emu_features_options(&options->features);
            return;
        }
    }
    die("--without: '%s' is none of its values (see x86emu --fields for the feature of an instruction)", argument);
}

static enum when when_of(const char *argument)
{
    static const struct choice whens[] = {
        {"auto", WHEN_AUTO}, {"always", WHEN_ALWAYS}, {"never", WHEN_NEVER}, {NULL, 0}};

    return (enum when)choose(whens, "colour", argument);
}

static uint64_t number_of(const char *option, const char *argument)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = strtoull(argument, &end, 0);
    if (argument[0] < '0' || argument[0] > '9' || *end != 0)
        die("--%s: '%s' is no number", option, argument);
    if (errno == ERANGE)
        die("--%s: %s does not fit in 64 bits", option, argument);
    return value;
}

static _Noreturn void print_and_end(const char *text)
{
    fputs(text, stdout);
    if (fflush(stdout) != 0)
        die("standard output: writing failed");
    exit(EXIT_SUCCESS);
}

static void take(struct options *options, int option)
{
    switch (option) {
    case 'm':
        options->mode = (int)mode_of(optarg);
        break;
    case 'V':
        options->flags = (options->flags & ~(unsigned)X86EMU_DECODE_AMD) | vendor_of(optarg);
        break;
    case 'w':
        take_absence(options, optarg);
        break;
    case 'a':
        options->address = number_of("address", optarg);
        options->has_address = true;
        break;
    case 'f':
        options->file = optarg;
        break;
    case 's':
        options->section = optarg;
        break;
    case 'r':
        options->raw = true;
        break;
    case OPTION_OFFSET:
        options->offset = number_of("offset", optarg);
        break;
    case OPTION_LENGTH:
        options->limit = number_of("length", optarg);
        break;
    case 'F':
        options->fields = true;
        break;
    case 'o':
        options->operands = true;
        break;
    case 'j':
        options->output = OUTPUT_JSON;
        break;
    case OPTION_COLOUR:
        options->colour = when_of(optarg);
        break;
    case OPTION_VERSION:
        print_and_end("x86emu " PROGRAM_VERSION "\n");
    case 'h':
        print_and_end(usage);
    default:
        fputs("x86emu: see x86emu --help\n", stderr); /* getopt has said what is wrong */
        exit(EXIT_ERROR);
    }
}

void parse_options(struct options *options, int count, char **arguments)
{
    int option;

    arguments[0] = "x86emu"; /* which getopt puts before its messages */
    while ((option = getopt_long(count, arguments, "m:V:w:a:f:s:rFojh", long_options, NULL)) != -1)
        take(options, option);
    if (optind == count)
        die("no command (see x86emu --help)");
    if (strcmp(arguments[optind], "decode") != 0)
        die("unknown command '%s': the only one is decode (see x86emu --help)", arguments[optind]);
    options->hex = arguments + optind + 1;
    options->hex_count = count - optind - 1;
    if (options->file != NULL && options->hex_count > 0)
        die("--file and hex arguments exclude each other");
    if (options->file == NULL && (options->section != NULL || options->raw))
        die("--section and --raw need --file");
    if (options->section != NULL && options->raw)
        die("--section and --raw exclude each other");
}
