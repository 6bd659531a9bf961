/* test_score.c: a flow run once and asked on the way says what the same flow says when it is shown that far only; and
 * what an evaluation reports is what its lines say. */
#include "support/captures.h"
#include "support/fixture.h"
#include "support/support.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "task/query.h"
#include "task/score.h"
#include "wirelm_evaluate.h"

enum { CAPTURES = 3 };

/* Of logits: streams keep what window heads remember in bf16. */
#define TOLERANCE 1e-3f

static wlm_model *model;
static const char *folder;

/* Flows of many lengths in three captures: with the three labels that the model knows, and chat, which it does not. */
static int make(void **state)
{
    const test_model_options made = {.hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_FULL, .context = 1024,
                                     .codec = "fields"};
    static const char *const known[] = {"dns", "ssh", "web / TLS 1.3"};
    static char csv[4096], kept[512];
    wlm_import_options options = wlm_import_options_default();
    wlm_import_report report;
    wlm_error error;
    size_t n = (size_t)sprintf(csv, "path,src_port,label,split\n");
    (void)state;
    for (int i = 0; i < CAPTURES; i++) {
        char name[16];
        test_capture c;
        snprintf(name, sizeof name, "%d.pcap", i);
        test_capture_begin(&c, name);
        for (uint16_t k = 0; k < 8; k++) {
            const uint16_t port = (uint16_t)(4000 + 100 * i + k);
            if (k % 2)
                test_capture_tcp(&c, (test_end){"10.0.0.1", port}, (test_end){"10.0.0.9", 80}, 2 * k);
            else
                test_capture_udp(&c, (test_end){"10.0.0.1", port}, (test_end){"10.0.0.9", 53}, 1 + k / 2);
            n += (size_t)snprintf(csv + n, sizeof csv - n, "%s,%d,%s,%s\n", name, port,
                                  k == 5 ? "chat" : known[k / 2 % 3], i ? "test" : "val");
        }
        test_capture_end(&c);
    }
    options.task = "app";
    options.split = WLM_SPLIT_GIVEN;
    wlmi_dataset_close(test_import(&options, csv, &report));
    strcpy(kept, test_path("import"));
    folder = kept;
    test_model_file(test_path("model.safetensors"), &made);
    assert_ok(wlm_model_load(&model, test_path("model.safetensors"), 1, &error), &error);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    wlm_model_free(model);
    return 0;
}

/* The flow shown only so far, by a prompt of its own. */
static void logits_of_prefix(const wlmi_view *view, const wlmi_cohort *cohort, const wlmi_pick *pick, float *out)
{
    wlmi_prompter *prompter;
    wlmi_rows rows = {0};
    wlmi_batch batch;
    wlm_error error;
    assert_ok(wlmi_prompter_new(&prompter, view, model->net, &error), &error);
    assert_ok(wlmi_prompter_append(prompter, cohort->data[pick->folder], pick->flow, WLMI_PROMPT_CLASSIFY, 0, -1, 0,
                                   &rows, NULL, &error), &error);
    batch = wlmi_rows_batch(&rows);
    assert_ok(wlmi_query_logits(model, &batch, NULL, 0, WLM_HIDE_IDS, out, &error), &error);
    wlmi_rows_free(&rows);
    wlmi_prompter_free(prompter);
}

static void assert_same_label(const float *logit, int32_t label, const char *what, uint32_t at)
{
    float best = logit[0];
    for (int i = 1; i < 3; i++)
        best = logit[i] > best ? logit[i] : best;
    if (!(best - logit[label] < TOLERANCE))
        fail_msg("%s %u: label %d, but its logit is %g below the best", what, at, label, best - logit[label]);
}

