/* run.c: sets a training run up. */
#include "task/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "model/summary.h"
#include "task/facts.h"
#include "task/handle.h"

static const char default_preset[] = "trafficgpt-nano";
static const uint64_t default_steps = 1000;
static const uint32_t default_tokens = 2048;

static wlm_status refuse(wlm_error *error, const char *why)
{
    return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "%s", why);
}


static int in_unit(double x, int one_too)
{
    return x >= 0 && (one_too ? x <= 1 : x < 1);
}

static wlm_status check_options(const wlm_train_options *o, wlm_error *error)
{
    if (!o->out || !o->out[0] || !strcmp(o->out, "-"))
        return refuse(error, "training needs a file to write the model to");
    if (!o->data_count)
        return refuse(error, "training needs at least one imported folder");
    if (o->preset && o->init)
        return refuse(error, "either a preset for a new model, or a model to start from, not both");
    if (o->summary && !o->init)
        return refuse(error, "a summary is taught to a model that is there: name it to start from");
    if (!(o->plain >= 0 && o->classify >= 0 && o->generate >= 0 && isfinite(o->plain + o->classify + o->generate)))
        return refuse(error, "the shares of the prompts must not be negative");
    if (o->summary && o->classify == 0 && o->plain + o->generate > 0)
        return refuse(error, "a summary learns from classify prompts alone: give them a share");
    if (o->summary && (o->seconds > 0 || o->ranks == WLM_RANKS_MPI))
        return refuse(error, "a summary is taught by one process, from a number of batches: --steps");
    if (!in_unit(o->balance, 1) || !in_unit(o->task_balance, 1))
        return refuse(error, "balance, of labels and of tasks, lies between 0 and 1");
    if (!(o->learning_rate > 0 && isfinite(o->learning_rate)))
        return refuse(error, "the learning rate must be above 0");
    if (!in_unit(o->warmup, 1) || !in_unit(o->weight_decay, 1) || !(o->clip >= 0) || !(o->seconds >= 0) ||
        !(o->save_every_s >= 0))
        return refuse(error, "warm-up and weight decay lie between 0 and 1; clip, time and save interval are not negative");
    if (o->accumulate < 1 || o->context > INT32_MAX || o->segments > INT32_MAX ||
        o->tokens_per_batch > INT32_MAX || o->steps > INT64_MAX)
        return refuse(error, "accumulate is at least 1; context, segments, batch and steps are not astronomical");
    return WLM_OK;
}

/* ---------------------------------------------------------------- data */

static wlm_status open_data(wlmi_run *run, wlm_error *error)
{
    const wlm_train_options *o = run->options;
    run->data = wlmi_alloc_zero(o->data_count, sizeof *run->data);
    if (!run->data)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < o->data_count; i++)
        WLMI_TRY(wlmi_dataset_open(&run->data[i], o->data[i], error));
    return WLM_OK;
}

static void decide_shares(wlmi_run *run)
{
    const wlm_train_options *o = run->options;
    int labelled = 0;
    for (size_t i = 0; i < o->data_count; i++)
        labelled |= wlmi_dataset_task(run->data[i]) && wlmi_dataset_labels(run->data[i]) > 0;
    run->plain = o->plain;
    run->classify = o->classify;
    run->generate = o->generate;
    if (o->plain + o->classify + o->generate > 0)
        return;
    run->plain = labelled ? 0.2 : 1;
    run->classify = labelled ? 0.6 : 0;
    run->generate = labelled ? 0.2 : 0;
}

/* ---------------------------------------------------------------- what was asked */

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *text_or_number(const char *text, uint32_t number)
{
    return text ? json_string(text) : json_integer(number);
}

