/* main.c: the command table, --help, --version, man page and completion. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

extern const command command_info, command_encode, command_decode, command_verify, command_import, command_train,
    command_classify, command_generate, command_evaluate, command_calibrate, command_convert, command_bench, command_features,
    command_embed;

const command *const commands[] = {
    &command_info,
    &command_encode,
    &command_decode,
    &command_verify,
    &command_import,
    &command_train,
    &command_classify,
    &command_generate,
    &command_evaluate,
    &command_calibrate,
    &command_convert,
    &command_bench,
    &command_features,
    &command_embed,
    NULL,
};

static void help(FILE *to)
{
    fprintf(to, "wirelm %s: a foundation model for network traffic\n\nusage: wirelm COMMAND [options]\n\n", wlm_version());
    for (size_t i = 0; commands[i]; i++)
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\n'wirelm COMMAND --help' tells more; 'wirelm man' and 'wirelm completion' print a man page and bash "
                "completion.\n");
}

static void man(void)
{
    printf(".TH WIRELM 1\n.SH NAME\nwirelm \\- foundation model for network traffic\n.SH SYNOPSIS\n.B wirelm\nCOMMAND "
           "[options]\n.SH COMMANDS\n");
    for (size_t i = 0; commands[i]; i++) {
        char *words[] = {(char *)(uintptr_t)commands[i]->name, (char *)(uintptr_t) "--man", NULL};
        commands[i]->run(commands[i], 2, words);
    }
    printf(".SH EXIT STATUS\n0: done. 1: failed. 2: wrong usage.\n");
}

static void completion(void)
{
    printf("_wirelm() {\n  local cur=${COMP_WORDS[COMP_CWORD]} words=\n  if [ $COMP_CWORD = 1 ]; then words='");
    for (size_t i = 0; commands[i]; i++)
        printf("%s ", commands[i]->name);
    printf("'\n  else case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; commands[i]; i++) {
        char *words[] = {(char *)(uintptr_t)commands[i]->name, (char *)(uintptr_t) "--words", NULL};
        printf("    %s) words='", commands[i]->name);
        commands[i]->run(commands[i], 2, words);
        printf("';;\n");
    }
    printf("  esac; fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "  [[ $cur == -* || $COMP_CWORD = 1 ]] || COMPREPLY=()\n}\n"
           "complete -o default -F _wirelm wirelm\n");
}

/* libgomp's waiting threads spin unless told otherwise, which costs several times the run time beside a busy
 * neighbour. It reads its environment before main begins: so say it, and start over. */
static void wait_passively(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || setenv("OMP_WAIT_POLICY", "passive", 1) != 0)
        return;
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    wait_passively(argv);
    if (!*name) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))
        return help(stdout), EXIT_DONE;
    if (!strcmp(name, "--version") || !strcmp(name, "-V"))
        return printf("wirelm %s\n", wlm_version()), EXIT_DONE;
    if (!strcmp(name, "man"))
        return man(), EXIT_DONE;
    if (!strcmp(name, "completion"))
        return completion(), EXIT_DONE;
    for (size_t i = 0; commands[i]; i++)
        if (!strcmp(name, commands[i]->name)) {
            int status = commands[i]->run(commands[i], argc - 1, argv + 1);
            if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "wirelm: cannot write to standard output\n");
                return EXIT_FAILED;
            }
            return status;
        }
    fprintf(stderr, "wirelm: no command '%s'; 'wirelm --help' lists them\n", name);
    return EXIT_USAGE;
}
