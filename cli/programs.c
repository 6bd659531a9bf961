/* programs.c: runs other programs: fixed arguments, output into a file, a time limit. */
#include "programs.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const double look_every_s = 0.02;

const char *program_end_name(program_end end)
{
    static const char *const names[] = {"done", "absent", "failed", "slow"};
    return names[end];
}

static void wait_a_moment(void)
{
    const struct timespec moment = {0, (long)(look_every_s * 1e9)};
    nanosleep(&moment, NULL);
}

static program_end await(pid_t child, double seconds)
{
    double waited = 0;
    int status;
    for (;; waited += look_every_s) {
        pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child)
            return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? PROGRAM_DONE
                   : WIFEXITED(status) && WEXITSTATUS(status) == 127 ? PROGRAM_ABSENT
                                                                     : PROGRAM_FAILED;
        if (ended < 0 && errno != EINTR)
            return PROGRAM_FAILED;
        if (waited > seconds)
            break;
        wait_a_moment();
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return PROGRAM_SLOW;
}

program_end run_program(const char *const argv[], const char *output, double seconds)
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    int failed;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return PROGRAM_FAILED;
    failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) ||
             posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0600) ||
             posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (!failed)
        failed = posix_spawnp(&child, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed)
        return failed == ENOENT ? PROGRAM_ABSENT : PROGRAM_FAILED;
    return await(child, seconds);
}

/* ---------------------------------------------------------------- reading what they wrote */

char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0, capacity = 0, got;
    if (!file)
        return NULL;
    do {
        char *grown;
        capacity = capacity ? 2 * capacity : 65536;
        grown = realloc(text, capacity + 1);
        if (!grown)
            break;
        text = grown;
        got = fread(text + size, 1, capacity - size, file);
        size += got;
    } while (size == capacity);
    fclose(file);
    if (text)
        text[size] = 0;
    return text;
}

char *next_field(char **line, char sign)
{
    char *field = *line, *end = field ? strchr(field, sign) : NULL;
    *line = end ? end + 1 : NULL;
    if (end)
        *end = 0;
    return field;
}

char *next_line(char **text)
{
    if (!*text || !**text)
        return NULL;
    return next_field(text, '\n');
}

/* ---------------------------------------------------------------- all of them */

enum { CAPTURES = 3 };
static const char *const capture_name[CAPTURES] = {"real", "fake", "training"};

static json_t *see(program_view *view, const char *const captures[CAPTURES], const char *scratch)
{
    program_end end = PROGRAM_DONE;
    json_t *all = json_object();
    for (int i = 0; i < CAPTURES && end == PROGRAM_DONE; i++)
        if (captures[i])
            json_object_set_new(all, capture_name[i], view(captures[i], scratch, &end));
    unlink(scratch);
    if (end == PROGRAM_DONE)
        return all;
    json_decref(all);
    return json_pack("{s:s}", "not_run", program_end_name(end));
}

static double total_of(json_t *counts)
{
    const char *verdict;
    json_t *count;
    double total = 0;
    json_object_foreach(counts, verdict, count)
        total += json_number_value(count);
    return total;
}

/* The verdict that most of the real flows get, the shares of either kind that get it, and how far the two kinds' shares
 * of all verdicts overlap: 1: they are the same. Of training, how its share compares to that of the real ones. */
static void add_agreement(json_t *program, const char *of)
{
    json_t *real = json_object_get(json_object_get(program, "real"), of), *count;
    json_t *fake = json_object_get(json_object_get(program, "fake"), of);
    json_t *train = json_object_get(json_object_get(program, "training"), of), *agreement;
    double total_real = total_of(real), total_fake = total_of(fake), total_train = total_of(train);
    double most_real = 0, most_fake = 0, overlap = 0;
    const char *verdict, *most = NULL;
    if (total_real == 0 || total_fake == 0)
        return;
    json_object_foreach(real, verdict, count) {
        double share = json_number_value(count) / total_real;
        double same = json_number_value(json_object_get(fake, verdict)) / total_fake;
        overlap += share < same ? share : same;
        if (share > most_real) {
            most = verdict;
            most_real = share;
            most_fake = same;
        }
    }
    agreement = json_pack("{s:s, s:f, s:f, s:f, s:f}", "majority", most, "real_share", most_real, "fake_share",
                          most_fake, "ratio", most_fake / most_real, "overlap", overlap);
    if (total_train > 0)
        json_object_set_new(agreement, "copy_of_training", json_real(json_number_value(json_object_get(train, most)) /
                                                                     total_train / most_real));
    json_object_set_new(program, "agreement", agreement);
}

json_t *what_programs_see(const char *real, const char *fake, const char *training, const char *folder)
{
    const char *const captures[CAPTURES] = {real, fake, training};
    static const struct {
        const char *name;
        program_view *view;
        const char *verdicts; /* an object of counts in what it gives, or NULL */
    } programs[] = {{"tshark", see_with_tshark, NULL},
                    {"ndpiReader", see_with_ndpi, "protocols"},
                    {"tcptrace", see_with_tcptrace, "connections"},
                    {"suricata", see_with_suricata, "protocols"}};
    json_t *all = json_object();
    char scratch[4200];
    snprintf(scratch, sizeof scratch, "%s/output", folder);
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        json_t *one = see(programs[i].view, captures, scratch);
        if (one && programs[i].verdicts)
            add_agreement(one, programs[i].verdicts);
        json_object_set_new(all, programs[i].name, one);
    }
    return all;
}
