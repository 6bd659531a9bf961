/* trainer.c: one step of training: batches, gradient, update. */
#include "task/trainer.h"

#include <math.h>
#include <string.h>

static const double recent = 0.95; /* weight of the past in the recent mean: about 20 steps */

wlm_status wlmi_trainer_init(wlmi_trainer *t, wlmi_net *net, wlm_error *error)
{
    memset(t, 0, sizeof *t);
    t->net = net;
    t->loss_first = NAN;
    WLMI_TRY(wlmi_net_train_memory(net, error));
    return wlmi_optimiser_init(&t->optimiser, net, error);
}

wlm_status wlmi_trainer_join(wlmi_trainer *t, wlmi_ranks *ranks, wlm_error *error)
{
    t->ranks = ranks;
    return wlmi_ranks_lend(ranks, (float *)t->net->grad, t->net->count, error);
}

void wlmi_trainer_clear(wlmi_trainer *t)
{
    wlmi_optimiser_clear(&t->optimiser);
    memset(t, 0, sizeof *t);
}

double wlmi_loss_mean(const wlmi_loss *loss)
{
    double weight = loss->tokens_weight + loss->labels_weight;
    return weight > 0 ? (loss->tokens + loss->labels) / weight : NAN;
}

double wlmi_trainer_loss(const wlmi_trainer *t)
{
    return t->loss_count > 0 ? t->loss_sum / t->loss_count : NAN;
}

void wlmi_loss_add(wlmi_loss *sum, const wlmi_loss *loss)
{
    sum->tokens += loss->tokens;
    sum->tokens_weight += loss->tokens_weight;
    sum->labels += loss->labels;
    sum->labels_weight += loss->labels_weight;
}

typedef struct gathering { /* of one step's gradient */
    wlmi_batch_source *source;
    void *user;
    uint64_t cursor, tokens;
    wlmi_batch batch;
    wlmi_loss loss;
} gathering;

static wlm_status forward(wlmi_trainer *t, gathering *g, wlm_error *error)
{
    wlmi_loss loss;
    WLMI_TRY(g->source(g->user, &g->cursor, &g->batch, error));
    WLMI_TRY(wlmi_net_forward(t->net, &g->batch, &loss, error));
    wlmi_loss_add(&g->loss, &loss);
    g->tokens += (uint64_t)g->batch.tokens;
    return WLM_OK;
}

/* All batches but the backward of the last. */
static wlm_status begin_gradient(wlmi_trainer *t, gathering *g, uint32_t batches, wlm_error *error)
{
    for (uint32_t i = 0; i + 1 < batches; i++) {
        WLMI_TRY(forward(t, g, error));
        WLMI_TRY(wlmi_net_backward(t->net, &g->batch, error));
    }
    return forward(t, g, error);
}

static void give(void *user, size_t first, size_t count)
{
    wlmi_ranks_give(user, first, count);
}

/* The last backward, which gives each layer's gradient away as soon as it is whole. */
static wlm_status end_gradient(wlmi_trainer *t, gathering *g, wlm_error *error)
{
    wlm_status status, collected;
    wlm_error why;
    t->net->grad_done = t->ranks ? give : NULL;
    t->net->grad_user = t->ranks;
    status = wlmi_net_backward(t->net, &g->batch, error);
    t->net->grad_done = NULL;
    collected = wlmi_ranks_collect(t->ranks, &why);
    if (status == WLM_OK && collected != WLM_OK) {
        status = collected;
        if (error)
            *error = why;
    }
    return status;
}

static wlm_status sum_over_ranks(wlmi_ranks *ranks, gathering *g, wlm_error *error)
{
    double x[] = {g->loss.tokens, g->loss.tokens_weight, g->loss.labels, g->loss.labels_weight, (double)g->tokens};
    WLMI_TRY(wlmi_ranks_sum(ranks, x, 5, error));
    g->loss = (wlmi_loss){x[0], x[1], x[2], x[3]};
    g->tokens = (uint64_t)x[4];
    return WLM_OK;
}

/* No rank begins to exchange gradients before all are sure to do so. */
static wlm_status gather_gradient(wlmi_trainer *t, gathering *g, uint32_t batches, wlm_error *error)
{
    WLMI_TRY(wlmi_ranks_agree(t->ranks, begin_gradient(t, g, batches, error), error));
    WLMI_TRY(sum_over_ranks(t->ranks, g, error));
    return wlmi_ranks_agree(t->ranks, end_gradient(t, g, error), error);
}

wlm_status wlmi_trainer_step(wlmi_trainer *t, const wlmi_step_options *options, wlmi_batch_source *source, void *user,
                             wlmi_step_report *report, wlm_error *error)
{
    gathering g = {.source = source, .user = user, .cursor = t->cursor};
    double weight, mean;
    wlm_status status;
    memset(report, 0, sizeof *report);
    status = gather_gradient(t, &g, options->accumulate, error);
    if (status != WLM_OK) {
        t->net->backend->zero(t->net->grad, t->net->count);
        return status;
    }
    report->loss = g.loss;
    mean = wlmi_loss_mean(&report->loss);
    weight = report->loss.tokens_weight + report->loss.labels_weight;
    /* Positions without a loss make a step of no gradient; a loss that is not finite makes none at all. */
    report->skipped = !wlmi_optimiser_update(&t->optimiser, &options->rates,
                                             !(weight > 0) ? 0 : isfinite(mean) ? 1 / weight : NAN, &report->grad_norm);
    if (isfinite(mean)) {
        if (!(t->loss_count > 0))
            t->loss_first = mean;
        t->loss_sum = recent * t->loss_sum + mean;
        t->loss_count = recent * t->loss_count + 1;
    }
    t->cursor = g.cursor;
    t->tokens += g.tokens;
    t->step++;
    t->skipped += (uint64_t)report->skipped;
    t->skipped_in_row = report->skipped ? t->skipped_in_row + 1 : 0;
    return WLM_OK;
}
