/* train.c: wlm_train: the loop over steps, its log, its progress, and what it leaves behind. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "task/json.h"
#include "task/run.h"
#include "task/summary_teach.h"

static const double progress_every_s = 0.2;
enum { SKIPS_IN_ROW = 10 };       /* that end a run */

wlm_train_options wlm_train_options_default(void)
{
    wlm_train_options o;
    memset(&o, 0, sizeof o);
    o.unit = WLM_UNIT_INHERIT;
    o.hide = WLM_HIDE_INHERIT;
    o.payload = WLM_PAYLOAD_INHERIT;
    o.balance = o.task_balance = 0.5;
    o.draw = 1;
    o.accumulate = 1;
    o.learning_rate = 1.5e-3;
    o.warmup = 0.05;
    o.weight_decay = 0.1;
    o.clip = 1.0;
    o.seed = 1;
    o.save_every_s = 60;
    return o;
}

const char *wlm_preset_name(size_t i)
{
    return wlmi_preset_name(i);
}

typedef struct loop {
    wlmi_run *run;
    FILE *log;
    wlm_status logged;    /* of a summary's trees: whether all lines were written */
    wlm_error *log_error;
    double rate;
    double step_s;      /* the last step's time */
    double shown, saved; /* elapsed_s when progress was last shown, and the run saved */
    double began;       /* clock when this sitting's training began */
    double loss_val;    /* the last on the val parts; NaN before the first */
    int stop;           /* rank 0 has seen the stop flag */
    uint64_t tokens_before; /* this sitting */
    double elapsed_before;
} loop;

/* ---------------------------------------------------------------- telling */

/* Rank 0 alone speaks and writes. */
static int is_first(const wlmi_run *run)
{
    return wlmi_ranks_rank(run->ranks) == 0;
}

static double tokens_per_s(const loop *l)
{
    const wlmi_trainer *t = &l->run->trainer;
    double elapsed = t->elapsed_s - l->elapsed_before;
    return elapsed > 0 ? (double)(t->tokens - l->tokens_before) / elapsed : 0;
}

static void tell(const loop *l, const char *note)
{
    const wlm_train_options *o = l->run->options;
    const wlmi_trainer *t = &l->run->trainer;
    wlm_progress p;
    if (!o->progress || !is_first(l->run))
        return;
    memset(&p, 0, sizeof p);
    p.what = "train";
    p.unit = "steps";
    p.done = t->step;
    p.total = l->run->steps;
    p.elapsed_s = t->elapsed_s;
    p.remaining_s = p.total && t->step ? t->elapsed_s * (double)(p.total - t->step) / (double)t->step : -1;
    if (o->seconds > 0) {
        double left = fmax(0, o->seconds - t->elapsed_s);
        if (!p.total) {
            p.unit = "s";
            p.total = (uint64_t)ceil(o->seconds);
            p.done = (uint64_t)fmin(t->elapsed_s, o->seconds);
        }
        p.remaining_s = p.remaining_s < 0 || left < p.remaining_s ? left : p.remaining_s;
    }
    p.tokens_per_s = tokens_per_s(l);
    p.loss = wlmi_trainer_loss(t);
    p.loss_val = isfinite(l->loss_val) ? l->loss_val : 0;
    p.learning_rate = l->rate;
    p.note = note;
    o->progress(o->user, &p);
}

/* Takes the line. */
static wlm_status log_line(const loop *l, json_t *line, wlm_error *error)
{
    int failed;
    if (!line)
        return WLMI_NO_MEMORY(error);
    failed = json_dumpf(line, l->log, JSON_COMPACT | JSON_REAL_PRECISION(8)) != 0 || fwrite("\n", 1, 1, l->log) != 1 ||
             fflush(l->log) != 0;
    json_decref(line);
    return failed ? wlmi_fail(error, WLM_ERR_IO, l->run->options->log, WLM_NO_OFFSET, "%s", strerror(errno)) : WLM_OK;
}