static void points_are_as_if_encoded_so_far(void **state)
{
    wlmi_cohort cohort = {0};
    wlmi_picks picks = {0};
    wlmi_scores whole = {0}, way = {0};
    wlmi_view view;
    wlmi_points points;
    const wlmi_wish wish = {NULL, WLM_UNIT_INHERIT, WLM_HIDE_IDS, WLM_PAYLOAD_INHERIT, 0, 0};
    wlm_error error;
    int changed = 0;
    (void)state;
    assert_ok(wlmi_query_view(model, &wish, &view, &error), &error);
    points = wlmi_points_of(&view);
    assert_int_equal(points.count, 6 + 5); /* 512 is the last below the context of 1024 */
    points.point[points.count].tokens = 1, points.point[points.count++].at = 3; /* less than any packet has */
    assert_ok(wlmi_cohort_open(&cohort, &folder, 1, &error), &error);
    assert_ok(wlmi_cohort_join(&cohort, &model->net->task[0], &error), &error);
    assert_ok(wlmi_cohort_pick(&cohort, WLM_PART_TEST, WLMI_ALL, &picks, &error), &error);
    assert_int_equal(picks.count, 16);
    assert_ok(wlmi_score_flows(model, &view, 0, &cohort, &picks, NULL, NULL, &whole, &error), &error);
    assert_ok(wlmi_score_flows(model, &view, 0, &cohort, &picks, &points, NULL, &way, &error), &error);
    for (size_t i = 0; i < picks.count; i++) {
        float logit[3];
        assert_int_equal(whole.packets[i], way.packets[i]);
        assert_int_equal(whole.tokens[i], way.tokens[i]);
        for (int j = 0; j < 3; j++)
            assert_true(fabsf(whole.logit[3 * i + (size_t)j] - way.logit[3 * i + (size_t)j]) < TOLERANCE);
        for (int p = 0; p < points.count; p++) {
            wlmi_view less = view;
            const uint32_t at = points.point[p].at;
            const int32_t said = way.at[i * (size_t)points.count + (size_t)p];
            if (points.point[p].tokens && at + 3 < WLMI_MIN_CONTEXT)
                continue; /* no prompt is so short */
            if (points.point[p].tokens)
                less.context = (int)at + 3;
            else
                less.max_packets = at;
            logits_of_prefix(&less, &cohort, &picks.item[i], logit);
            assert_same_label(logit, said, points.point[p].tokens ? "tokens" : "packets", at);
            changed += said != way.at[i * (size_t)points.count + (size_t)points.count - 2];
        }
    }
    assert_true(changed > 0); /* else the points say nothing */
    wlmi_scores_free(&whole);
    wlmi_scores_free(&way);
    wlmi_free(picks.item);
    wlmi_cohort_close(&cohort);
}

static json_t *evaluate(const wlm_evaluate_options *options)
{
    char *text;
    wlm_error error;
    json_t *json;
    assert_ok(wlm_evaluate_classify(model, options, &text, &error), &error);
    json = json_loads(text, 0, NULL);
    assert_non_null(json);
    wlm_text_free(text);
    return json;
}

static double number(const json_t *json, const char *a, const char *b)
{
    json = json_object_get(json, a);
    json = b ? json_object_get(json, b) : json;
    assert_true(json_is_number(json));
    return json_number_value(json);
}

static wlm_evaluate_options plain_options(void)
{
    wlm_evaluate_options options = wlm_evaluate_options_default();
    options.data = &folder;
    options.data_count = 1;
    return options;
}

static void unknown_labels_are_errors_or_strangers(void **state)
{
    wlm_evaluate_options options = plain_options();
    json_t *plain = evaluate(&options), *open;
    wlm_error error;
    char *text;
    (void)state;
    assert_int_equal(number(plain, "flows", NULL), 16);
    assert_int_equal(json_array_size(json_object_get(plain, "labels_unknown")), 1);
    assert_null(json_object_get(plain, "open_set"));
    assert_null(json_object_get(plain, "curves"));
    assert_int_equal(number(plain, "intervals", "groups"), 2);
    options.open_set = 1;
    options.curves = 1;
    open = evaluate(&options);
    assert_int_equal(number(open, "flows", NULL), 14);
    assert_int_equal(number(open, "open_set", "known"), 14);
    assert_int_equal(number(open, "open_set", "strangers"), 2);
    assert_true(number(open, "open_set", "auroc") >= 0);
    assert_true(fabs(number(open, "accuracy", NULL) * 14 - number(plain, "accuracy", NULL) * 16) < 1e-4);
    assert_int_equal(json_array_size(json_object_get(json_object_get(open, "curves"), "packets")), 6);
    json_decref(open);
    json_decref(plain);
    options.left_out = "ssh";
    assert_int_equal(wlm_evaluate_classify(model, &options, &text, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "knows the label 'ssh'"));
    options.left_out = "chat,weather";
    assert_int_equal(wlm_evaluate_classify(model, &options, &text, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "no folder has the label 'weather'"));
}

/* The highest logit is the label that was predicted, and its share of all the confidence. */
static void check_logits(json_t *line)
{
    const double best = number(json_object_get(line, "logits"), json_string_value(json_object_get(line, "predicted")), NULL);
    const char *label;
    json_t *logit;
    double sum = 0;
    json_object_foreach(json_object_get(line, "logits"), label, logit) {
        assert_true(json_number_value(logit) <= best);
        sum += exp(json_number_value(logit) - best);
    }
    assert_true(fabs(1 / sum - number(line, "confidence", NULL)) < 1e-4);
}

