/* ports.c: the ports that a label's flows go between. */
#include "task/ports.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "capture/decode.h"

_Static_assert((int)WLMI_FIRST_COUNT <= (int)WLMI_PORT_CLASSES, "a class has a count in each row");

/* A flow as a number: what stands higher is sorted by first. */
enum { QUARTER_BITS = 2, CLASS_AT = QUARTER_BITS, SERVER_AT = CLASS_AT + 4, CLIENT_AT = SERVER_AT + 16,
       GROUP_AT = CLIENT_AT + 16, PROTO_AT = GROUP_AT + 1, LABEL_AT = PROTO_AT + 1 };
enum { PORTS_IN_QUARTER = 65536 / WLMI_PORT_QUARTERS };
enum { FIRST_USER_PORT = 1024, SSDP_PORT = 1900, MDNS_PORT = 5353 };

/* ---------------------------------------------------------------- training flows */

/* The client's port where it belongs to a service; 0: it is ephemeral. */
static uint16_t fixed_client(const wlm_flow_key *key)
{
    uint16_t port = key->src_port;
    return port < FIRST_USER_PORT || port == key->dst_port || port == SSDP_PORT || port == MDNS_PORT ? port : 0;
}

/* The server's port; 0: it is ephemeral, as the client's is what such payload is registered for. */
static uint16_t fixed_server(const wlm_flow_key *key, wlmi_first first)
{
    return key->src_port && key->src_port == wlmi_first_port(first) && key->dst_port != key->src_port &&
                   key->dst_port >= FIRST_USER_PORT
               ? 0
               : key->dst_port;
}