/* validated: this step ended in a loss on the val parts. */
static wlm_status log_step(const loop *l, const wlmi_step_report *r, int validated, wlm_error *error)
{
    const wlmi_trainer *t = &l->run->trainer;
    json_t *line;
    if (!l->log)
        return WLM_OK;
    line = json_pack("{s:I, s:I, s:o, s:o, s:o, s:f, s:o, s:f, s:f}", "step", (json_int_t)t->step, "tokens",
                     (json_int_t)t->tokens, "loss", wlmi_json_real(wlmi_loss_mean(&r->loss)), "loss_plain",
                     wlmi_json_real(r->loss.tokens / r->loss.tokens_weight), "loss_classify",
                     wlmi_json_real(r->loss.labels / r->loss.labels_weight), "learning_rate", l->rate, "grad_norm",
                     wlmi_json_real(r->grad_norm), "tokens_per_s", tokens_per_s(l), "elapsed_s", t->elapsed_s);
    if (line && validated)
        json_object_set_new(line, "loss_val", wlmi_json_real(l->loss_val));
    return log_line(l, line, error);
}

/* ---------------------------------------------------------------- the loop */

/* The ranks take turns at the one stream of batches, which is thus the same for any number of them. */
static wlm_status next_batch(void *user, uint64_t *cursor, wlmi_batch *batch, wlm_error *error)
{
    wlmi_run *run = user;
    for (int i = 0; i < wlmi_ranks_count(run->ranks); i++)
        WLMI_TRY(wlmi_batches_next(run->batches, cursor,
                                   i == wlmi_ranks_rank(run->ranks) ? &run->rows : &run->others, error));
    *batch = wlmi_rows_batch(&run->rows);
    return WLM_OK;
}

/* Share of the run behind it once the coming step is done. */
static double share(const loop *l)
{
    const wlmi_run *run = l->run;
    const wlmi_trainer *t = &run->trainer;
    double by_steps = run->steps ? (double)(t->step + 1) / (double)run->steps : 0, by_time = 0;
    if (run->options->seconds > 0)
        by_time = (t->elapsed_s + l->step_s) / run->options->seconds;
    return fmin(1, fmax(by_steps, by_time));
}

static int is_done(const wlmi_run *run)
{
    return (run->steps && run->trainer.step >= run->steps) ||
           (run->options->seconds > 0 && run->trainer.elapsed_s >= run->options->seconds);
}

/* What rank 0 reads on its clock and its stop flag is everyone's. */
static wlm_status look_up(loop *l, wlm_error *error)
{
    wlmi_run *run = l->run;
    double before = run->trainer.elapsed_s;
    double seen[2] = {l->elapsed_before + wlmi_clock() - l->began, run->options->stop && *run->options->stop};
    WLMI_TRY(wlmi_ranks_follow(run->ranks, seen, 2, error));
    run->trainer.elapsed_s = seen[0];
    l->step_s = seen[0] - before;
    l->stop = seen[1] > 0;
    return WLM_OK;
}

/* OUT, as the model stands. */
static wlm_status write_model(wlmi_run *run, wlm_error *error)
{
    wlmi_record *record = &run->net->record, before = *record; /* that of the model that the run began with */
    wlm_status status;
    record->steps += run->trainer.step;
    record->tokens += run->trainer.tokens;
    record->loss = wlmi_trainer_loss(&run->trainer);
    if (run->options->summary) /* what the rest of the model has seen */
        *record = run->record;
    status = wlmi_checkpoint_save(run->net, run->options->out, error);
    *record = before;
    return status;
}

/* What rank 0 does when a step is done. Validation does not count as training time. */
static wlm_status end_step(loop *l, const wlmi_step_report *report, wlm_error *error)
{
    wlmi_run *run = l->run;
    const wlm_train_options *o = run->options;
    uint64_t step = run->trainer.step;
    int validates = o->validate_every && step % o->validate_every == 0;
    if (validates) {
        double before = wlmi_clock();
        WLMI_TRY(wlmi_run_validate(run, &l->loss_val, error));
        l->began += wlmi_clock() - before;
    }
    WLMI_TRY(log_step(l, report, validates, error));
    if (o->checkpoint_every && step % o->checkpoint_every == 0 && !is_done(run))
        return write_model(run, error);
    return WLM_OK;
}

