/* token_report.c: the JSON of wlm_evaluate_tokens(): flat, each figure with its unit in its name. */
#include "task/token_report.h"

#include <string.h>

#include "task/json.h"

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static void set_count(json_t *object, const char *key, uint64_t value)
{
    set(object, key, json_integer((json_int_t)value));
}

/* Tokens, bits, and bits for each of so many bytes. */
static json_t *cost_json(const wlmi_cost *cost, uint64_t bytes)
{
    return json_pack("{s:I, s:f, s:f}", "tokens", (json_int_t)cost->tokens, "bits", cost->bits, "bits_per_byte",
                     ratio(cost->bits, (double)bytes));
}

/* ---------------------------------------------------------------- the model */

static wlmi_cost section_cost(const wlmi_tally *t, int section)
{
    wlmi_cost sum = {0, 0};
    for (int on = 0; on < WLMI_ONS; on++) {
        sum.tokens += t->on[on].cost[section].tokens;
        sum.bits += t->on[on].cost[section].bits;
    }
    return sum;
}

static json_t *on_json(const wlmi_on_cost *on)
{
    wlmi_cost all = {0, 0};
    json_t *object;
    for (int s = 0; s < WLMI_SECTIONS; s++) {
        all.tokens += on->cost[s].tokens;
        all.bits += on->cost[s].bits;
    }
    object = cost_json(&all, on->bytes);
    set_count(object, "packets", on->packets);
    set_count(object, "bytes", on->bytes);
    for (int s = 0; s < WLMI_SECTIONS; s++)
        set(object, wlmi_section_names[s], cost_json(&on->cost[s], on->bytes));
    return object;
}

static json_t *links_json(const wlmi_tally *t)
{
    json_t *links = json_object();
    for (size_t i = 0; i < t->links; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", t->link[i].link_type);
        set(links, name, on_json(&t->link[i].on));
    }
    return links;
}

static json_t *layers_json(const wlmi_tally *t, uint64_t bytes)
{
    static const char *const names[WLMI_GROUPS] = {"time", "link", "network", "transport", "payload", "raw", NULL};
    json_t *layers = json_object();
    for (int g = 0; g < WLMI_GROUPS && names[g]; g++)
        set(layers, names[g], cost_json(&t->group[g], bytes));
    return layers;
}

static json_t *fields_json(const wlmi_tally *t)
{
    json_t *fields = json_object();
    for (int f = 0; f < t->fields; f++) {
        const wlmi_field_cost *c = &t->field[f];
        if (c->there)
            set(fields, wlmi_tally_field_name(t, f),
                json_pack("{s:I, s:I, s:f, s:f, s:f, s:f}", "there", (json_int_t)c->there, "told", (json_int_t)c->told,
                          "bits", c->bits, "bits_per_value", ratio(c->bits, (double)c->there), "accuracy",
                          ratio((double)c->right, (double)c->there), "accuracy_told",
                          ratio((double)c->told_right, (double)c->told)));
    }
    return fields;
}

/* What the model spends on headers and times, and beside them, against what a compressor does where there is nothing
 * else; and on all. */
static json_t *against_json(double all, double headers, uint64_t sizes_all,
                            uint64_t sizes_zeroed)
{
    return json_pack("{s:f, s:f}", "all", ratio(all, 8 * (double)sizes_all), "header_time",
                     ratio(headers, 8 * (double)sizes_zeroed));
}

static json_t *ratios_json(const wlmi_token_report *r, double all, double headers)
{
    const wlmi_sizes *s = r->sizes;
    json_t *object = json_object();
    for (int zeroed = WLMI_BY_FILE_ZEROED, by = WLMI_BY_FILE; by <= WLMI_BY_FLOW; by++, zeroed++)
        set(object, by == WLMI_BY_FILE ? "by_file" : "by_flow",
            json_pack("{s:o, s:o, s:o}", "gzip_9", against_json(all, headers, s[by].gzip, s[zeroed].gzip), "zstd_19",
                      against_json(all, headers, s[by].zstd, s[zeroed].zstd), "xz_9e",
                      against_json(all, headers, s[by].xz, s[zeroed].xz)));
    return object;
}