/* What is read and how it becomes batches; NULL where memory is short. */
static json_t *asked_of_data(const wlmi_run *run)
{
    const wlm_train_options *o = run->options;
    json_t *flows = json_array(), *asked;
    char shuffle[24], draw[24];
    snprintf(shuffle, sizeof shuffle, "%llu", (unsigned long long)o->shuffle_fields);
    snprintf(draw, sizeof draw, "%llu", (unsigned long long)o->draw);
    for (size_t i = 0; i < o->data_count; i++)
        json_array_append_new(flows, json_integer((json_int_t)wlmi_dataset_flows(run->data[i])));
    asked = json_pack("{s:o, s:o, s:I, s:f, s:f, s:f, s:o, s:o, s:o, s:o, s:f, s:f, s:o, s:I, s:s, s:s, s:I, s:I}",
                     "data", flows, "codec", text_or_null(o->codec), "unit", (json_int_t)o->unit, "plain", run->plain,
                     "classify", run->classify, "generate", run->generate, "hide",
                     text_or_number(o->hide_shares, o->hide), "payload", text_or_number(o->payload_shares, o->payload),
                     "max_packets", text_or_number(o->max_packets_shares, o->max_packets), "alter",
                     text_or_null(o->alter), "balance", o->balance, "task_balance", o->task_balance, "task_shares",
                     text_or_null(o->task_shares), "per_label", (json_int_t)o->per_label, "draw", draw,
                     "shuffle_fields", shuffle, "tokens_per_batch", (json_int_t)o->tokens_per_batch, "context",
                     (json_int_t)o->context);
    if (asked && o->leave_out)
        json_object_set_new(asked, "leave_out", json_string(o->leave_out));
    return asked;
}

/* What is made of the batches. */
static json_t *asked_of_training(const wlmi_run *run)
{
    const wlm_train_options *o = run->options;
    char seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)o->seed);
    return json_pack("{s:o, s:b, s:b, s:b, s:I, s:o, s:I, s:f, s:I, s:f, s:o, s:f, s:f, s:b, s:s, s:f, s:s, s:s, s:i, s:o}",
                     "preset", text_or_null(o->preset), "roles", o->roles, "places", o->places, "summary", o->summary, "segments", (json_int_t)o->segments, "init",
                     text_or_null(o->init), "steps", (json_int_t)run->steps, "seconds", o->seconds, "accumulate", (json_int_t)o->accumulate, "learning_rate", o->learning_rate, "schedule",
                     text_or_null(o->schedule), "warmup", o->warmup, "weight_decay", o->weight_decay,
                     "decay_embeddings", o->decay_embeddings, "optimiser", run->muon ? "muon" : "adamw", "clip",
                     o->clip, "seed", seed, "backend", run->backend->name, "number of ranks",
                     wlmi_ranks_count(run->ranks), "reduce", text_or_null(o->reduce));
}

static wlm_status note_what_was_asked(wlmi_run *run, wlm_error *error)
{
    json_t *training = asked_of_training(run);
    int failed;
    run->asked = asked_of_data(run);
    failed = !run->asked || json_object_update(run->asked, training) != 0;
    json_decref(training);
    return failed ? WLMI_NO_MEMORY(error) : WLM_OK;
}

/* ---------------------------------------------------------------- the net */

static wlm_status make_net(wlmi_run *run, wlm_error *error)
{
    const wlm_train_options *o = run->options;
    const wlmi_codec *codec = wlmi_codec_find(o->codec);
    if (!codec)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no codec is called '%s'", o->codec);
    return wlmi_handle_new_net(&run->net, o->preset ? o->preset : default_preset,
                               (wlmi_embeddings){.roles = o->roles, .places = o->places, .segments = (int)o->segments},
                               codec, run->backend, o->seed, error);
}

static wlm_status load_net(wlmi_run *run, wlm_error *error)
{
    const wlm_train_options *o = run->options;
    const wlmi_codec *codec;
    WLMI_TRY(wlmi_checkpoint_load(&run->net, o->init, run->backend, error));
    WLMI_TRY(wlmi_handle_codec(&run->net->record, o->init, &codec, error));
    if (o->codec && strcmp(o->codec, codec->name))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, o->init, WLM_NO_OFFSET, "made with codec '%s', not '%s'", codec->name,
                         o->codec);
    return wlmi_net_forget_summary(run->net, error);
}

static wlm_status add_task(wlmi_run *run, const wlmi_dataset *data, wlm_error *error)
{
    uint32_t count = wlmi_dataset_labels(data);
    const char **label = wlmi_alloc_array(count, sizeof *label);
    wlm_status status;
    int kept = 0;
    if (!label)
        return WLMI_NO_MEMORY(error);
    for (uint32_t i = 0; i < count; i++)
        if (!wlmi_batch_leaves_out(run->options->leave_out, wlmi_dataset_label(data, i)))
            label[kept++] = wlmi_dataset_label(data, i);
    status = wlmi_net_add_task(run->net, wlmi_dataset_task(data), label, kept, run->options->seed, error);
    wlmi_free(label);
    return status;
}

