/* programs_flows.c: what ndpiReader, tcptrace and Suricata call each flow. */
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs.h"

static void count_one(json_t *counts, const char *name)
{
    json_object_set_new(counts, name, json_integer(json_integer_value(json_object_get(counts, name)) + 1));
}

/* ndpiReader's flows as comma-separated values: the column ndpi_proto, up to its first dot: "TLS" of "TLS.Google", for
 * what stands behind the dot follows from names and addresses, which models are not shown. */
json_t *see_with_ndpi(const char *capture, const char *scratch, program_end *end)
{
    const char *argv[] = {"ndpiReader", "-q", "-i",
                    capture, "-C", scratch, NULL};
    json_t *protocols = json_object();
    char *text, *rest, *line;
    int column = -1;
    *end = run_program(argv, "/dev/null", PROGRAM_LIMIT_S);
    text = *end == PROGRAM_DONE ? read_text(scratch) : NULL;
    if (*end == PROGRAM_DONE && !text)
        *end = PROGRAM_FAILED;
    for (rest = text; (line = next_line(&rest));) {
        char *field;
        for (int i = 0; (field = next_field(&line, ',')); i++) {
            if (column < 0 && !strcmp(field, "ndpi_proto")) {
                column = i;
                break;
            }
            if (column == i) {
                count_one(protocols, next_field(&field, '.'));
                break;
            }
        }
    }
    free(text);
    if (*end == PROGRAM_DONE && column < 0)
        *end = PROGRAM_FAILED;
    if (*end == PROGRAM_DONE)
        return json_pack("{s:o}", "protocols", protocols);
    json_decref(protocols);
    return NULL;
}

/* tcptrace's brief list has a line for each connection:
 * "  3: host:port - host:port (e2f)  14>  9<  (complete)  (reset)".
 * What stands behind the last counter is what became of it; nothing: it was neither opened and closed, nor reset. */
json_t *see_with_tcptrace(const char *capture, const char *scratch, program_end *end)
{
    const char *argv[] = {"tcptrace", "-n", capture, NULL};
    char *text, *rest, *line;
    json_t *connections = json_object();
    *end = run_program(argv, scratch, PROGRAM_LIMIT_S);
    text = *end == PROGRAM_DONE ? read_text(scratch) : NULL;
    if (*end == PROGRAM_DONE && !text)
        *end = PROGRAM_FAILED;
    for (rest = text; (line = next_line(&rest));) {
        const char *count = strrchr(line, '<');
        if (!count || !strstr(line, " - "))
            continue;
        if (strstr(count, "(complete)"))
            count_one(connections, strstr(count, "(reset)") ? "complete, reset" : "complete");
        else if (strstr(count, "(reset)"))
            count_one(connections, "reset");
        else
            count_one(connections, strstr(count, "(unidirectional)") ? "unidirectional" : "open");
    }
    free(text);
    if (*end == PROGRAM_DONE)
        return json_pack("{s:o}", "connections", connections);
    json_decref(connections);
    return NULL;
}

static void remove_folder(const char *folder)
{
    DIR *files = opendir(folder);
    struct dirent *file;
    char path[4600];
    while (files && (file = readdir(files))) {
        snprintf(path, sizeof path, "%s/%s", folder, file->d_name);
        unlink(path);
    }
    if (files)
        closedir(files);
    rmdir(folder);
}

/* Suricata's event log (EVE) has a line for each flow: the application protocol that it found; "failed": it looked at the
 * payload and knows none. No signatures are loaded: what they would say is of hosts and names, which are made up. */
json_t *see_with_suricata(const char *capture, const char *scratch, program_end *end)
{
    char folder[4300], log[4400];
    const char *argv[] = {"suricata", "-r", capture, "-l", folder, "-k", "none", "--runmode", "single", "-S", "/dev/null",
                          NULL};
    json_t *protocols = json_object();
    char *text, *rest, *line;
    snprintf(folder, sizeof folder, "%s.logs", scratch);
    snprintf(log, sizeof log, "%s/eve.json", folder);
    *end = mkdir(folder, 0700) == 0 ? run_program(argv, "/dev/null", PROGRAM_LIMIT_S) : PROGRAM_FAILED;
    text = *end == PROGRAM_DONE ? read_text(log) : NULL;
    if (*end == PROGRAM_DONE && !text)
        *end = PROGRAM_FAILED;
    for (rest = text; (line = next_line(&rest));) {
        json_t *event = json_loads(line, 0, NULL);
        const char *type = json_string_value(json_object_get(event, "event_type"));
        const char *protocol = json_string_value(json_object_get(event, "app_proto"));
        if (type && !strcmp(type, "flow"))
            count_one(protocols, protocol ? protocol : "none");
        json_decref(event);
    }
    free(text);
    remove_folder(folder);
    if (*end == PROGRAM_DONE)
        return json_pack("{s:o}", "protocols", protocols);
    json_decref(protocols);
    return NULL;
}
