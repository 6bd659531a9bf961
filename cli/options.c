/* options.c: parses an option table, and prints it as help, man page or completion words. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static int parse_u64(const char *text, uint64_t *value)
{
    char *end;
    errno = 0;
    if (*text < '0' || *text > '9')
        return 0;
    *value = strtoull(text, &end, 10);
    return !errno && !*end;
}

static int parse_real(const char *text, double *value)
{
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    return end != text && !*end && isfinite(*value);
}

static int parse_seconds(const char *text, double *value)
{
    char *end;
    double unit = 1;
    *value = strtod(text, &end);
    if (end == text || !isfinite(*value) || *value < 0)
        return 0;
    if (*end == 'm')
        unit = 60, end++;
    else if (*end == 'h')
        unit = 3600, end++;
    else if (*end == 's')
        end++;
    *value *= unit;
    return !*end;
}

/* Room for words, chained: what a command line is made of lives as long as the program. */
static struct words {
    struct words *next;
    const char *word[];
} *kept;

static const char **room_for(size_t count)
{
    struct words *w = malloc(sizeof *w + count * sizeof *w->word);
    if (!w)
        return NULL;
    w->next = kept;
    kept = w;
    return w->word;
}

static int append(list *l, const char *word)
{
    if ((l->count & (l->count - 1)) == 0) { /* full: its room is a power of two */
        const char **grown = room_for(l->count ? 2 * l->count : 1);
        if (!grown)
            return 0;
        if (l->count)
            memcpy(grown, l->item, l->count * sizeof *grown);
        l->item = grown;
    }
    l->item[l->count++] = word;
    return 1;
}

static int set(const option *o, const char *word)
{
    uint64_t number;
    switch (o->kind) {
    case OPTION_FLAG: *(int *)o->target = 1; return 1;
    case OPTION_TEXT: *(const char **)o->target = word; return 1;
    case OPTION_LIST: return append(o->target, word);
    case OPTION_U64: return parse_u64(word, o->target);
    case OPTION_REAL: return parse_real(word, o->target);
    case OPTION_SECONDS: return parse_seconds(word, o->target);
    case OPTION_TIME: return parse_time(word, o->target);
    case OPTION_HIDE: return wlm_hide_parse(word, o->target) == WLM_OK;
    case OPTION_UNIT: return wlm_unit_parse(word, o->target) == WLM_OK;
    case OPTION_DTYPE: return wlm_dtype_parse(word, o->target) == WLM_OK;
    case OPTION_PARTS:
        if (!strcmp(word, "all")) {
            *(wlm_part *)o->target = WLM_PART_NONE;
            return 1;
        }
        /* fall through */
    case OPTION_PART:
        for (int part = WLM_PART_TRAIN; part <= WLM_PART_TEST; part++)
            if (!strcmp(word, wlm_part_name((wlm_part)part))) {
                *(wlm_part *)o->target = (wlm_part)part;
                return 1;
            }
        return 0;
    case OPTION_PAYLOAD:
        if (!strcmp(word, "full")) {
            *(uint32_t *)o->target = WLM_PAYLOAD_FULL;
            return 1;
        }
        if (!strcmp(word, "none")) {
            *(uint32_t *)o->target = 0;
            return 1;
        } /* fall through */
    case OPTION_U32:
        if (!parse_u64(word, &number) || number >= UINT32_MAX)
            return 0;
        *(uint32_t *)o->target = (uint32_t)number;
        return 1;
    }
    return 0;
}

static void default_text(const option *o, char text[64])
{
    text[0] = 0;
    switch (o->kind) {
    case OPTION_TEXT:
        if (*(const char **)o->target)
            snprintf(text, 64, "%s", *(const char **)o->target);
        break;
    case OPTION_U64: snprintf(text, 64, "%llu", (unsigned long long)*(uint64_t *)o->target); break;
    case OPTION_U32: snprintf(text, 64, "%u", *(uint32_t *)o->target); break;
    case OPTION_REAL:
    case OPTION_SECONDS: snprintf(text, 64, "%g", *(double *)o->target); break;
    case OPTION_TIME: time_text(*(int64_t *)o->target, 0, text); break;
    case OPTION_HIDE: snprintf(text, 64, "%s", wlm_hide_name(*(wlm_hide *)o->target)); break;
    case OPTION_UNIT: snprintf(text, 64, "%s", wlm_unit_name(*(wlm_unit *)o->target)); break;
    case OPTION_DTYPE: snprintf(text, 64, "%s", wlm_dtype_name(*(wlm_dtype *)o->target)); break;
    case OPTION_PARTS:
        if (*(wlm_part *)o->target == WLM_PART_NONE) {
            snprintf(text, 64, "all");
            break;
        }
        /* fall through */
    case OPTION_PART: snprintf(text, 64, "%s", wlm_part_name(*(wlm_part *)o->target)); break;
    case OPTION_PAYLOAD:
        if (*(uint32_t *)o->target == WLM_PAYLOAD_FULL)
            snprintf(text, 64, "full");
        else
            snprintf(text, 64, "%u", *(uint32_t *)o->target);
        break;
    case OPTION_FLAG:
    case OPTION_LIST: break;
    }
}

