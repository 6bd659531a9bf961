/* validate.c: the loss over a sample of the val parts. */
#include <string.h>

#include "task/run.h"

enum { BATCHES = 16 }; /* per kind of prompt */

static wlm_status validate_as(wlmi_run *run, wlmi_prompt prompt, wlmi_loss *sum, wlm_error *error)
{
    uint64_t cursor = 0;
    for (int i = 0; i < BATCHES; i++) {
        wlmi_batch batch;
        wlmi_loss loss;
        wlm_status status = wlmi_batches_sweep(run->batches, WLM_PART_VAL, prompt, &cursor, &run->rows, error);
        if (status == WLM_END)
            return WLM_OK;
        WLMI_TRY(status);
        batch = wlmi_rows_batch(&run->rows);
        WLMI_TRY(wlmi_net_forward(run->net, &batch, &loss, error));
        wlmi_loss_add(sum, &loss);
    }
    return WLM_OK;
}

wlm_status wlmi_run_validate(wlmi_run *run, double *loss, wlm_error *error)
{
    const double shares[] = {run->plain, run->classify, run->generate};
    const wlmi_prompt prompts[] = {WLMI_PROMPT_PLAIN, WLMI_PROMPT_CLASSIFY, WLMI_PROMPT_GENERATE};
    wlmi_loss sum;
    memset(&sum, 0, sizeof sum);
    for (int i = 0; i < 3; i++)
        if (shares[i] > 0 && wlmi_batches_flows(run->batches, WLM_PART_VAL, prompts[i]) > 0)
            WLMI_TRY(validate_as(run, prompts[i], &sum, error));
    *loss = wlmi_loss_mean(&sum);
    return WLM_OK;
}