/* Accuracy, strata and groups, computed anew. */
static void predictions_are_enough(void **state)
{
    wlm_evaluate_options options = plain_options();
    json_t *report;
    uint8_t *bytes;
    size_t size, lines = 0, right = 0, strangers = 0;
    (void)state;
    options.predictions = test_path("predictions.jsonl");
    options.strangers = &folder;
    options.stranger_count = 1;
    report = evaluate(&options);
    bytes = test_read(options.predictions, &size);
    for (size_t at = 0; at < size;) {
        const char *line = (const char *)bytes + at;
        json_t *json = json_loadb(line, (size_t)((const char *)memchr(line, '\n', size - at) - line), 0, NULL);
        const char *truth = json_string_value(json_object_get(json, "truth"));
        assert_non_null(truth);
        lines++;
        if (json_is_true(json_object_get(json, "stranger")))
            strangers++;
        else
            right += !strcmp(truth, json_string_value(json_object_get(json, "predicted")));
        assert_int_equal(strncmp(json_string_value(json_object_get(json, "community_id")), "1:", 2), 0);
        assert_string_equal(json_string_value(json_object_get(json, "stratum")), "plain");
        assert_true(number(json, "calibrated", NULL) > 1.0 / 3 - 1e-6);
        check_logits(json);
        json_decref(json);
        at += (size_t)((const char *)memchr(line, '\n', size - at) - line) + 1;
    }
    assert_int_equal(lines, 32);
    assert_int_equal(strangers, 16);
    assert_true(fabs((double)right / 16 - number(report, "accuracy", NULL)) < 1e-6);
    /* A model knows its own flows no better than the same as strangers. */
    assert_true(fabs(number(report, "open_set", "auroc") - .5) < .2);
    free(bytes);
    json_decref(report);
}

static void stress_shows_altered_flows(void **state)
{
    wlm_evaluate_options options = plain_options();
    json_t *report, *stress;
    wlm_error error;
    char *text;
    (void)state;
    options.stress = "all";
    report = evaluate(&options);
    stress = json_object_get(report, "stress");
    assert_int_equal(json_object_size(stress), 11);
    assert_null(json_object_get(stress, "randomise"));
    /* No packet is so long that a snap length would cut it. */
    assert_true(number(json_object_get(stress, "snap128"), "macro_f1", NULL) == number(report, "macro_f1", NULL));
    assert_true(fabs(number(json_object_get(stress, "snap128"), "macro_f1_lost", NULL)) < 1e-9);
    json_decref(report);
    options.stress = "nat,weather";
    assert_int_equal(wlm_evaluate_classify(model, &options, &text, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "'weather'"));
}

/* ---- calibration in the model */

static size_t unknowns, flows;
static double sum_of_confidence;

static void count(void *user, const wlm_flow_result *result)
{
    (void)user;
    flows++;
    unknowns += !strcmp(result->label, "unknown");
    sum_of_confidence += result->top[0].confidence;
}

static void classify_all(wlm_model *with, double threshold)
{
    wlm_classify_options options = wlm_classify_options_default();
    wlm_classify_report report;
    wlm_error error;
    const char *path = test_path("1.pcap");
    options.threshold = threshold;
    options.result = count;
    flows = unknowns = 0;
    sum_of_confidence = 0;
    assert_ok(wlm_classify(with, &path, 1, &options, &report, &error), &error);
    assert_int_equal(flows, 8);
}

