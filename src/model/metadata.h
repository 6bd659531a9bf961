/* metadata.h: a net's configuration, tasks and record as JSON, for checkpoints. */
#ifndef WLMI_METADATA_H
#define WLMI_METADATA_H

#include <jansson.h>

#include "model/model.h"

/* New references; NULL where memory ran out. */
json_t *wlmi_config_to_json(const wlmi_config *config);
json_t *wlmi_tasks_to_json(const wlmi_net *net);
json_t *wlmi_record_to_json(const wlmi_record *record);

/* WLM_ERR_FORMAT (no file named) says what is wrong. */
wlm_status wlmi_config_from_json(wlmi_config *config, const json_t *json, wlm_error *error);
wlm_status wlmi_record_from_json(wlmi_record *record, const json_t *json, wlm_error *error);
/* How many embedding rows the tasks take, after checking everything about them. */
wlm_status wlmi_tasks_count_rows(const json_t *json, uint64_t *rows, wlm_error *error);
/* Adds checked tasks, with their facts, to a net that has none. */
wlm_status wlmi_tasks_from_json(wlmi_net *net, const json_t *json, wlm_error *error);

#endif