/* Labels that are left out are some folder's. */
static wlm_status check_leave_out(const wlmi_run *run, wlm_error *error)
{
    const char *word = run->options->leave_out;
    while (word && *word) {
        char name[256];
        size_t length = strcspn(word, ",");
        int found = 0;
        snprintf(name, sizeof name, "%.*s", (int)(length < 255 ? length : 255), word);
        for (size_t d = 0; d < run->options->data_count; d++)
            for (uint32_t i = 0; i < wlmi_dataset_labels(run->data[d]); i++)
                found |= !strcmp(wlmi_dataset_label(run->data[d], i), name);
        if (!found)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no folder has the label '%.64s'", name);
        word += length + (word[length] == ',');
    }
    return WLM_OK;
}

/* Tasks, record and context of a run that begins. */
static wlm_status dress_net(wlmi_run *run, wlm_error *error)
{
    const wlm_train_options *o = run->options;
    wlmi_record *record = &run->net->record;
    WLMI_TRY(check_leave_out(run, error));
    for (size_t i = 0; i < o->data_count; i++) {
        if (wlmi_dataset_task(run->data[i]))
            WLMI_TRY(add_task(run, run->data[i], error));
        if (wlmi_dataset_fell_back(run->data[i]))
            snprintf(record->split_note, sizeof record->split_note,
                     "%.160s was split by flow: it has too few captures to split by capture", o->data[i]);
    }
    if (o->unit != WLM_UNIT_INHERIT)
        record->unit = o->unit;
    WLMI_TRY(wlmi_mix_ask(record, o, error));
    record->per_label = o->per_label;
    record->draw = o->per_label ? o->draw : 0;
    if (o->shuffle_fields)
        record->shuffle_fields = o->shuffle_fields;
    if (o->context)
        run->net->config.context = (int)o->context;
    record->seed = o->seed;
    for (int t = 0; t < run->net->tasks; t++) /* another model needs another calibration */
        wlmi_task_uncalibrate(&run->net->task[t], o->summary);
    WLMI_TRY(wlmi_config_check(&run->net->config, error));
    return wlmi_facts_gather(run->net, run->data, o->data_count, error);
}

/* By what the model lacks; a summary is for all tasks that it has by now. */
static wlm_status grow_net(wlmi_run *run, wlm_error *error)
{
    const wlm_train_options *o = run->options;
    const wlmi_codec *codec;
    WLMI_TRY(wlmi_handle_codec(&run->net->record, o->init, &codec, error));
    return wlmi_handle_extend(run->net, (wlmi_embeddings){o->roles, o->places, (int)o->segments, o->summary}, codec, error);
}

static wlm_status begin(wlmi_run *run, wlm_error *error)
{
    WLMI_TRY(run->options->init ? load_net(run, error) : make_net(run, error));
    WLMI_TRY(dress_net(run, error));
    if (run->options->init)
        WLMI_TRY(grow_net(run, error));
    return wlmi_trainer_init(&run->trainer, run->net, error);
}

static wlm_status keep_record(wlmi_run *run, wlm_error *error)
{
    wlmi_net *net;
    WLMI_TRY(wlmi_checkpoint_load(&net, run->options->init, run->backend, error));
    run->record = net->record;
    wlmi_net_free(net);
    return WLM_OK;
}

static wlm_status take_up(wlmi_run *run, wlm_error *error)
{
    if (access(run->resume_path, F_OK) != 0)
        return wlmi_fail(error, WLM_ERR_IO, run->resume_path, WLM_NO_OFFSET, "there is no unfinished run to resume");
    return wlmi_resume_load(&run->trainer, &run->net, run->asked, run->resume_path, run->backend, error);
}

/* ---------------------------------------------------------------- batches */

static wlm_status open_batches(wlmi_run *run, wlm_error *error)
{
    const wlm_train_options *o = run->options;
    const wlmi_record *record = &run->net->record;
    const wlmi_codec *codec;
    wlmi_batch_options options = wlmi_batch_options_default();
    wlmi_view view;
    WLMI_TRY(wlmi_handle_codec(record, o->out, &codec, error));
    view = wlmi_view_default(codec);
    view.hide = record->hide;
    view.payload = record->payload;
    view.max_packets = record->max_packets;
    WLMI_TRY(wlmi_mix_read(&view.mix, record, error));
    view.shuffle_fields = record->shuffle_fields;
    view.unit = record->unit;
    if (record->unit == WLM_UNIT_CAPTURE && o->plain + o->classify + o->generate == 0) {
        run->plain = 1;
        run->classify = run->generate = 0;
    }
    view.context = run->net->config.context;
    view.uncut = o->summary;
    options.plain = run->plain;
    options.classify = run->classify;
    options.generate = run->generate;
    options.tokens = (int)o->tokens_per_batch;
    if (!options.tokens)
        options.tokens = view.context > (int)default_tokens ? view.context : (int)default_tokens;
    options.seed = o->seed;
    options.balance = o->balance;
    options.task_balance = o->task_balance;
    options.task_shares = o->task_shares;
    options.per_label = o->per_label;
    options.draw = o->draw;
    options.leave_out = o->leave_out;
    return wlmi_batches_new(&run->batches, (const wlmi_dataset *const *)run->data, o->data_count, run->net, &view,
                            &options, error);
}