static wlm_status one_step(loop *l, wlm_error *error)
{
    wlmi_run *run = l->run;
    const wlm_train_options *o = run->options;
    wlmi_trainer *t = &run->trainer;
    double rate = wlmi_learning_rate(run->schedule, o->learning_rate, o->warmup, share(l));
    const wlmi_step_options step = {
        {rate, o->clip, o->weight_decay, o->decay_embeddings ? o->weight_decay : 0}, o->accumulate};
    wlmi_step_report report;
    l->rate = rate;
    WLMI_TRY(wlmi_trainer_step(t, &step, next_batch, run, &report, error));
    WLMI_TRY(look_up(l, error));
    WLMI_TRY(wlmi_ranks_agree(run->ranks, is_first(run) ? end_step(l, &report, error) : WLM_OK, error));
    if (t->skipped_in_row < SKIPS_IN_ROW)
        return WLM_OK;
    return wlmi_fail(error, WLM_ERR_DIVERGED, NULL, WLM_NO_OFFSET,
                     "training diverged: no finite loss or gradient in %d steps up to step %llu; a lower learning rate "
                     "or a longer warm-up may help", SKIPS_IN_ROW, (unsigned long long)t->step);
}

static wlm_status save_run(loop *l, wlm_error *error)
{
    wlmi_run *run = l->run;
    wlm_status status = WLM_OK;
    l->saved = run->trainer.elapsed_s;
    WLMI_TRY(wlmi_run_compare_nets(run, error));
    if (is_first(run))
        status = wlmi_resume_save(&run->trainer, run->asked, run->resume_path, error);
    return wlmi_ranks_agree(run->ranks, status, error);
}

