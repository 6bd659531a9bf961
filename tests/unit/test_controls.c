/* test_controls.c: controls find what is there to be found: a shortcut where the recording gives labels away, vectors
 * that differ where flows do. */
#include "support/captures.h"
#include "support/fixture.h"
#include "support/support.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "wirelm_evaluate.h"

enum { CAPTURES = 4, FLOWS = 10 };

/* Captures of TCP and UDP flows. `telling`: the protocol is the label, and so is the server's port; else labels
 * alternate whatever the flow, in every other capture the other way round. part: of the first captures; those after them are test. */
static void make(int telling, const char *part)
{
    static char csv[8192];
    wlm_import_options options = wlm_import_options_default();
    wlm_import_report report;
    size_t n = (size_t)sprintf(csv, "path,src_port,label,split\n");
    for (int i = 0; i < CAPTURES; i++) {
        test_capture c;
        char name[16];
        snprintf(name, sizeof name, "%d.pcap", i);
        test_capture_begin(&c, name);
        for (int k = 0; k < FLOWS; k++) {
            const uint16_t port = (uint16_t)(4000 + 100 * i + k);
            const int tcp = k % 2, ssh = telling ? tcp : (k / 2 + i) % 2;
            const test_end client = {"10.0.0.1", port}, server = {"10.0.0.9", telling ? (tcp ? 22 : 53) : 80};
            if (tcp)
                test_capture_tcp(&c, client, server, 1 + k / 4);
            else
                test_capture_udp(&c, client, server, 1 + k / 4);
            n += (size_t)snprintf(csv + n, sizeof csv - n, "%s,%d,%s,%s\n", name, port, ssh ? "ssh" : "dns",
                                  i < 2 ? part : "test");
        }
        test_capture_end(&c);
    }
    options.task = "app";
    options.split = WLM_SPLIT_GIVEN;
    wlmi_dataset_close(test_import(&options, csv, &report));
}

static wlm_model *load(void)
{
    const test_model_options made = {.hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_FULL, .codec = "fields"};
    wlm_model *model;
    wlm_error error;
    test_model_file(test_path("model.safetensors"), &made);
    assert_ok(wlm_model_load(&model, test_path("model.safetensors"), 1, &error), &error);
    return model;
}

static wlm_status evaluate(wlm_model *model, json_t **controls, wlm_error *error)
{
    wlm_evaluate_options options = wlm_evaluate_options_default();
    const char *folder = test_path("import");
    char *text = NULL;
    json_t *root;
    options.data = &folder;
    options.data_count = 1;
    options.controls = 1;
    *controls = NULL;
    if (wlm_evaluate_classify(model, &options, &text, error) != WLM_OK)
        return error->status;
    root = json_loads(text, 0, NULL);
    *controls = json_incref(json_object_get(root, "controls"));
    json_decref(root);
    wlm_text_free(text);
    return WLM_OK;
}

static double figure(const json_t *controls, const char *name, const char *what)
{
    const json_t *value = json_object_get(json_object_get(controls, name), what);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void what_gives_labels_away_is_found(void **state)
{
    static const char *const all[] = {"shortcut", "nearest", "probe"};
    wlm_model *model = load();
    wlm_error error;
    json_t *controls;
    (void)state;
    make(1, "train");
    assert_ok(evaluate(model, &controls, &error), &error);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(figure(controls, all[i], "accuracy") - 1) < 1e-9);
        assert_true(fabs(figure(controls, all[i], "macro_f1") - 1) < 1e-9);
        assert_true(fabs(figure(controls, all[i], "train_flows") - 2 * FLOWS) < 1e-9);
    }
    assert_non_null(json_object_get(controls, "majority"));
    json_decref(controls);
    wlm_model_free(model);
}

/* What goes with the label in one capture goes with the other label in the next. */
static void where_nothing_tells_nothing_is_found(void **state)
{
    wlm_model *model = load();
    wlm_error error;
    json_t *controls;
    (void)state;
    make(0, "train");
    assert_ok(evaluate(model, &controls, &error), &error);
    assert_true(figure(controls, "shortcut", "accuracy") < 0.9);
    assert_true(figure(controls, "probe", "accuracy") < 0.9);
    json_decref(controls);
    wlm_model_free(model);
}

static void without_training_flows_there_are_none(void **state)
{
    wlm_model *model = load();
    wlm_error error;
    json_t *controls;
    (void)state;
    make(1, "val");
    assert_ok(evaluate(model, &controls, &error), &error);
    assert_true(json_is_null(json_object_get(controls, "shortcut")));
    assert_true(json_is_null(json_object_get(controls, "nearest")));
    assert_true(json_is_null(json_object_get(controls, "probe")));
    json_decref(controls);
    wlm_model_free(model);
}

static void the_same_twice(void **state)
{
    wlm_model *model = load();
    wlm_error error;
    json_t *first, *second;
    (void)state;
    make(0, "train");
    assert_ok(evaluate(model, &first, &error), &error);
    assert_ok(evaluate(model, &second, &error), &error);
    assert_true(json_equal(first, second));
    json_decref(first);
    json_decref(second);
    wlm_model_free(model);
}

static void allocations_may_fail(void **state)
{
    wlm_model *model = load();
    wlm_error error;
    json_t *controls;
    uint64_t allocations;
    (void)state;
    make(1, "train");
    assert_ok(evaluate(model, &controls, &error), &error);
    json_decref(controls);
    wlmi_alloc_fail_at(0);
    assert_ok(evaluate(model, &controls, &error), &error);
    json_decref(controls);
    allocations = wlmi_alloc_count();
    for (uint64_t k = 1; k <= allocations; k += 3) {
        wlmi_alloc_fail_at(k);
        assert_int_equal(evaluate(model, &controls, &error), WLM_ERR_MEMORY);
    }
    wlmi_alloc_fail_at(0);
    wlm_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_gives_labels_away_is_found),
        cmocka_unit_test(where_nothing_tells_nothing_is_found),
        cmocka_unit_test(without_training_flows_there_are_none),
        cmocka_unit_test(the_same_twice),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
