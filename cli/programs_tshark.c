/* programs_tshark.c: what tshark says of packets, and which requests it finds answered. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "programs.h"

enum { /* columns of its output; some hold several values with commas between them */
    STREAM_TCP, STREAM_UDP, GROUP, SEVERITY, MDNS, DNS_RESPONSE, DNS_ID, DNS_NAME, HTTP_REQUEST, HTTP_RESPONSE, HTTP_TO,
    TLS_TYPE, COLUMNS
};

static const char *const field_name[COLUMNS] = {
    "tcp.stream", "udp.stream", "_ws.expert.group", "_ws.expert.severity", "mdns", "dns.flags.response",
    "dns.id", "dns.qry.name", "http.request.method", "http.response.code", "http.request_in", "tls.handshake.type"};

/* Wireshark's numbers (epan/proto.h: PI_MALFORMED, PI_ERROR, PI_WARN). */
static const unsigned long group_malformed = 0x07000000, severity_error = 0x00800000, severity_warning = 0x00600000;

typedef struct query {
    unsigned long stream, id;
    const char *name;
} query;

typedef struct view {
    uint64_t packets, malformed, errors, warnings;
    uint64_t dns_queries, dns_responses, dns_matched, dns_same_name;
    uint64_t http_requests, http_responses, http_matched;
    uint64_t client_hellos, server_hellos, hellos_answered;
    query *query; /* of DNS, so far */
    size_t capacity;
    unsigned char *greeted; /* [greeted_size]: TCP streams with a Client Hello */
    size_t greeted_size;
} view;

/* Whether one of the numbers, with commas between them, is this one. */
static int has_number(const char *values, unsigned long wanted)
{
    while (*values) {
        char *end;
        unsigned long value = strtoul(values, &end, 0);
        if (end == values)
            return 0;
        if (value == wanted)
            return 1;
        values = *end == ',' ? end + 1 : end;
    }
    return 0;
}

static int keep_query(view *v, const query *q)
{
    if (v->dns_queries == v->capacity) {
        size_t wider = v->capacity ? 2 * v->capacity : 256;
        query *grown = realloc(v->query, wider * sizeof *grown);
        if (!grown)
            return 0;
        v->query = grown;
        v->capacity = wider;
    }
    v->query[v->dns_queries++] = *q;
    return 1;
}

/* name stays where it is in the output. */
static int read_dns(view *v, const char *stream, char **field)
{
    const char *name = field[DNS_NAME];
    const query q = {strtoul(stream, NULL, 10), strtoul(field[DNS_ID], NULL, 0), next_field(&field[DNS_NAME], ',')};
    if (has_number(field[DNS_RESPONSE], 0))
        return keep_query(v, &q);
    v->dns_responses++;
    for (size_t i = (size_t)v->dns_queries; i-- > 0;)
        if (v->query[i].stream == q.stream && v->query[i].id == q.id) {
            v->dns_matched++;
            v->dns_same_name += !strcmp(v->query[i].name, name);
            break;
        }
    return 1;
}

static int read_tls(view *v, const char *stream, const char *types)
{
    size_t number = strtoul(stream, NULL, 10);
    if (has_number(types, 1)) {
        v->client_hellos++;
        if (number >= v->greeted_size) {
            unsigned char *grown = realloc(v->greeted, 2 * number + 64);
            if (!grown)
                return 0;
            memset(grown + v->greeted_size, 0, 2 * number + 64 - v->greeted_size);
            v->greeted = grown;
            v->greeted_size = 2 * number + 64;
        }
        v->greeted[number] = 1;
    }
    if (has_number(types, 2)) {
        v->server_hellos++;
        if (number < v->greeted_size && v->greeted[number]) {
            v->hellos_answered++;
            v->greeted[number] = 0;
        }
    }
    return 1;
}

static int read_packet(view *v, char *line)
{
    char *field[COLUMNS], *stream;
    for (int i = 0; i < COLUMNS; i++)
        if (!(field[i] = next_field(&line, '\t')))
            return 1; /* not a line of ours */
    stream = *field[STREAM_TCP] ? field[STREAM_TCP] : field[STREAM_UDP];
    v->packets++;
    v->malformed += has_number(field[GROUP], group_malformed) && has_number(field[SEVERITY], severity_error);
    v->errors += has_number(field[SEVERITY], severity_error);
    v->warnings += has_number(field[SEVERITY], severity_warning);
    v->http_requests += *field[HTTP_REQUEST] != 0;
    v->http_responses += *field[HTTP_RESPONSE] != 0;
    v->http_matched += *field[HTTP_RESPONSE] && *field[HTTP_TO];
    if (*field[DNS_ID] && !*field[MDNS] && !read_dns(v, stream, field)) /* multicast DNS answers without being asked */
        return 0;
    return !*field[TLS_TYPE] || read_tls(v, stream, field[TLS_TYPE]);
}

static json_t *share(uint64_t part, uint64_t of)
{
    return of ? json_real((double)part / (double)of) : json_null();
}

static json_t *view_json(const view *v)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:{s:I, s:I, s:o, s:o}, s:{s:I, s:I, s:o}, s:{s:I, s:I, s:o}}", "packets",
                     (json_int_t)v->packets, "malformed_share", share(v->malformed, v->packets), "error_share",
                     share(v->errors, v->packets), "warning_share", share(v->warnings, v->packets), "dns", "queries",
                     (json_int_t)v->dns_queries, "responses", (json_int_t)v->dns_responses, "same_id_share",
                     share(v->dns_matched, v->dns_responses), "same_name_share",
                     share(v->dns_same_name, v->dns_responses), "http", "requests", (json_int_t)v->http_requests,
                     "responses", (json_int_t)v->http_responses, "answered_share",
                     share(v->http_matched, v->http_requests), "tls", "client_hellos", (json_int_t)v->client_hellos,
                     "server_hellos", (json_int_t)v->server_hellos, "answered_share",
                     share(v->hellos_answered, v->client_hellos));
}

json_t *see_with_tshark(const char *capture, const char *scratch, program_end *end)
{
    static const char *const before[] = {"tshark", "-n", "-r"}, *const after[] = {"-T", "fields"};
    const char *argv[sizeof before / sizeof *before + 1 + sizeof after / sizeof *after + 2 * COLUMNS + 1];
    char *text, *rest, *line;
    size_t n = 0;
    view v = {0};
    json_t *report = NULL;
    int room = 1;
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        argv[n++] = before[i];
    argv[n++] = capture;
    for (size_t i = 0; i < sizeof after / sizeof *after; i++)
        argv[n++] = after[i];
    for (size_t i = 0; i < COLUMNS; i++) {
        argv[n++] = "-e";
        argv[n++] = field_name[i];
    }
    argv[n] = NULL;
    *end = run_program(argv, scratch, PROGRAM_LIMIT_S);
    text = *end == PROGRAM_DONE ? read_text(scratch) : NULL;
    for (rest = text; room && (line = next_line(&rest));)
        room = read_packet(&v, line);
    if (*end == PROGRAM_DONE)
        *end = text && room ? PROGRAM_DONE : PROGRAM_FAILED;
    if (*end == PROGRAM_DONE)
        report = view_json(&v);
    free(v.query);
    free(v.greeted);
    free(text);
    return report;
}
