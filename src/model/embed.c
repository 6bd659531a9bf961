/* embed.c: what a batch may be, and what its rows begin as. */
#include "model/embed.h"

#include "model/params.h"

enum { MAX_TOKENS = 1 << 24 };

wlm_status wlmi_bad_batch(wlm_error *error, const char *what, int at)
{
    return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "batch: %s at position %d", what, at);
}

wlm_status wlmi_batch_check(const wlmi_net *net, const wlmi_batch *batch, wlm_error *error)
{
    const wlmi_segments *s = &batch->segments;
    if (batch->tokens < 1 || batch->tokens > MAX_TOKENS)
        return wlmi_bad_batch(error, "too few or too many tokens", batch->tokens);
    if (s->count < 1 || s->count > batch->tokens || s->starts[0] != 0 || s->starts[s->count] != batch->tokens)
        return wlmi_bad_batch(error, "segments that do not cover it", 0);
    for (int i = 0; i < s->count; i++)
        if (s->starts[i] >= s->starts[i + 1])
            return wlmi_bad_batch(error, "an empty segment", s->starts[i]);
    for (int t = 0; t < batch->tokens; t++) {
        if (batch->id[t] < 0 || batch->id[t] >= net->rows)
            return wlmi_bad_batch(error, "an id outside the embedding", t);
        if (net->config.packet_rows && batch->packet[t] < 0)
            return wlmi_bad_batch(error, "a negative packet index", t);
        if (net->config.role_rows && (batch->role[t] < 0 || batch->role[t] >= net->config.role_rows))
            return wlmi_bad_batch(error, "a role outside its embedding", t);
        if ((net->config.summary_trees || net->config.place_rows) && batch->measure[t] < 0)
            return wlmi_bad_batch(error, "a negative measure", t);
    }
    return WLM_OK;
}

void wlmi_batch_embed(const wlmi_net *net, const wlmi_batch *batch, wlmi_real *x, int32_t *row)
{
    const wlmi_backend *b = net->backend;
    const int T = batch->tokens, D = net->config.width, packet_rows = net->config.packet_rows;
    int32_t *place = row + T;
    b->embed_forward(x, wlmi_value(net, wlmi_embed_param(net)), batch->id, T, D, 0);
    if (packet_rows) {
        for (int t = 0; t < T; t++)
            row[t] = batch->packet[t] < packet_rows ? batch->packet[t] : packet_rows - 1;
        b->embed_forward(x, wlmi_value(net, wlmi_packet_param(net)), row, T, D, 1);
    }
    if (net->config.role_rows)
        b->embed_forward(x, wlmi_value(net, wlmi_role_param(net)), batch->role, T, D, 1);
    if (!net->config.place_rows)
        return;
    wlmi_place_rows(batch->measure, T, place);
    for (int i = 0; i < WLMI_PLACE_PARTS; i++)
        b->embed_forward(x, wlmi_value(net, wlmi_place_param(net)), place + (size_t)i * (size_t)T, T, D, 1);
}

void wlmi_batch_embed_backward(const wlmi_net *net, const wlmi_batch *batch, const wlmi_real *dx, const int32_t *row)
{
    const wlmi_backend *b = net->backend;
    const wlmi_config *c = &net->config;
    const int T = batch->tokens, D = c->width;
    b->embed_backward(wlmi_grad(net, wlmi_embed_param(net)), dx, batch->id, T, net->rows, D);
    if (c->packet_rows)
        b->embed_backward(wlmi_grad(net, wlmi_packet_param(net)), dx, row, T, c->packet_rows, D);
    if (c->role_rows)
        b->embed_backward(wlmi_grad(net, wlmi_role_param(net)), dx, batch->role, T, c->role_rows, D);
    for (int i = 0; c->place_rows && i < WLMI_PLACE_PARTS; i++)
        b->embed_backward(wlmi_grad(net, wlmi_place_param(net)), dx, row + (size_t)(1 + i) * (size_t)T, T, c->place_rows, D);
}
