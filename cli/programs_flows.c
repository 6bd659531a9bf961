/* programs_flows.c: what ndpiReader and tcptrace call each flow. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

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