static void a_model_remembers_its_calibration(void **state)
{
    wlm_calibrate_options options = wlm_calibrate_options_default();
    wlm_evaluate_options judged = plain_options();
    wlm_model *back;
    json_t *json, *row, *report;
    double threshold, before;
    char *text;
    wlm_error error;
    (void)state;
    classify_all(model, WLM_THRESHOLD_INHERIT);
    assert_int_equal(unknowns, 0);
    before = sum_of_confidence;
    options.data = &folder;
    options.data_count = 1;
    assert_ok(wlm_calibrate(model, &options, &text, &error), &error);
    json = json_loads(text, 0, NULL);
    wlm_text_free(text);
    row = json_array_get(json_object_get(json, "tasks"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "task")), "app");
    assert_int_equal(number(row, "flows", NULL), 8);
    assert_ok(wlm_model_threshold(model, "app", &threshold, &error), &error);
    assert_true(threshold > 1.0 / 3);
    assert_true(fabs(threshold - number(row, "threshold", NULL)) < 1e-5);
    assert_ok(wlm_model_threshold(model, "vpn-use", &threshold, &error), &error);
    assert_true(threshold == 0);
    assert_ok(wlm_model_save(model, test_path("calibrated.safetensors"), WLM_DTYPE_F32, &error), &error);
    assert_ok(wlm_model_load(&back, test_path("calibrated.safetensors"), 1, &error), &error);
    for (int i = 0; i < WLMI_SHOWN; i++) {
        const wlmi_calibration *kept = &back->net->task[0].calibration[i], *was = &model->net->task[0].calibration[i];
        assert_true(kept->temperature == was->temperature && kept->threshold == was->threshold);
        assert_true(kept->summary_share == was->summary_share);
    }
    classify_all(back, 0);
    assert_int_equal(unknowns, 0);
    assert_true(fabs(sum_of_confidence - before) > 1e-3); /* the temperature is another */
    classify_all(back, 1);
    assert_int_equal(unknowns, 8);
    back->net->task[0].calibration[WLMI_SHOWN_HEADERS].threshold = .999999;
    classify_all(back, WLM_THRESHOLD_INHERIT);
    assert_int_equal(unknowns, 8);
    /* What is fitted in an evaluation starts from the logits, whatever the model remembers. */
    report = evaluate(&judged);
    assert_true(fabs(number(json_object_get(report, "calibration"), "calibrated", "temperature") -
                     number(row, "temperature", NULL)) < 1e-4);
    assert_true(fabs(number(report, "accepted", "threshold") - number(row, "threshold", NULL)) < 1e-5);
    json_decref(report);
    json_decref(json);
    wlm_model_free(back);
    options.part = WLM_PART_TRAIN;
    assert_int_equal(wlm_calibrate(model, &options, &text, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "no labelled flow in the train part"));
}

static void reports_side_by_side(void **state)
{
    const char *report[3] = {"{\"hide\":\"ids\",\"accuracy\":0.5,\"macro_f1\":0.25}",
                             "{\"hide\":\"shape\",\"accuracy\":0.125}", "{\"hide\":\"ids\",\"accuracy\":1}"};
    char *text;
    json_t *rows, *ids;
    wlm_error error;
    (void)state;
    assert_ok(wlm_evaluate_summary(report, 3, &text, &error), &error);
    rows = json_loads(text, 0, NULL);
    assert_int_equal(json_array_size(rows), 2);
    ids = json_array_get(rows, 0);
    assert_int_equal(number(ids, "models", NULL), 2);
    assert_true(fabs(number(ids, "accuracy", "mean") - .75) < 1e-9);
    assert_true(fabs(number(ids, "accuracy", "deviation") - sqrt(.125)) < 1e-5);
    assert_true(json_is_null(json_object_get(json_object_get(ids, "macro_f1"), "deviation")));
    json_decref(rows);
    wlm_text_free(text);
    report[1] = "[]";
    assert_int_equal(wlm_evaluate_summary(report, 3, &text, &error), WLM_ERR_FORMAT);
}

static void memory_runs_out_anywhere(void **state)
{
    static const char *const parts[] = {"intervals", "calibration", "accepted", "risk_coverage", "strata", "curves",
                                        "stress", "open_set"};
    wlm_evaluate_options options = plain_options();
    char *text;
    wlm_error error;
    wlm_status status;
    uint64_t step = 1;
    (void)state;
    options.curves = options.open_set = 1;
    options.draws = 3;
    options.stress = "nat";
    for (uint64_t k = 1;; k += step++) {
        wlmi_alloc_fail_at(k);
        status = wlm_evaluate_classify(model, &options, &text, &error);
        wlmi_alloc_fail_at(0);
        if (status == WLM_OK)
            break;
        assert_null(text);
        if (status != WLM_ERR_MEMORY)
            fail_msg("allocation %llu: %s", (unsigned long long)k, error.cause);
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_non_null(strstr(text, parts[i]));
    wlm_text_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_as_if_encoded_so_far), cmocka_unit_test(unknown_labels_are_errors_or_strangers),
        cmocka_unit_test(predictions_are_enough),          cmocka_unit_test(reports_side_by_side),
        cmocka_unit_test(memory_runs_out_anywhere),
        cmocka_unit_test(stress_shows_altered_flows),      cmocka_unit_test(a_model_remembers_its_calibration),
    };
    return cmocka_run_group_tests_name("score", tests, make, drop);
}
