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

static void add_loss(wlmi_loss *sum, const wlmi_loss *loss)
{
    sum->tokens += loss->tokens;
    sum->tokens_weight += loss->tokens_weight;
    sum->labels += loss->labels;
    sum->labels_weight += loss->labels_weight;
}

static wlm_status gather_gradient(wlmi_trainer *t, uint32_t batches, wlmi_batch_source *source, void *user,
                                  uint64_t *cursor, uint64_t *tokens, wlmi_loss *sum, wlm_error *error)
{
    for (uint32_t i = 0; i < batches; i++) {
        wlmi_batch batch;
        wlmi_loss loss;
        WLMI_TRY(source(user, cursor, &batch, error));
        WLMI_TRY(wlmi_net_forward(t->net, &batch, &loss, error));
        WLMI_TRY(wlmi_net_backward(t->net, &batch, error));
        add_loss(sum, &loss);
        *tokens += (uint64_t)batch.tokens;
    }
    return WLM_OK;
}

wlm_status wlmi_trainer_step(wlmi_trainer *t, const wlmi_step_options *options, wlmi_batch_source *source, void *user,
                             wlmi_step_report *report, wlm_error *error)
{
    uint64_t cursor = t->cursor, tokens = 0;
    double weight, mean;
    wlm_status status;
    memset(report, 0, sizeof *report);
    status = gather_gradient(t, options->accumulate, source, user, &cursor, &tokens, &report->loss, error);
    if (status != WLM_OK) {
        t->net->backend->zero(t->net->grad, t->net->count);
        return status;
    }
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
    t->cursor = cursor;
    t->tokens += tokens;
    t->step++;
    t->skipped += (uint64_t)report->skipped;
    t->skipped_in_row = report->skipped ? t->skipped_in_row + 1 : 0;
    return WLM_OK;
}
