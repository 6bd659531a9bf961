/* evaluate_predictions.c: a line of JSON for each flow, from which all scores can be computed anew. */
#include "capture/flow.h"
#include "task/evaluate.h"

/* The guesses on the way, by points of one kind. */
static json_t *curve_json(const wlmi_evaluation *e, const wlmi_sample *s, size_t i, int tokens)
{
    json_t *array = json_array();
    for (int p = 0; p < s->scores.points; p++)
        if (e->points.point[p].tokens == tokens)
            json_array_append_new(
                array, json_string(e->cohort.label[s->scores.at[i * (size_t)s->scores.points + (size_t)p]]));
    return array;
}

/* Of every label, before the temperature. */
static json_t *logits_json(const wlmi_evaluation *e, const wlmi_sample *s, size_t i)
{
    const float *logit = s->scores.logit + i * (size_t)s->scores.labels;
    json_t *object = json_object();
    for (int k = 0; k < s->scores.labels; k++)
        json_object_set_new(object, e->cohort.label[k], json_real((double)logit[k]));
    return object;
}

static json_t *line_json(const wlmi_evaluation *e, const wlmi_sample *s, wlmi_kin kin, size_t i)
{
    const wlmi_pick *pick = &s->picks.item[i];
    const wlmi_dataset *data = s->cohort->data[pick->folder];
    wlmi_shard_flow flow;
    char community_id[40], src[64], dst[64];
    const char *truth = NULL;
    json_t *line;
    double energy;
    wlmi_dataset_flow(data, pick->flow, &flow);
    wlmi_community_id(&flow.key, community_id);
    wlmi_address_text(flow.key.src, flow.key.addr_len, src);
    wlmi_address_text(flow.key.dst, flow.key.addr_len, dst);
    if (flow.label != WLMI_NO_LABEL)
        truth = wlmi_dataset_label(data, flow.label);
    wlmi_free_energy(s->scores.logit + i * (size_t)s->scores.labels, 1, s->scores.labels, e->temperature, &energy);
    line = json_pack("{s:o,s:o,s:I,s:s,s:s,s:i,s:s,s:i,s:i,s:s?,s:b,s:s,s:f,s:f,s:f}", "folder",
                     wlmi_json_text(s->cohort->path[pick->folder]), "file", wlmi_json_text(wlmi_dataset_file(data, flow.file)),
                     "first_packet", (json_int_t)flow.first_packet, "community_id", community_id, "src_ip", src,
                     "src_port", flow.key.src_port, "dest_ip", dst, "dest_port", flow.key.dst_port, "proto",
                     flow.key.proto, "truth", truth, "stranger", kin != WLMI_KIN_LABELLED, "predicted",
                     e->cohort.label[s->guess[i]], "confidence", s->confidence[i], "calibrated", s->calibrated[i],
                     "energy", energy);
    json_object_set_new(line, "logits", logits_json(e, s, i));
    json_object_set_new(line, "packets", json_integer((json_int_t)flow.packets));
    json_object_set_new(line, "packets_used", json_integer(s->scores.packets[i]));
    json_object_set_new(line, "tokens_used", json_integer(s->scores.tokens[i]));
    json_object_set_new(line, "stratum", json_string(wlmi_stratum_name((wlmi_stratum)s->stratum[i])));
    json_object_set_new(line, "group", json_integer(pick->group));
    if (s->scores.points) {
        json_object_set_new(line, "by_packets", curve_json(e, s, i, 0));
        json_object_set_new(line, "by_tokens", curve_json(e, s, i, 1));
    }
    return line;
}

wlm_status wlmi_predictions_write(const wlmi_evaluation *e, wlm_error *error)
{
    wlmi_output *out;
    wlm_status status = WLM_OK;
    WLMI_TRY(wlmi_output_open(&out, e->options->predictions, error));
    for (int k = 0; k < WLMI_KINS; k++)
        for (size_t i = 0; status == WLM_OK && i < e->own[k].picks.count; i++)
            status = wlmi_json_line(out, line_json(e, &e->own[k], (wlmi_kin)k, i), 9, error);
    if (status == WLM_OK)
        return wlmi_output_finish(out, error);
    wlmi_output_discard(out);
    return status;
}
