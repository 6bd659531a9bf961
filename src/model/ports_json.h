/* ports_json.h: the ports of a task's training flows as a value of a checkpoint's metadata. */
#ifndef WLMI_PORTS_JSON_H
#define WLMI_PORTS_JSON_H

#include <jansson.h>

#include "model/model.h"

/* {"version": 1, "labels": [a label's rows, each [proto, group, client, server, flows of class 0, of class 1, ...]]}.
 * NULL where memory ran out. */
json_t *wlmi_ports_to_json(const wlmi_task *task);
/* Whether it can be read for so many labels; what is absent, or of another version, is left unread. */
int wlmi_ports_are_valid(const json_t *ports, size_t labels);
/* Of what is valid; unread, the task's labels have no rows. */
void wlmi_ports_from_json(wlmi_task *task, const json_t *ports);

#endif
