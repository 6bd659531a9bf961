/* parts.c: commands that are several: `wirelm evaluate classify`, `wirelm bench tokens`. */
#include <string.h>

#include "cli.h"

/* "classify" of "evaluate classify". */
static const char *short_name(const command *part)
{
    return strchr(part->name, ' ') + 1;
}

static void help(const command *self, const command *parts)
{
    printf("wirelm %s: %s\n\nusage: wirelm %s %s\n\n", self->name, self->summary, self->name, self->synopsis);
    for (const command *part = parts; part->name; part++)
        printf("  %-10s %s\n", short_name(part), part->summary);
    printf("\n'wirelm %s WHAT --help' tells more.\n", self->name);
}

int run_part(const command *self, const command *parts, int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "--help") || !strcmp(what, "-h"))
        return help(self, parts), EXIT_DONE;
    if (!strcmp(what, "--man") || !strcmp(what, "--words")) {
        for (const command *part = parts; part->name; part++) {
            if (!strcmp(what, "--words"))
                printf("%s ", short_name(part));
            part->run(part, argc, argv);
        }
        return EXIT_DONE;
    }
    for (const command *part = parts; part->name; part++)
        if (!strcmp(what, short_name(part)))
            return part->run(part, argc - 1, argv + 1);
    return *what ? usage_error(self, "cannot %s '%s'", self->name, what) : usage_error(self, "%s what?", self->name);
}