wlm_status wlmi_ports_count(wlmi_port_counts *counts, int label, const wlmi_dataset *data, uint64_t i,
                            wlm_error *error)
{
    wlmi_shard_flow flow;
    wlmi_look look = {0};
    wlmi_dataset_flow(data, i, &flow);
    if (flow.key.proto != WLMI_PROTO_TCP && flow.key.proto != WLMI_PROTO_UDP)
        return WLM_OK;
    for (uint64_t j = 0; j < flow.packets; j++) {
        wlm_packet packet;
        WLMI_TRY(wlmi_dataset_packet(data, i, j, &packet, error));
        if (wlmi_look_at(&look, &packet))
            break;
    }
    if (!wlmi_grow(&counts->flow, &counts->capacity, counts->flows + 1, sizeof *counts->flow))
        return WLMI_NO_MEMORY(error);
    counts->flow[counts->flows++] = (uint64_t)label << LABEL_AT |
                                    (uint64_t)(flow.key.proto == WLMI_PROTO_UDP) << PROTO_AT |
                                    (uint64_t)look.group << GROUP_AT |
                                    (uint64_t)fixed_client(&flow.key) << CLIENT_AT |
                                    (uint64_t)fixed_server(&flow.key, look.first) << SERVER_AT | (uint64_t)look.first << CLASS_AT |
                                    (uint64_t)flow.key.src_port / PORTS_IN_QUARTER;
    return WLM_OK;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t flows_of(const wlmi_port_row *row)
{
    uint64_t sum = 0;
    for (int i = 0; i < WLMI_PORT_CLASSES; i++)
        sum += row->flows[i];
    return sum;
}

static void add_flows(wlmi_port_row *row, const wlmi_port_row *more)
{
    for (int i = 0; i < WLMI_PORT_CLASSES; i++)
        row->flows[i] += more->flows[i];
}

/* The named rows of one protocol, the most common first; an earlier one where two are as common. */
typedef struct naming {
    int rows;
    wlmi_port_row row[WLMI_PORT_ROWS], rest[2]; /* the rest: to one host, to groups */
} naming;

static void name_row(naming *n, const wlmi_port_row *row)
{
    int at = n->rows;
    while (at && flows_of(&n->row[at - 1]) < flows_of(row))
        at--;
    if (at == WLMI_PORT_ROWS) {
        add_flows(&n->rest[row->group], row);
        return;
    }
    if (n->rows == WLMI_PORT_ROWS)
        add_flows(&n->rest[n->row[WLMI_PORT_ROWS - 1].group], &n->row[WLMI_PORT_ROWS - 1]);
    else
        n->rows++;
    memmove(n->row + at + 1, n->row + at, (size_t)(n->rows - 1 - at) * sizeof *n->row);
    n->row[at] = *row;
}

static void keep_rows(wlmi_ports *ports, naming *n, uint8_t proto)
{
    for (int i = 0; i < n->rows; i++)
        ports->row[ports->rows++] = n->row[i];
    for (uint8_t group = 0; group < 2; group++) {
        n->rest[group].proto = proto;
        n->rest[group].group = group;
        if (flows_of(&n->rest[group]))
            ports->row[ports->rows++] = n->rest[group];
    }
}

void wlmi_ports_name(wlmi_port_counts *counts, wlmi_task *task)
{
    const uint64_t *flow = counts->flow;
    if (counts->flows)
        qsort(counts->flow, counts->flows, sizeof *counts->flow, by_value);
    for (size_t i = 0; i < counts->flows;) {
        const uint64_t kind = flow[i] >> PROTO_AT; /* label and protocol */
        const uint8_t proto = kind & 1 ? WLMI_PROTO_UDP : WLMI_PROTO_TCP;
        wlmi_ports *own = &task->ports[kind >> 1];
        naming n = {.rows = 0};
        if (i == 0 || flow[i - 1] >> LABEL_AT != flow[i] >> LABEL_AT)
            memset(own, 0, sizeof *own);
        while (i < counts->flows && flow[i] >> PROTO_AT == kind) {
            const uint64_t ports = flow[i] >> SERVER_AT;
            wlmi_port_row row = {.proto = proto, .group = flow[i] >> GROUP_AT & 1,
                                 .client = (uint16_t)(flow[i] >> CLIENT_AT), .server = (uint16_t)ports};
            for (; i < counts->flows && flow[i] >> SERVER_AT == ports; i++) {
                row.flows[flow[i] >> CLASS_AT & 15]++;
                own->clients[kind & 1][flow[i] & (WLMI_PORT_QUARTERS - 1)] += row.client == 0;
            }
            name_row(&n, &row);
        }
        keep_rows(own, &n, proto);
    }
}

void wlmi_port_counts_free(wlmi_port_counts *counts)
{
    wlmi_free(counts->flow);
}

/* ---------------------------------------------------------------- generated flows */

enum { ANY = -1 }; /* group or class */

static uint64_t weight(const wlmi_port_row *row, int proto, int group, int first)
{
    if (row->proto != proto || (group != ANY && row->group != group))
        return 0;
    return first == ANY ? flows_of(row) : row->flows[first];
}

/* A row drawn by its training flows; NULL where there are none. */
static const wlmi_port_row *draw(const wlmi_ports *ports, int proto, int group, int first, wlmi_rng *rng)
{
    uint64_t sum = 0, at;
    for (int i = 0; i < ports->rows; i++)
        sum += weight(&ports->row[i], proto, group, first);
    if (!sum)
        return NULL;
    at = wlmi_rng_below(rng, sum);
    for (int i = 0;; i++) {
        uint64_t flows = weight(&ports->row[i], proto, group, first);
        if (at < flows)
            return &ports->row[i];
        at -= flows;
    }
}

void wlmi_ports_draw(const wlmi_ports *ports, const wlmi_look *look, wlmi_rng *rng, uint16_t *client,
                     uint16_t *server)
{
    static const wlmi_ports nothing = {.rows = 0};
    const wlmi_ports *from = ports ? ports : &nothing;
    const wlmi_port_row *row = draw(from, look->proto, look->group, (int)look->first, rng);
    if (!row)
        row = draw(from, look->proto, ANY, (int)look->first, rng);
    if (!row && look->first == WLMI_FIRST_NONE) /* contradicts no port */
        row = draw(from, look->proto, ANY, ANY, rng);
    const int is_turned = wlmi_first_is_turned(look->first);
    *client = row ? row->client : look->first == WLMI_FIRST_MDNS || is_turned ? wlmi_first_port(look->first) : 0;
    *server = row ? row->server : is_turned ? 0 : wlmi_first_port(look->first);
}

uint16_t wlmi_ports_client(const wlmi_ports *ports, int proto, uint16_t port, wlmi_rng *rng)
{
    const uint64_t *flows = ports ? ports->clients[proto == WLMI_PROTO_UDP] : NULL;
    const uint16_t place = port % PORTS_IN_QUARTER;
    uint64_t sum = 0, at;
    int quarter = 0;
    for (int i = 0; flows && i < WLMI_PORT_QUARTERS; i++)
        sum += flows[i];
    if (!sum)
        return port;
    for (at = wlmi_rng_below(rng, sum); at >= flows[quarter]; quarter++)
        at -= flows[quarter];
    if (!quarter && place < FIRST_USER_PORT)
        return port;
    return (uint16_t)(quarter * PORTS_IN_QUARTER + place);
}
