/* summary_train.c: the summary is taught alone, while the rest of the model stays as it is: what numbers can tell is not
 * left to tokens, and a step takes a fortieth of the time. */
#include <string.h>

#include "base/alloc.h"
#include "model/embed.h"
#include "model/params.h"
#include "model/summary.h"
#include "model/workspace.h"

/* Working room of a step of A questions, padding included; L rows of tasks and labels, H hidden. */
struct wlmi_summary_step {
    void *block;
    size_t size; /* bytes */
    wlmi_summary_room room;
    wlmi_real *logits, *loss;                     /* [A,L], [A] */
    wlmi_act *d_logits;                           /* [A,L] */
    wlmi_act *d_hidden[2], *d_gate_up[2];         /* [A,H], [A,2H] of either layer */
    int32_t *target, *first, *last;               /* [A] */
    float *weight;                                /* [A] 0: there is no label to learn */
};

void wlmi_summary_step_free(wlmi_summary_step *step)
{
    if (step)
        wlmi_free(step->block);
    wlmi_free(step);
}

void wlmi_summary_teach(wlmi_net *net)
{
    for (int i = 0; i < net->params; i++)
        if (strncmp(net->param[i].name, "summary.", 8))
            net->param[i].fixed = 1;
    net->teaches_summary = 1;
}

static size_t lay_out(const wlmi_net *net, wlmi_summary_step *s)
{
    const size_t real = net->backend->real_size, act = net->backend->act_size;
    const size_t A = (size_t)s->room.rows, L = (size_t)wlmi_summary_labels(net), H = WLMI_SUMMARY_HIDDEN;
    size_t used = wlmi_summary_lay_out(net, &s->room, s->block);
    s->logits = wlmi_summary_carve(s->block, &used, A * L * real);
    s->loss = wlmi_summary_carve(s->block, &used, A * real);
    s->d_logits = wlmi_summary_carve(s->block, &used, A * L * act);
    for (int i = 0; i < 2; i++) {
        s->d_hidden[i] = wlmi_summary_carve(s->block, &used, A * H * act);
        s->d_gate_up[i] = wlmi_summary_carve(s->block, &used, A * 2 * H * act);
    }
    s->target = wlmi_summary_carve(s->block, &used, A * sizeof *s->target);
    s->first = wlmi_summary_carve(s->block, &used, A * sizeof *s->first);
    s->last = wlmi_summary_carve(s->block, &used, A * sizeof *s->last);
    s->weight = wlmi_summary_carve(s->block, &used, A * sizeof *s->weight);
    return used;
}

static wlm_status make_room(const wlmi_net *net, const wlmi_batch *batch, wlmi_summary_step *s, wlm_error *error)
{
    void *block = s->block;
    size_t need;
    s->room.asks = wlmi_summary_asks(net, batch);
    s->room.rows = wlmi_summary_padded(s->room.asks);
    s->block = NULL;
    need = lay_out(net, s);
    s->block = block;
    if (need > s->size) {
        wlmi_free(block);
        s->size = 0;
        s->block = wlmi_alloc_aligned(need);
        if (!s->block)
            return WLMI_NO_MEMORY(error);
        s->size = need;
    }
    lay_out(net, s);
    return WLM_OK;
}

/* What each question's label is; returns how many have one. */
static int gather(const wlmi_net *net, const wlmi_batch *batch, wlmi_summary_step *s)
{
    const int before = net->config.vocabulary + WLMI_SPECIALS;
    int labels = 0;
    for (int a = 0; a < s->room.rows; a++) {
        const int t = a < s->room.asks ? s->room.position[a] : 0;
        const int known = a < s->room.asks && batch->target[t] >= before;
        s->target[a] = known ? batch->target[t] - before : 0;
        s->first[a] = known ? batch->first[t] - before : 0;
        s->last[a] = known ? batch->last[t] - before : 1;
        s->weight[a] = known ? batch->weight[t] : 0;
        labels += known;
    }
    return labels;
}

wlm_status wlmi_summary_loss(wlmi_net *net, const wlmi_batch *batch, wlmi_loss *loss, wlm_error *error)
{
    const wlmi_backend *b = net->backend;
    const int L = wlmi_summary_labels(net);
    wlmi_summary_step *s = net->work->summary;
    memset(loss, 0, sizeof *loss);
    if (L != net->config.summary_labels)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "the summary was made for other tasks");
    if (!s)
        s = net->work->summary = wlmi_alloc_zero(1, sizeof *s);
    if (!s)
        return WLMI_NO_MEMORY(error);
    WLMI_TRY(wlmi_batch_check(net, batch, error));
    WLMI_TRY(make_room(net, batch, s, error));
    wlmi_summary_read(net, batch, NULL, 0, &s->room);
    if (!gather(net, batch, s)) {
        s->room.rows = 0;
        return b->status(error);
    }
    wlmi_summary_forward(net, &s->room);
    b->matmul_forward_onto(s->logits, NULL, s->room.hidden[1], wlmi_summary_param(net, WLMI_SUMMARY_OUT)->weight,
                           s->room.rows, L, WLMI_SUMMARY_HIDDEN);
    b->cross_entropy_forward(s->loss, s->logits, s->target, s->first, s->last, s->room.rows, L);
    for (int a = 0; a < s->room.asks; a++) {
        loss->labels += (double)s->weight[a] * wlmi_read_real(b, s->loss, (size_t)a);
        loss->labels_weight += (double)s->weight[a];
    }
    return b->status(error);
}

/* dw += of a layer, given dy; in [A,K]. */
static void weight_backward(const wlmi_net *net, wlmi_summary_slot slot, const wlmi_act *dy, const wlmi_act *in, int A)
{
    const wlmi_param *p = wlmi_summary_param(net, slot);
    net->backend->matmul_backward_weight(wlmi_grad(net, p), dy, in, A, p->shape[0], p->shape[1]);
}

wlm_status wlmi_summary_backward(wlmi_net *net, wlm_error *error)
{
    const wlmi_backend *b = net->backend;
    wlmi_summary_step *s = net->work->summary;
    const wlmi_summary_room *room = &s->room;
    const int A = room->rows, H = WLMI_SUMMARY_HIDDEN, L = net->config.summary_labels;
    if (!net->grad)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "backward without memory for gradients");
    if (!A)
        return WLM_OK;
    b->cross_entropy_backward(s->d_logits, s->logits, s->target, s->first, s->last, s->weight, A, L);
    weight_backward(net, WLMI_SUMMARY_OUT, s->d_logits, room->hidden[1], A);
    b->matmul_backward_input(s->d_hidden[1], s->d_logits, wlmi_summary_param(net, WLMI_SUMMARY_OUT)->weight, A, L, H);
    b->swiglu_backward(s->d_gate_up[1], s->d_hidden[1], room->gate_up[1], A, H);
    weight_backward(net, WLMI_SUMMARY_MID, s->d_gate_up[1], room->hidden[0], A);
    b->matmul_backward_input(s->d_hidden[0], s->d_gate_up[1], wlmi_summary_param(net, WLMI_SUMMARY_MID)->weight, A,
                             2 * H, H);
    b->swiglu_backward(s->d_gate_up[0], s->d_hidden[0], room->gate_up[0], A, H);
    weight_backward(net, WLMI_SUMMARY_IN, s->d_gate_up[0], room->act, A);
    return b->status(error);
}