static json_t *context_json(const wlmi_token_report *r, const wlmi_at_context *c)
{
    const wlmi_tally *t = wlmi_scorer_tally(c->scorer);
    const uint64_t bytes = r->bytes, tokens = wlmi_scorer_tokens(c->scorer);
    const double beside = 8 * (double)r->beside;
    json_t *object = json_object(), *on = json_object();
    double all = 0, headers = beside;
    for (int s = 0; s < WLMI_SECTIONS; s++) {
        const wlmi_cost cost = section_cost(t, s);
        all += cost.bits;
        headers += s == WLMI_PAYLOAD ? 0 : cost.bits;
    }
    set_count(object, "context", (uint64_t)c->view.context);
    set(object, "bits_per_byte", json_real(ratio(all + beside, (double)bytes)));
    set(object, "bits_per_byte_tokens", json_real(ratio(all, (double)bytes)));
    set(object, "bits_per_byte_beside", json_real(ratio(beside, (double)bytes)));
    if (r->options->recall)
        set(object, "bits_per_byte_model", json_real(ratio(wlmi_scorer_own_bits(c->scorer) + beside, (double)bytes)));
    set(object, "bits", json_real(all + beside));
    set_count(object, "tokens", tokens);
    set_count(object, "pieces", wlmi_scorer_pieces(c->scorer));
    set(object, "bits_per_token", json_real(ratio(all, (double)tokens)));
    set(object, "seconds", json_real(c->seconds));
    set(object, "tokens_per_s", json_real(ratio((double)tokens, c->seconds)));
    for (int s = 0; s < WLMI_SECTIONS; s++) {
        const wlmi_cost cost = section_cost(t, s);
        set(object, wlmi_section_names[s], cost_json(&cost, bytes));
    }
    if (r->sizes[WLMI_BY_FILE].plain)
        set(object, "against", ratios_json(r, all + beside, headers));
    set(object, "layers", layers_json(t, bytes));
    for (int i = 0; i < WLMI_ONS; i++)
        if (t->on[i].packets)
            set(on, wlmi_on_names[i], on_json(&t->on[i]));
    set(object, "protocols", on);
    set(object, "link_types", links_json(t));
    set(object, "fields", fields_json(t));
    return object;
}

/* ---------------------------------------------------------------- compressors */

static json_t *size_json(uint64_t size, uint64_t bytes)
{
    return json_pack("{s:I, s:f}", "bytes", (json_int_t)size, "bits_per_byte", ratio(8 * (double)size, (double)bytes));
}

static json_t *sizes_json(const wlmi_sizes *s, uint64_t bytes)
{
    return json_pack("{s:I, s:o, s:o, s:o}", "plain_bytes", (json_int_t)s->plain, "gzip_9", size_json(s->gzip, bytes),
                     "zstd_19", size_json(s->zstd, bytes), "xz_9e", size_json(s->xz, bytes));
}

/* sizes [WLMI_LAYOUTS] */
static json_t *compressors_json(const wlmi_sizes *sizes, uint64_t bytes)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "by_file", sizes_json(&sizes[WLMI_BY_FILE], bytes), "by_flow",
                     sizes_json(&sizes[WLMI_BY_FLOW], bytes), "by_file_payload_zeroed",
                     sizes_json(&sizes[WLMI_BY_FILE_ZEROED], bytes), "by_flow_payload_zeroed",
                     sizes_json(&sizes[WLMI_BY_FLOW_ZEROED], bytes));
}

/* ---------------------------------------------------------------- the whole */

