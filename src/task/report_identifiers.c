/* report_identifiers.c: identifiers of generated flows that come from training. */
#include "task/report_identifiers.h"

#include <string.h>

#include "base/alloc.h"

enum { EXAMPLES = 8, LONGEST = 1024 };

typedef struct gathered {
    wlmi_strings text[WLMI_IDENTIFIERS]; /* distinct ones */
} gathered;

static wlm_status keep(void *user, wlmi_identifier kind, const char *text, size_t length, wlm_error *error)
{
    gathered *g = user;
    char copy[LONGEST + 1];
    length = length < LONGEST ? length : LONGEST;
    for (size_t i = 0; i < length; i++)
        copy[i] = text[i] >= ' ' && text[i] < 127 ? text[i] : '?'; /* JSON wants UTF-8 */
    copy[length] = 0;
    return wlmi_strings_add(&g->text[kind], copy) == WLMI_NO_STRING ? WLMI_NO_MEMORY(error) : WLM_OK;
}

static wlm_status gather(gathered *g, const wlmi_flow_view *view, wlm_error *error)
{
    for (size_t i = 0; i < view->flows; i++) {
        const wlmi_report_flow *flow = &view->set->flow[view->flow[i]];
        for (size_t p = flow->first; p < flow->first + flow->count; p++) {
            wlm_packet packet = wlmi_flow_set_packet(view->set, p);
            WLMI_TRY(wlmi_identifiers_of(&packet, keep, g, error));
        }
    }
    return WLM_OK;
}

/* examples: NULL, or where those known from training are named. */
static json_t *count_json(const wlmi_strings *own, const wlmi_strings *known, int examples)
{
    json_t *shown = json_array();
    size_t shared = 0;
    for (size_t i = 0; i < own->count; i++) {
        if (!known->count || wlmi_strings_find(known, own->text[i]) == WLMI_NO_STRING)
            continue;
        if (shared++ < EXAMPLES && examples)
            json_array_append_new(shown, json_string(own->text[i]));
    }
    if (!examples)
        json_decref(shown);
    return examples ? json_pack("{s:I, s:I, s:o}", "distinct", (json_int_t)own->count, "from_training",
                                (json_int_t)shared, "examples", shown)
                    : json_pack("{s:I, s:I}", "distinct", (json_int_t)own->count, "from_training", (json_int_t)shared);
}

wlm_status wlmi_report_identifiers(const wlmi_flow_view *real, const wlmi_flow_view *fake,
                                   const wlmi_flow_view *train, json_t **report, wlm_error *error)
{
    static const char *const names[WLMI_IDENTIFIERS] = {"addresses", "macs", "names", "credentials"};
    const wlmi_flow_view *view[] = {real, fake, train};
    gathered g[3];
    wlm_status status = WLM_OK;
    memset(g, 0, sizeof g);
    for (int i = 0; status == WLM_OK && i < 3; i++)
        status = gather(&g[i], view[i], error);
    if (status == WLM_OK) {
        *report = json_object();
        for (int k = 0; k < WLMI_IDENTIFIERS; k++)
            json_object_set_new(*report, names[k],
                                json_pack("{s:o, s:o}", "fake", count_json(&g[1].text[k], &g[2].text[k], 1), "real",
                                          count_json(&g[0].text[k], &g[2].text[k], 0)));
        status = *report ? WLM_OK : WLMI_NO_MEMORY(error);
    }
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < WLMI_IDENTIFIERS; k++)
            wlmi_strings_free(&g[i].text[k]);
    return status;
}