wlm_status wlmi_run_compare_nets(wlmi_run *run, wlm_error *error)
{
    return wlmi_ranks_compare(run->ranks, run->net->value, run->net->count * sizeof(float), "the model's parameters",
                              error);
}

/* What all ranks must share for their sums to make sense. */
static wlm_status compare_ranks(wlmi_run *run, wlm_error *error)
{
    char *asked;
    wlm_status status;
    if (!run->ranks)
        return WLM_OK;
    asked = json_dumps(run->asked, JSON_COMPACT);
    status = wlmi_ranks_agree(run->ranks, asked ? WLM_OK : WLMI_NO_MEMORY(error), error);
    if (status == WLM_OK)
        status = wlmi_ranks_compare(run->ranks, asked, strlen(asked), "their options or data", error);
    free(asked);
    return status == WLM_OK ? wlmi_run_compare_nets(run, error) : status;
}

static wlm_status set_up(wlmi_run *run, wlm_error *error)
{
    const wlm_train_options *options = run->options;
    WLMI_TRY(check_options(options, error));
    run->steps = options->steps || options->seconds > 0 ? options->steps : default_steps;
    run->backend = wlmi_backend_find(options->backend);
    if (!run->backend || run->backend->real_size != sizeof(float))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no backend to train with is called '%s'",
                         options->backend ? options->backend : "cpu");
    if (!wlmi_schedule_find(options->schedule, &run->schedule))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "no schedule is called '%s': there are cosine, wsd and constant", options->schedule);
    run->muon = options->optimiser && !strcmp(options->optimiser, "muon");
    if (options->optimiser && !run->muon && strcmp(options->optimiser, "adamw"))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "no optimiser is called '%s': there are adamw and muon", options->optimiser);
    run->backend->set_threads(options->threads);
    run->resume_path = wlmi_alloc(strlen(options->out) + sizeof ".resume");
    if (!run->resume_path)
        return WLMI_NO_MEMORY(error);
    sprintf(run->resume_path, "%s.resume", options->out);
    WLMI_TRY(open_data(run, error));
    decide_shares(run);
    WLMI_TRY(note_what_was_asked(run, error));
    WLMI_TRY(options->resume ? take_up(run, error) : begin(run, error));
    run->net->recompute |= options->recompute != 0;
    if (options->summary)
        WLMI_TRY(keep_record(run, error));
    if (run->muon)
        WLMI_TRY(wlmi_optimiser_use_muon(&run->trainer.optimiser, error));
    WLMI_TRY(wlmi_trainer_join(&run->trainer, run->ranks, error));
    return open_batches(run, error);
}

wlm_status wlmi_run_open(wlmi_run *run, const wlm_train_options *options, wlm_error *error)
{
    wlmi_reduce reduce;
    memset(run, 0, sizeof *run);
    run->options = options;
    if (!wlmi_reduce_find(options->reduce, &reduce))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "gradients cannot travel as '%s': there are f32 and bf16", options->reduce);
    if (options->ranks == WLM_RANKS_MPI)
        WLMI_TRY(wlmi_ranks_open(&run->ranks, reduce, error));
    WLMI_TRY(wlmi_ranks_agree(run->ranks, set_up(run, error), error));
    return compare_ranks(run, error);
}

void wlmi_run_close(wlmi_run *run)
{
    wlmi_batches_free(run->batches);
    wlmi_rows_free(&run->rows);
    wlmi_rows_free(&run->others);
    wlmi_trainer_clear(&run->trainer);
    wlmi_net_free(run->net);
    if (run->data)
        for (size_t i = 0; i < run->options->data_count; i++)
            wlmi_dataset_close(run->data[i]);
    wlmi_free(run->data);
    wlmi_free(run->resume_path);
    json_decref(run->asked);
    wlmi_ranks_close(run->ranks);
}
