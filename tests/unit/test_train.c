/* test_train.c: wlm_train over an imported folder: learning, stopping, resuming, refusing; and opening what it wrote. */
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"
#include "model/params.h"
#include "model/summary.h"
#include "model/place.h"
#include "task/handle.h"

enum { FLOWS = 30, PACKETS = 3, PAYLOAD = 24, SIZE = 28 + PAYLOAD };

/* One folder of two labels, "a" and "b": UDP flows whose payload is that letter. */
static void write_capture(const char *path, char letter)
{
    const wlm_writer_options options = {WLM_FORMAT_PCAP, 101, 0, 1};
    wlm_writer *writer;
    wlm_error error;
    assert_ok(wlm_writer_open(&writer, path, &options, &error), &error);
    for (int i = 0; i < FLOWS * PACKETS; i++) {
        uint8_t data[SIZE] = {0x45, 0, 0, SIZE, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
        wlm_packet packet = {.time_ns = 1000000000 + i * (int64_t)(letter == 'b' ? 3000000 : 1000000), .captured = SIZE, .wire = SIZE,
                             .link_type = 101, .data = data};
        wlmi_store_be16(data + 20, (uint16_t)(20000 + i / PACKETS + (letter == 'b' ? 500 : 0)));
        wlmi_store_be16(data + 22, letter == 'b' ? 5353 : 53);
        wlmi_store_be16(data + 24, 8 + PAYLOAD);
        memset(data + 28, letter, PAYLOAD);
        assert_ok(wlm_writer_packet(writer, &packet, &error), &error);
    }
    assert_ok(wlm_writer_finish(writer, &error), &error);
}

static const char *folder(void)
{
    static char path[512];
    if (!path[0]) {
        const char *source = test_path("captures");
        wlm_import_options options = wlm_import_options_default();
        wlm_import_report report;
        wlm_error error;
        char a[600], b[600];
        snprintf(path, sizeof path, "%s", test_path("imported"));
        snprintf(a, sizeof a, "%s/a", source);
        snprintf(b, sizeof b, "%s/b", source);
        assert_true(mkdir(source, 0777) == 0 && mkdir(a, 0777) == 0 && mkdir(b, 0777) == 0);
        strcat(a, "/1.pcap");
        strcat(b, "/1.pcap");
        write_capture(a, 'a');
        write_capture(b, 'b');
        options.out = path;
        options.task = "letter";
        options.split = WLM_SPLIT_FLOW;
        options.paths = &source;
        options.path_count = 1;
        assert_ok(wlm_import(&options, &report, &error), &error);
        assert_int_equal(report.labels, 2);
    }
    return path;
}

static wlm_train_options options_for(const char *const *data, const char *out, const char *preset)
{
    wlm_train_options o = wlm_train_options_default();
    o.data = data;
    o.data_count = 1;
    o.out = out;
    o.preset = preset;
    o.steps = 6;
    o.context = 128;
    o.tokens_per_batch = 256;
    o.save_every_s = 0;
    o.threads = 1;
    return o;
}

static wlm_stop stop;

static void stop_at_once(void *user, const wlm_progress *progress)
{
    (void)user;
    if (!progress->note && progress->done > 0)
        stop = 1;
}

static void assert_same_file(const char *a, const char *b)
{
    size_t a_size, b_size;
    uint8_t *x = test_read(a, &a_size), *y = test_read(b, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(x, y, a_size);
    free(x);
    free(y);
}

static void a_stopped_and_resumed_run_writes_the_same_file(void **state)
{
    const char *data = folder();
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        const char *preset = kind ? "netgpt-nano" : "trafficgpt-nano", *straight = test_path("straight"),
                   *halting = test_path("halting"), *aside = test_path("halting.resume");
        wlm_train_options o = options_for(&data, straight, preset);
        wlm_train_report whole, part;
        wlm_error error;
        int sittings = 0;
        wlm_status status = WLM_STOPPED;
        if (kind) {
            o.hide_shares = "ids=.5,shape=.5";
            o.payload_shares = "full=.5,2=.5";
            o.alter = "sample10=.3,jitter=.3";
        }
        assert_ok(wlm_train(&o, &whole, &error), &error);
        o.out = halting;
        o.progress = stop_at_once;
        o.stop = &stop;
        while (status == WLM_STOPPED) { /* the first report of each of three sittings stops it */
            stop = 0;
            o.resume = sittings++ > 0;
            if (sittings > 3)
                o.progress = NULL;
            status = wlm_train(&o, &part, &error);
            if (status == WLM_STOPPED) {
                assert_int_equal(access(aside, F_OK), 0);
                assert_true(access(halting, F_OK) != 0);
            }
            if (kind && status == WLM_STOPPED) {
                wlm_train_options other = o;
                other.resume = 1;
                other.hide_shares = "ids=.4,shape=.6";
                assert_int_equal(wlm_train(&other, NULL, &error), WLM_ERR_ARGUMENT);
                assert_string_equal(error.cause, "cannot resume with another hide: the run had \"ids=.5,shape=.5\"");
                other = o, other.resume = 1, other.alter = NULL;
                assert_int_equal(wlm_train(&other, NULL, &error), WLM_ERR_ARGUMENT);
                assert_non_null(strstr(error.cause, "another alter"));
            }
        }
        assert_ok(status, &error);
        assert_true(sittings > 2);
        assert_true(access(aside, F_OK) != 0);
        assert_same_file(straight, halting);
        assert_int_equal(part.steps, 6);
        assert_int_equal(part.tokens, whole.tokens);
        assert_true(part.loss_last == whole.loss_last && part.loss_val == whole.loss_val);
        assert_int_equal(unlink(straight), 0);
        assert_int_equal(unlink(halting), 0);
    }
}

static void it_learns_and_what_it_writes_opens(void **state)
{
    const char *data = folder(), *out = test_path("learned"), *log = test_path("log");
    wlm_train_options o = options_for(&data, out, "trafficgpt-nano");
    wlm_train_report report;
    wlm_model *model;
    wlm_error error;
    const wlmi_task *task;
    char *json;
    size_t size, lines = 0;
    uint8_t *text;
    int a;
    (void)state;
    o.steps = 25;
    o.log = log;
    o.max_packets = 2;
    assert_ok(wlm_train(&o, &report, &error), &error);
    assert_true(report.loss_last < 0.7 * report.loss_first);
    assert_true(isfinite(report.loss_val));
    assert_int_equal(report.skipped, 0);
    text = test_read(log, &size);
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    assert_int_equal(lines, 25);
    free(text);

    assert_ok(wlm_model_load(&model, out, 1, &error), &error);
    assert_int_equal(report.parameters, model->net->count);
    assert_string_equal(model->codec->name, "fields");
    assert_int_equal(model->net->record.steps, 25);
    assert_int_equal(model->net->record.hide, WLM_HIDE_IDS);
    assert_int_equal(model->net->record.max_packets, 2);
    assert_int_equal(model->net->config.context, 128);
    assert_int_equal(strncmp(model->id, "sha256:", 7), 0);
    assert_int_equal(strlen(model->id), 7 + 64);
    assert_int_equal(model->net->tasks, 1);
    task = &model->net->task[0];
    assert_string_equal(task->name, "letter");
    a = wlmi_task_find_label(task, "a");
    assert_true(a >= 0 && task->flows[a] > 0 && task->flows[a] < FLOWS);
    assert_int_equal(task->port[a], 53);
    assert_int_equal(task->proto[a], 17);
    assert_int_equal(task->flows_cut[a], task->flows[a]); /* they run to the capture's end */
    wlm_model_free(model);

    assert_ok(wlm_info_file(out, &json, &error), &error);
    assert_non_null(strstr(json, "\"kind\":\"model\""));
    assert_non_null(strstr(json, "letter"));
    wlm_text_free(json);
}

static void a_run_can_start_from_a_checkpoint(void **state)
{
    const char *data = folder(), *first = test_path("first"), *second = test_path("second");
    wlm_train_options o = options_for(&data, first, "netgpt-nano");
    wlm_train_report report;
    wlm_model *model;
    wlm_error error;
    (void)state;
    o.hide = WLM_HIDE_NONE;
    o.payload = 8;
    o.plain = 1;
    o.steps = 2;
    assert_ok(wlm_train(&o, &report, &error), &error);
    o = options_for(&data, second, NULL);
    o.init = first;
    o.context = 0;
    o.steps = 3;
    assert_ok(wlm_train(&o, &report, &error), &error);
    assert_ok(wlm_model_load(&model, second, 1, &error), &error);
    assert_string_equal(model->net->config.preset, "netgpt-nano");
    assert_int_equal(model->net->config.context, 128);
    assert_int_equal(model->net->record.hide, WLM_HIDE_NONE);
    assert_int_equal(model->net->record.payload, 8);
    assert_int_equal(model->net->record.steps, 5); /* both runs */
    wlm_model_free(model);
}

static void expect_refused(const wlm_train_options *o, wlm_status wanted, const char *why)
{
    wlm_error error;
    wlm_status status = wlm_train(o, NULL, &error);
    if (status != wanted || !strstr(error.cause, why))
        fail_msg("%s: %s, not '%s'", wlm_status_name(status), error.cause, why);
    assert_true(access(o->out, F_OK) != 0);
}

static void a_new_model_can_see_roles_and_segments(void **state)
{
    const char *data = folder(), *out = test_path("seeing");
    wlm_train_options o = options_for(&data, out, "wire-nano");
    const wlmi_codec *codec = wlmi_codec_find(NULL);
    wlm_model *model;
    wlm_error error;
    (void)state;
    o.codec = codec->name;
    o.roles = o.places = 1;
    o.segments = 5;
    o.steps = 2;
    assert_ok(wlm_train(&o, NULL, &error), &error);
    assert_ok(wlm_model_load(&model, out, 1, &error), &error);
    assert_int_equal(model->net->config.role_rows, codec->roles + 1);
    assert_int_equal(model->net->config.place_rows, WLMI_PLACE_ROWS);
    assert_int_equal(model->net->config.packet_rows, 5);
    wlm_model_free(model);
}

static void a_model_can_be_taught_to_see_more(void **state)
{
    const char *data = folder(), *before = test_path("seeing-less"), *out = test_path("seeing-more");
    wlm_train_options o = options_for(&data, before, "wire-nano");
    const wlmi_codec *codec = wlmi_codec_find(NULL);
    wlm_model *model;
    wlm_error error;
    (void)state;
    o.codec = codec->name;
    o.steps = 2;
    assert_ok(wlm_train(&o, NULL, &error), &error);
    o = options_for(&data, out, NULL);
    o.init = before;
    o.roles = o.places = 1;
    o.segments = 5;
    assert_ok(wlm_train(&o, NULL, &error), &error);
    assert_ok(wlm_model_load(&model, out, 1, &error), &error);
    assert_int_equal(model->net->config.role_rows, codec->roles + 1);
    assert_int_equal(model->net->config.place_rows, WLMI_PLACE_ROWS);
    assert_int_equal(model->net->config.packet_rows, 5);
    wlm_model_free(model);
    o.init = out;
    o.out = test_path("seeing-otherwise");
    o.segments = 6;
    expect_refused(&o, WLM_ERR_ARGUMENT, "5 rows of segments, not 6");
    o = options_for(&data, test_path("seeing-nothing"), "wire-nano");
    o.codec = "bytes";
    o.places = 1;
    expect_refused(&o, WLM_ERR_ARGUMENT, "places that their embedding could be made of");
}

/* Whether trees for flows that show so much say anything. */
static int has_trees(const wlmi_net *net, int shown)
{
    const wlmi_param *p = wlmi_summary_param(net, WLMI_SUMMARY_VALUE);
    const float *value = (const float *)wlmi_value(net, p) + (size_t)shown * p->count / WLMI_SHOWN;
    for (size_t i = 0; i < p->count / WLMI_SHOWN; i++)
        if (value[i] != 0)
            return 1;
    return 0;
}

static void each_policy_has_trees_that_see_what_it_shows(void **state)
{
    static const char *const hides[] = {"ids=1", "shape=1", "ids=.5,shape=.5"};
    const char *data = folder(), *before = test_path("seeing");
    wlm_train_options o = options_for(&data, before, "wire-nano");
    wlm_error error;
    (void)state;
    o.codec = "fields";
    o.plain = 0;
    o.classify = 1;
    o.steps = 1;
    assert_ok(wlm_train(&o, NULL, &error), &error);
    o.preset = NULL;
    o.init = before;
    o.out = test_path("seeing-trees");
    o.summary = 1;
    o.steps = 10;
    for (int i = 0; i < 3; i++) {
        wlm_model *model;
        o.hide_shares = hides[i];
        assert_ok(wlm_train(&o, NULL, &error), &error);
        assert_ok(wlm_model_load(&model, o.out, 1, &error), &error);
        assert_int_equal(has_trees(model->net, WLMI_SHOWN_HEADERS), i != 1);
        if (i) /* ids shows headers of what has some */
            assert_true(has_trees(model->net, WLMI_SHOWN_SHAPE));
        wlm_model_free(model);
    }
}

static void a_summary_is_taught_to_a_model_that_is_there(void **state)
{
    const char *data = folder(), *before = test_path("judging"), *out = test_path("judging-twice");
    wlm_train_options o = options_for(&data, before, "wire-nano");
    wlm_model *old, *model;
    wlm_train_report report;
    wlm_error error;
    (void)state;
    o.codec = "fields";
    o.plain = 0;
    o.classify = 1;
    o.steps = 2;
    assert_ok(wlm_train(&o, NULL, &error), &error);
    o.preset = NULL;
    o.out = out;
    o.summary = 1;
    expect_refused(&o, WLM_ERR_ARGUMENT, "name it to start from");
    o.init = before;
    o.steps = 60;
    assert_ok(wlm_train(&o, &report, &error), &error);
    if (!(report.loss_last < report.loss_first))
        fail_msg("loss %g, at first %g", report.loss_last, report.loss_first);
    assert_ok(wlm_model_load(&old, before, 1, &error), &error);
    assert_ok(wlm_model_load(&model, out, 1, &error), &error);
    assert_true(wlmi_summary_is_current(model->net));
    assert_true(model->net->task->calibration[WLMI_SHOWN_HEADERS].summary_share > 0);
    assert_int_equal(model->net->record.tokens, old->net->record.tokens);
    for (int i = 0, j = 0; j < old->net->params; i++) { /* the rest is as it was */
        const wlmi_param *p = &model->net->param[i], *q = &old->net->param[j];
        if (!strncmp(p->name, "summary.", 8))
            continue;
        assert_string_equal(p->name, q->name);
        assert_memory_equal(wlmi_value(model->net, p), wlmi_value(old->net, q), q->count * sizeof(float));
        j++;
    }
    wlm_model_free(old);
    wlm_model_free(model);
    o.out = test_path("judging-no-more"); /* when the rest is trained it does not go along */
    o.init = out;
    o.summary = 0;
    o.steps = 2;
    assert_ok(wlm_train(&o, NULL, &error), &error);
    assert_ok(wlm_model_load(&model, o.out, 1, &error), &error);
    assert_int_equal(model->net->config.summary_trees, 0);
    assert_true(model->net->task->calibration[WLMI_SHOWN_HEADERS].summary_share == 0);
    wlm_model_free(model);
}

static void what_makes_no_sense_is_refused(void **state)
{
    const char *data = folder(), *nowhere = test_path("nowhere");
    wlm_train_options good = options_for(&data, test_path("refused"), "trafficgpt-nano"), o;
    (void)state;
    o = good, o.preset = "gpt-9", expect_refused(&o, WLM_ERR_ARGUMENT, "gpt-9");
    o = good, o.data = &nowhere, expect_refused(&o, WLM_ERR_IO, "");
    o = good, o.data_count = 0, expect_refused(&o, WLM_ERR_ARGUMENT, "folder");
    o = good, o.init = "x", expect_refused(&o, WLM_ERR_ARGUMENT, "not both");
    o = good, o.resume = 1, expect_refused(&o, WLM_ERR_IO, "no unfinished run");
    o = good, o.backend = "ref64", expect_refused(&o, WLM_ERR_ARGUMENT, "ref64");
    o = good, o.codec = "morse", expect_refused(&o, WLM_ERR_ARGUMENT, "morse");
    o = good, o.plain = -1, expect_refused(&o, WLM_ERR_ARGUMENT, "shares");
    o = good, o.optimiser = "guess", expect_refused(&o, WLM_ERR_ARGUMENT, "guess");
    o = good, o.schedule = "triangle", expect_refused(&o, WLM_ERR_ARGUMENT, "triangle");
    o = good, o.learning_rate = 0, expect_refused(&o, WLM_ERR_ARGUMENT, "learning rate");
    o = good, o.tokens_per_batch = 100, expect_refused(&o, WLM_ERR_ARGUMENT, "");
}

static double val_shown;

static void note_val(void *user, const wlm_progress *progress)
{
    const char *out = user;
    val_shown = progress->loss_val;
    if (progress->done == 4 && out) /* written at step 3 */
        assert_int_equal(access(out, F_OK), 0);
}

/* Losses on the val parts and models on the way leave the run as it would have been, to the last bit. */
static void looking_on_the_way_changes_nothing(void **state)
{
    const char *data = folder(), *plain = test_path("plain"), *watched = test_path("watched"), *log = test_path("vals");
    wlm_train_options o = options_for(&data, plain, "trafficgpt-nano");
    wlm_train_report a, b;
    wlm_error error;
    size_t size;
    int step = 0;
    uint8_t *text;
    (void)state;
    assert_ok(wlm_train(&o, &a, &error), &error);
    o.out = watched;
    o.log = log;
    o.validate_every = 2;
    o.checkpoint_every = 3;
    o.progress = note_val;
    o.user = (void *)(uintptr_t)watched;
    assert_ok(wlm_train(&o, &b, &error), &error);
    assert_true(a.loss_val == b.loss_val && val_shown > 0);
    assert_same_file(plain, watched);
    text = test_read(log, &size);
    text[size - 1] = 0; /* the last newline */
    for (char *line = strtok((char *)text, "\n"); line; line = strtok(NULL, "\n")) {
        step++;
        assert_int_equal(strstr(line, "\"loss_val\":") != NULL, step % 2 == 0);
    }
    assert_int_equal(step, 6);
    free(text);
}

/* A learning rate that throws the parameters out of range: every later step is skipped, the tenth ends the run. */
static void a_run_that_diverges_ends(void **state)
{
    const char *data = folder(), *aside = test_path("diverged.resume");
    wlm_train_options o = options_for(&data, test_path("diverged"), "trafficgpt-nano");
    wlm_train_report report;
    wlm_error error;
    (void)state;
    o.steps = 100;
    o.warmup = 0;
    o.learning_rate = 1e30;
    o.save_every_s = 1e-9;
    assert_int_equal(wlm_train(&o, &report, &error), WLM_ERR_DIVERGED);
    assert_non_null(strstr(error.cause, "diverged"));
    assert_null(strchr(error.cause, '\n'));
    assert_int_equal(report.skipped, 10);
    assert_true(report.steps >= 11 && report.steps < 15);
    assert_true(access(o.out, F_OK) != 0);
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_equal(unlink(aside), 0);
}

static void resuming_with_other_options_is_refused(void **state)
{
    const char *data = folder(), *out = test_path("other");
    wlm_train_options o = options_for(&data, out, "trafficgpt-nano");
    wlm_train_report report;
    wlm_error error;
    (void)state;
    stop = 1;
    o.stop = &stop;
    assert_int_equal(wlm_train(&o, &report, &error), WLM_STOPPED);
    o.resume = 1;
    o.seed = 2;
    expect_refused(&o, WLM_ERR_ARGUMENT, "seed");
}

static void a_shuffled_run_is_remembered_and_generates(void **state)
{
    const char *data = folder(), *out = test_path("shuffled"), *second = test_path("shuffled2");
    wlm_train_options o = options_for(&data, out, "trafficgpt-nano"), other;
    wlm_generate_options g = wlm_generate_options_default();
    wlm_generate_report made;
    wlm_train_report report;
    wlm_model *model;
    wlm_error error;
    (void)state;
    o.shuffle_fields = 5;
    o.codec = "bytes";
    expect_refused(&o, WLM_ERR_ARGUMENT, "codec bytes has no fields to shuffle");
    o.codec = "fields";
    o.stop = &stop;
    stop = 1;
    assert_int_equal(wlm_train(&o, &report, &error), WLM_STOPPED);
    stop = 0;
    o.resume = 1;
    other = o, other.shuffle_fields = 6, expect_refused(&other, WLM_ERR_ARGUMENT, "another shuffle_fields");
    other = o, other.shuffle_fields = 0, expect_refused(&other, WLM_ERR_ARGUMENT, "another shuffle_fields");
    assert_ok(wlm_train(&o, &report, &error), &error);

    o = options_for(&data, second, NULL);
    o.init = out;
    assert_ok(wlm_train(&o, &report, &error), &error);
    assert_ok(wlm_model_load(&model, second, 1, &error), &error);
    assert_true(model->net->record.shuffle_fields == 5);
    g.out = test_path("shuffled.pcap");
    g.flows = 5;
    g.max_tokens = 100;
    assert_ok(wlm_generate(model, &g, &made, &error), &error);
    assert_int_equal(made.flows, 5);
    assert_int_equal(made.reencoded_differently, 0);
    wlm_model_free(model);
}

static void time_bounds_a_run(void **state)
{
    const char *data = folder(), *out = test_path("timed");
    wlm_train_options o = options_for(&data, out, "trafficgpt-nano");
    wlm_train_report report;
    wlm_error error;
    (void)state;
    o.steps = 0;
    o.seconds = 0.05;
    assert_ok(wlm_train(&o, &report, &error), &error);
    assert_true(report.steps >= 1 && report.seconds >= 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_and_resumed_run_writes_the_same_file),
        cmocka_unit_test(it_learns_and_what_it_writes_opens),
        cmocka_unit_test(a_run_can_start_from_a_checkpoint),
        cmocka_unit_test(a_new_model_can_see_roles_and_segments),
        cmocka_unit_test(each_policy_has_trees_that_see_what_it_shows),
        cmocka_unit_test(a_summary_is_taught_to_a_model_that_is_there),
        cmocka_unit_test(a_model_can_be_taught_to_see_more),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(looking_on_the_way_changes_nothing),
        cmocka_unit_test(a_run_that_diverges_ends),
        cmocka_unit_test(resuming_with_other_options_is_refused),
        cmocka_unit_test(a_shuffled_run_is_remembered_and_generates),
        cmocka_unit_test(time_bounds_a_run),
    };
    return cmocka_run_group_tests_name("train", tests, NULL, NULL);
}