static json_t *row_json(const wlmi_token_report *r, const wlmi_file_row *row)
{
    json_t *bits = json_array(), *object;
    for (size_t c = 0; c < r->contexts; c++)
        json_array_append_new(bits, json_real(ratio(row->bits[c] + 8 * (double)row->beside, (double)row->bytes)));
    object = json_pack("{s:o, s:I, s:I, s:I, s:I, s:o}", "file", wlmi_json_text(row->name), "bytes", (json_int_t)row->bytes, "packets",
                       (json_int_t)row->packets, "flows", (json_int_t)row->flows, "beside_bytes",
                       (json_int_t)row->beside, "bits_per_byte", bits);
    if (object && row->sizes[WLMI_BY_FILE].plain)
        set(object, "compressors", compressors_json(row->sizes, row->bytes));
    return object;
}

/* What keeps the figures from being those of a lossless compressor of the files themselves. */
static const char *note(const wlmi_view *view)
{
    const int hidden = view->hide != WLM_HIDE_NONE, limited = view->payload != WLM_PAYLOAD_FULL;
    if (hidden && limited)
        return "addresses, names and clock were replaced before anything was measured, and payload beyond the limit is "
               "not told: no lossless compression of the captures; compressors saw the same packets, zeros for what is "
               "not told";
    if (hidden)
        return "addresses, names and clock were replaced before anything was measured: no lossless compression of the "
               "captures; compressors saw the same packets";
    return limited ? "payload beyond the limit is not told: no lossless compression of the captures; compressors saw "
                     "zeros for it"
                   : "";
}

static void set_reading(json_t *root, const wlmi_recordings_report *read)
{
    set_count(root, "files", read->files);
    set_count(root, "files_skipped", read->skipped);
    set_count(root, "files_damaged", read->damaged);
    if (read->damaged)
        set(root, "damage", json_pack("{s:o, s:I, s:s}", "file", wlmi_json_text(read->damage.file), "offset",
                                      (json_int_t)read->damage.offset, "cause", read->damage.cause));
    set_count(root, "flows", read->flows);
    set_count(root, "packets", read->packets);
    set_count(root, "bytes_before_hiding", read->bytes);
}

json_t *wlmi_token_report_json(const wlmi_token_report *r)
{
    static const char *const headline[] = {"bits_per_byte", "bits_per_byte_tokens", "bits_per_byte_beside"};
    const wlmi_view *view = &r->context[0].view;
    json_t *root = json_object(), *contexts = json_array(), *rows = json_array();
    set(root, "model", json_string(r->model->id));
    set(root, "codec", json_string(r->model->codec->name));
    set(root, "unit", json_string(wlm_unit_name(view->unit)));
    set(root, "hide", json_string(wlm_hide_name(view->hide)));
    set(root, "payload", view->payload == WLM_PAYLOAD_FULL ? json_string("full") : json_integer(view->payload));
    set(root, "lossless", json_boolean(view->hide == WLM_HIDE_NONE && view->payload == WLM_PAYLOAD_FULL));
    set(root, "note", json_string(note(view)));
    set(root, "context_trained", json_integer(r->model->net->config.context));
    set(root, "max_packets_trained", json_integer((json_int_t)r->model->net->record.max_packets));
    set(root, "same_tokens", json_boolean(r->options->same_tokens));
    set(root, "recall", json_boolean(r->options->recall));
    set_count(root, "seed", r->options->seed);
    set_reading(root, &r->read);
    set_count(root, "bytes", r->bytes);
    set_count(root, "beside_bytes", r->beside);
    for (size_t c = 0; c < r->contexts; c++)
        json_array_append_new(contexts, context_json(r, &r->context[c]));
    for (size_t i = 0; i < sizeof headline / sizeof *headline; i++)
        set(root, headline[i], json_incref(json_object_get(json_array_get(contexts, 0), headline[i])));
    set(root, "contexts", contexts);
    if (r->sizes[WLMI_BY_FILE].plain)
        set(root, "compressors", compressors_json(r->sizes, r->bytes));
    for (size_t i = 0; i < r->rows; i++)
        json_array_append_new(rows, row_json(r, &r->row[i]));
    if (r->options->by_file)
        set(root, "by_file", rows);
    else
        json_decref(rows);
    return root;
}
