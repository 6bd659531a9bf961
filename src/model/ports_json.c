/* ports_json.c: the ports of a task's training flows as a value of a checkpoint's metadata. */
#include "model/ports_json.h"

#include <string.h>

enum { VERSION = 1, HEAD = 4 /* numbers of a row before its counts */ };

static json_t *row_to_json(const wlmi_port_row *row)
{
    json_t *out = json_pack("[i, i, i, i]", row->proto, row->group, row->client, row->server);
    int classes = WLMI_PORT_CLASSES;
    while (classes && !row->flows[classes - 1])
        classes--;
    for (int i = 0; i < classes; i++)
        json_array_append_new(out, json_integer((json_int_t)row->flows[i]));
    return out;
}

enum { CLIENTS = 2 * WLMI_PORT_QUARTERS };

static json_t *clients_to_json(const wlmi_ports *ports)
{
    json_t *out = json_array();
    for (int i = 0; i < CLIENTS; i++)
        json_array_append_new(out, json_integer((json_int_t)ports->clients[i / WLMI_PORT_QUARTERS][i % WLMI_PORT_QUARTERS]));
    return out;
}

json_t *wlmi_ports_to_json(const wlmi_task *task)
{
    json_t *labels = json_array(), *clients = json_array();
    for (int i = 0; i < task->labels; i++) {
        json_t *rows = json_array();
        for (int r = 0; r < task->ports[i].rows; r++)
            json_array_append_new(rows, row_to_json(&task->ports[i].row[r]));
        json_array_append_new(labels, rows);
        json_array_append_new(clients, clients_to_json(&task->ports[i]));
    }
    return json_pack("{s:i, s:o, s:o}", "version", VERSION, "labels", labels, "clients", clients);
}

static int is_known(const json_t *ports)
{
    return json_integer_value(json_object_get(ports, "version")) == VERSION;
}

/* Flows are few enough that sums of them cannot run over. */
static const json_int_t most_flows = INT64_C(1) << 48;

static int is_number(const json_t *number, json_int_t high)
{
    return json_is_integer(number) && json_integer_value(number) >= 0 && json_integer_value(number) <= high;
}

static int is_row(const json_t *row)
{
    static const json_int_t high[HEAD] = {UINT8_MAX, 1, UINT16_MAX, UINT16_MAX};
    size_t count = json_array_size(row);
    if (count < HEAD || count > HEAD + WLMI_PORT_CLASSES)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (!is_number(json_array_get(row, i), i < HEAD ? high[i] : most_flows))
            return 0;
    return 1;
}

static int are_clients(const json_t *clients)
{
    if (json_array_size(clients) != CLIENTS)
        return 0;
    for (size_t i = 0; i < CLIENTS; i++)
        if (!is_number(json_array_get(clients, i), most_flows))
            return 0;
    return 1;
}

int wlmi_ports_are_valid(const json_t *ports, size_t labels)
{
    const json_t *list = json_object_get(ports, "labels"), *clients = json_object_get(ports, "clients");
    if (!ports || (json_is_object(ports) && !is_known(ports)))
        return 1;
    if (!json_is_array(list) || json_array_size(list) != labels || (clients && json_array_size(clients) != labels))
        return 0;
    for (size_t i = 0; i < json_array_size(clients); i++)
        if (!are_clients(json_array_get(clients, i)))
            return 0;
    for (size_t i = 0; i < labels; i++) {
        const json_t *rows = json_array_get(list, i);
        if (!json_is_array(rows) || json_array_size(rows) > WLMI_PORTS_MOST)
            return 0;
        for (size_t r = 0; r < json_array_size(rows); r++)
            if (!is_row(json_array_get(rows, r)))
                return 0;
    }
    return 1;
}

static json_int_t number_of(const json_t *row, size_t i)
{
    return json_integer_value(json_array_get(row, i));
}

static void row_from_json(wlmi_port_row *out, const json_t *row)
{
    memset(out, 0, sizeof *out);
    out->proto = (uint8_t)number_of(row, 0);
    out->group = (uint8_t)number_of(row, 1);
    out->client = (uint16_t)number_of(row, 2);
    out->server = (uint16_t)number_of(row, 3);
    for (size_t i = HEAD; i < json_array_size(row); i++)
        out->flows[i - HEAD] = (uint64_t)number_of(row, i);
}

void wlmi_ports_from_json(wlmi_task *task, const json_t *ports)
{
    const json_t *list = json_object_get(ports, "labels"), *clients = json_object_get(ports, "clients");
    if (!ports || !is_known(ports))
        return;
    for (int i = 0; i < task->labels; i++) {
        const json_t *rows = json_array_get(list, (size_t)i);
        task->ports[i].rows = (int)json_array_size(rows);
        for (int r = 0; r < task->ports[i].rows; r++)
            row_from_json(&task->ports[i].row[r], json_array_get(rows, (size_t)r));
        for (int q = 0; q < CLIENTS; q++)
            task->ports[i].clients[q / WLMI_PORT_QUARTERS][q % WLMI_PORT_QUARTERS] =
                (uint64_t)number_of(json_array_get(clients, (size_t)i), (size_t)q);
    }
}