static void print_help_text(const option *o)
{
    const char *mark = strstr(o->help, "%default");
    char text[64];
    default_text(o, text);
    if (mark)
        printf("%.*s%s%s", (int)(mark - o->help), o->help, text, mark + strlen("%default"));
    else
        printf("%s", o->help);
}

static void print_help(const command *self, const option *table)
{
    printf("wirelm %s: %s\n\nusage: wirelm %s %s\n\n", self->name, self->summary, self->name, self->synopsis);
    for (const option *o = table; o->name; o++) {
        char left[64], letter[8] = "    ";
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->argument ? " " : "", o->argument ? o->argument : "");
        printf("  %-28s ", left);
        print_help_text(o);
        printf("\n");
    }
}

static void print_man(const command *self, const option *table)
{
    printf(".SS wirelm %s %s\n%s.\n", self->name, self->synopsis, self->summary);
    for (const option *o = table; o->name; o++) {
        printf(".TP\n\\fB");
        if (o->letter)
            printf("\\-%c, ", o->letter);
        printf("\\-\\-%s\\fR %s\n", o->name, o->argument ? o->argument : "");
        print_help_text(o);
        printf("\n");
    }
}

static const option *find(const option *table, const char *word)
{
    for (const option *o = table; o->name; o++) {
        if (word[1] == '-' && !strcmp(o->name, word + 2))
            return o;
        if (word[1] == o->letter && o->letter && !word[2])
            return o;
    }
    return NULL;
}

/* Where a filter may follow, a list takes only words that are files: `-r a.pcap b.pcap tcp port 80`. */
static int is_list_word(const char *word, int filter_follows)
{
    if (word[0] == '-' && word[1])
        return 0;
    return !filter_follows || !strcmp(word, "-") || access(word, F_OK) == 0;
}

static int parse(const command *self, const option *table, int argc, char **argv, list *rest, int filter_follows)
{
    int only_rest = 0;
    unsigned char seen[64] = {0};
    for (int i = 1; i < argc; i++) {
        char *word = argv[i], *value = NULL;
        const option *o;
        if (only_rest || word[0] != '-' || !word[1]) {
            if (!rest)
                return usage_error(self, "'%s' is not expected here", word);
            if (!append(rest, word))
                return EXIT_FAILED;
            continue;
        }
        if (!strcmp(word, "--")) {
            only_rest = 1;
            continue;
        }
        if (!strcmp(word, "--help") || !strcmp(word, "-h"))
            return print_help(self, table), EXIT_DONE;
        if (!strcmp(word, "--man"))
            return print_man(self, table), EXIT_DONE;
        if (!strcmp(word, "--words")) {
            for (o = table; o->name; o++)
                printf("--%s ", o->name);
            return EXIT_DONE;
        }
        if (word[1] == '-' && (value = strchr(word, '=')))
            *value++ = 0;
        o = find(table, word);
        if (!o)
            return usage_error(self, "no option '%s'", word);
        seen[o - table] = 1;
        if (o->kind == OPTION_FLAG) {
            if (value)
                return usage_error(self, "option '%s' takes no value", word);
            set(o, NULL);
            continue;
        }
        if (!value && i + 1 < argc)
            value = argv[++i];
        if (!value)
            return usage_error(self, "option '%s' needs a value: %s", word, o->argument);
        if (!set(o, value))
            return usage_error(self, "option '%s' cannot be '%s'", word, value);
        while (o->kind == OPTION_LIST && i + 1 < argc && is_list_word(argv[i + 1], filter_follows))
            if (!append(o->target, argv[++i]))
                return EXIT_FAILED;
    }
    for (const option *o = table; o->name; o++)
        if (o->required && !seen[o - table])
            return usage_error(self, "option '%s%c%s%s' is missing", o->letter ? "-" : "", o->letter ? o->letter : ' ',
                               o->letter ? ", --" : "--", o->name);
    return -1;
}

int parse_options(const command *self, const option *table, int argc, char **argv, list *rest)
{
    return parse(self, table, argc, argv, rest, 0);
}

int parse_options_filter(const command *self, const option *table, int argc, char **argv, const char **filter)
{
    list rest = {NULL, 0};
    size_t size = 1;
    char *joined;
    int status = parse(self, table, argc, argv, &rest, 1);
    *filter = NULL;
    if (status >= 0 || rest.count == 0)
        return status;
    for (size_t i = 0; i < rest.count; i++)
        size += strlen(rest.item[i]) + 1;
    joined = (char *)room_for(size / sizeof(char *) + 1);
    if (!joined)
        return EXIT_FAILED;
    *joined = 0;
    for (size_t i = 0; i < rest.count; i++) {
        if (i)
            strcat(joined, " ");
        strcat(joined, rest.item[i]);
    }
    *filter = joined;
    return -1;
}