static wlm_status steps(loop *l, wlm_error *error)
{
    wlmi_run *run = l->run;
    const wlm_train_options *o = run->options;
    wlmi_trainer *t = &run->trainer;
    l->shown = -progress_every_s;
    l->saved = l->elapsed_before = t->elapsed_s;
    l->tokens_before = t->tokens;
    l->began = wlmi_clock();
    WLMI_TRY(look_up(l, error));
    while (!is_done(run)) {
        if (l->stop) {
            WLMI_TRY(save_run(l, error));
            tell(l, NULL);
            return wlmi_fail(error, WLM_STOPPED, run->resume_path, WLM_NO_OFFSET, "stopped after %llu steps",
                             (unsigned long long)t->step);
        }
        WLMI_TRY(one_step(l, error));
        if (t->elapsed_s - l->shown >= progress_every_s || is_done(run)) {
            l->shown = t->elapsed_s;
            tell(l, NULL);
        }
        /* Not in the midst of skipped steps: what is kept should be good. */
        if (o->save_every_s > 0 && t->elapsed_s - l->saved >= o->save_every_s && !t->skipped_in_row && !is_done(run))
            WLMI_TRY(save_run(l, error));
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- a summary */

static int summary_told(void *user, const char *what, uint64_t done, uint64_t total, double loss)
{
    loop *l = user;
    const wlm_train_options *o = l->run->options;
    wlmi_trainer *t = &l->run->trainer;
    wlm_progress p = {.what = "train", .unit = what, .done = done, .total = total, .remaining_s = -1, .loss = loss};
    p.elapsed_s = t->elapsed_s = wlmi_clock() - l->began;
    if (o->progress && (t->elapsed_s - l->shown >= progress_every_s || done == total)) {
        l->shown = t->elapsed_s;
        o->progress(o->user, &p);
    }
    if (l->log && !isnan(loss) && l->logged == WLM_OK)
        l->logged = log_line(l, json_pack("{s:I,s:f,s:f}", "trees", (json_int_t)done, "loss", loss, "elapsed_s",
                                          t->elapsed_s), l->log_error);
    return l->logged != WLM_OK || (o->stop && *o->stop);
}

/* Trees are grown from as many batches as there are steps. What is stopped begins anew. */
static wlm_status teach_summary(loop *l, wlm_error *error)
{
    wlmi_run *run = l->run;
    wlmi_trainer *t = &run->trainer;
    wlmi_summary_lesson lesson = {.batches = run->steps, .seed = run->options->seed, .told = summary_told, .user = l};
    wlm_error log_error;
    wlm_status status;
    l->log_error = &log_error;
    l->shown = -progress_every_s;
    l->began = wlmi_clock();
    status = wlmi_teach_summary(run->net, run->batches, &lesson, error);
    t->step = run->steps;
    t->tokens = lesson.tokens;
    t->loss_first = lesson.loss_first;
    t->loss_sum = lesson.loss_last;
    t->loss_count = 1;
    if (l->logged != WLM_OK && error)
        *error = log_error;
    return l->logged != WLM_OK ? l->logged : status;
}

/* ---------------------------------------------------------------- the end */

static wlm_status finish(loop *l, wlm_error *error)
{
    wlmi_run *run = l->run;
    WLMI_TRY(wlmi_run_validate(run, &l->loss_val, error));
    WLMI_TRY(write_model(run, error));
    if (unlink(run->resume_path) != 0 && errno != ENOENT)
        return wlmi_fail(error, WLM_ERR_IO, run->resume_path, WLM_NO_OFFSET, "%s", strerror(errno));
    return WLM_OK;
}

static void fill_report(wlm_train_report *report, const loop *l)
{
    const wlmi_trainer *t = &l->run->trainer;
    report->steps = t->step;
    report->skipped = t->skipped;
    report->tokens = t->tokens;
    report->parameters = l->run->net->count;
    report->loss_first = t->loss_first;
    report->loss_last = wlmi_trainer_loss(t);
    report->loss_val = l->loss_val;
    report->seconds = t->elapsed_s;
    report->tokens_per_s = tokens_per_s(l);
}

static wlm_status open_outputs(loop *l, wlm_error *error)
{
    const wlm_train_options *o = l->run->options;
    wlmi_output *probe;
    WLMI_TRY(wlmi_output_open(&probe, o->out, error)); /* better now than after an hour */
    wlmi_output_discard(probe);
    if (!o->log)
        return WLM_OK;
    l->log = fopen(o->log, "a");
    return l->log ? WLM_OK : wlmi_fail(error, WLM_ERR_IO, o->log, WLM_NO_OFFSET, "%s", strerror(errno));
}

static wlm_status train(wlmi_run *run, wlm_train_report *report, wlm_error *error)
{
    const wlm_train_options *o = run->options;
    loop l = {.run = run, .loss_val = NAN};
    wlm_status status = WLM_OK;
    if (is_first(run))
        status = open_outputs(&l, error);
    if (!o->resume && access(run->resume_path, F_OK) == 0)
        tell(&l, "an unfinished run stands beside the output; it is not resumed, and will be replaced");
    status = wlmi_ranks_agree(run->ranks, status, error);
    if (status == WLM_OK)
        status = o->summary ? teach_summary(&l, error) : steps(&l, error);
    if (status == WLM_OK)
        status = wlmi_run_compare_nets(run, error);
    if (status == WLM_OK)
        status = wlmi_ranks_agree(run->ranks, is_first(run) ? finish(&l, error) : WLM_OK, error);
    fill_report(report, &l);
    if (l.log)
        fclose(l.log);
    return status;
}

wlm_status wlm_train(const wlm_train_options *options, wlm_train_report *report, wlm_error *error)
{
    wlmi_run run;
    wlm_train_report unused;
    wlm_error untold; /* ranks tell each other their errors, whether or not the caller asks */
    wlm_status status;
    if (!report)
        report = &unused;
    if (!error)
        error = &untold;
    status = wlmi_run_open(&run, options, error);
    memset(report, 0, sizeof *report);
    report->rank = wlmi_ranks_rank(run.ranks);
    report->ranks = wlmi_ranks_count(run.ranks);
    if (status == WLM_OK)
        status = train(&run, report, error);
    wlmi_run_close(&run);
    return status;
}
