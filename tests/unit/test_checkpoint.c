/* test_checkpoint.c: checkpoints come back as they were; damaged and hostile ones are refused with a cause. */
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bf16.h"
#include "base/cursor.h"
#include "base/rng.h"
#include "model/checkpoint.h"
#include "model/metadata.h"
#include "model/ports_json.h"
#include "support/model.h"

static wlmi_net *recorded_net(void)
{
    wlmi_net *net = test_net("wire-nano", &wlmi_backend_ref);
    strcpy(net->record.codec, "bytes");
    memset(net->record.codec_hash, 'a', 64);
    net->record.hide = WLM_HIDE_IDS;
    net->record.payload = WLM_PAYLOAD_FULL;
    net->record.max_packets = 16;
    net->record.shuffle_fields = UINT64_MAX - 1;
    net->record.steps = 12;
    net->record.tokens = 3456;
    net->record.seed = UINT64_MAX;
    net->record.loss = 2.5;
    strcpy(net->record.split_note, "split by flow: \"no\" captures named");
    net->task[0].flows[2] = 40;
    net->task[0].flows_cut[2] = 7;
    net->task[0].port[2] = 443;
    net->task[0].proto[2] = 6;
    net->task[0].ports[2].rows = 2;
    net->task[0].ports[2].clients[1][3] = 17;
    net->task[0].ports[2].row[0] = (wlmi_port_row){.proto = 17, .group = 1, .client = 5353, .server = 5353,
                                                   .flows = {[3] = 11, [15] = 1}};
    net->task[0].ports[2].row[1] = (wlmi_port_row){.proto = 6, .flows = {5}};
    return net;
}

static void a_reversible_model_comes_back(void **state)
{
    wlmi_net *net = test_net("reversible", &wlmi_backend_ref), *back;
    const char *path = test_path("reversible.safetensors");
    wlm_error error;
    (void)state;
    strcpy(net->record.codec, "bytes");
    memset(net->record.codec_hash, 'a', 64);
    assert_ok(wlmi_checkpoint_save(net, path, &error), &error);
    assert_ok(wlmi_checkpoint_load(&back, path, &wlmi_backend_ref, &error), &error);
    assert_memory_equal(&net->config, &back->config, sizeof net->config);
    assert_true(back->config.reversible == 1 && back->recompute == 1);
    wlmi_net_free(net);
    wlmi_net_free(back);
}

/* The checkpoint of recorded_net() as bytes. */
static uint8_t *saved(size_t *size)
{
    wlmi_net *net = recorded_net();
    const char *path = test_path("saved.safetensors");
    wlm_error error;
    assert_ok(wlmi_checkpoint_save(net, path, &error), &error);
    wlmi_net_free(net);
    return test_read(path, size);
}

static void a_checkpoint_comes_back(void **state)
{
    wlmi_net *net = recorded_net(), *back;
    const char *path = test_path("a.safetensors");
    wlm_error error;
    (void)state;
    assert_ok(wlmi_checkpoint_save(net, path, &error), &error);
    assert_ok(wlmi_checkpoint_load(&back, path, &wlmi_backend_ref, &error), &error);
    assert_memory_equal(&net->config, &back->config, sizeof net->config);
    assert_memory_equal(&net->record, &back->record, sizeof net->record);
    assert_int_equal(net->count, back->count);
    assert_memory_equal(net->value, back->value, net->count * sizeof(float));
    assert_int_equal(back->tasks, 2);
    for (int t = 0; t < 2; t++) {
        assert_string_equal(net->task[t].name, back->task[t].name);
        assert_int_equal(net->task[t].row, back->task[t].row);
        assert_int_equal(net->task[t].labels, back->task[t].labels);
        for (int i = 0; i < net->task[t].labels; i++) {
            assert_string_equal(net->task[t].label[i], back->task[t].label[i]);
            assert_int_equal(net->task[t].flows[i], back->task[t].flows[i]);
            assert_int_equal(net->task[t].flows_cut[i], back->task[t].flows_cut[i]);
            assert_int_equal(net->task[t].port[i], back->task[t].port[i]);
            assert_int_equal(net->task[t].proto[i], back->task[t].proto[i]);
            assert_memory_equal(&net->task[t].ports[i], &back->task[t].ports[i], sizeof(wlmi_ports));
        }
    }
    wlmi_net_free(net);
    wlmi_net_free(back);
}

static void ports_of_other_versions_are_left_unread(void **state)
{
    json_t *absent = NULL, *newer = json_pack("{s:i, s:s}", "version", 2, "labels", "anything");
    json_t *bad = json_pack("{s:i, s:[[[i, i, i, i, i]]]}", "version", 1, "labels", 6, 0, 0, 70000, 1);
    json_t *good = json_pack("{s:i, s:[[[i, i, i, i, i]]]}", "version", 1, "labels", 6, 0, 0, 65535, 1);
    json_t *few = json_pack("{s:i, s:[[]], s:[[i, i]]}", "version", 1, "labels", "clients", 1, 2);
    json_t *more = json_pack("{s:i, s:[[]], s:[[i,i,i,i,i,i,i,i]]}", "version", 1, "labels", "clients", 1, 0, 0, 0, 0, 0, 0, 2);
    (void)state;
    assert_true(wlmi_ports_are_valid(absent, 1));
    assert_true(wlmi_ports_are_valid(newer, 1));
    assert_true(wlmi_ports_are_valid(good, 1));
    assert_false(wlmi_ports_are_valid(good, 2));
    assert_false(wlmi_ports_are_valid(bad, 1));
    assert_false(wlmi_ports_are_valid(few, 1));
    assert_true(wlmi_ports_are_valid(more, 1));
    json_decref(few);
    json_decref(more);
    json_decref(newer);
    json_decref(bad);
    json_decref(good);
}

static void records_from_before_shuffling_load_as_unshuffled(void **state)
{
    wlmi_net *net = recorded_net();
    json_t *json = wlmi_record_to_json(&net->record);
    wlmi_record record;
    wlm_error error;
    (void)state;
    assert_ok(wlmi_record_from_json(&record, json, &error), &error);
    assert_true(record.shuffle_fields == UINT64_MAX - 1);
    json_object_set_new(json, "shuffle_fields", json_true());
    assert_int_equal(wlmi_record_from_json(&record, json, &error), WLM_ERR_FORMAT);
    assert_non_null(strstr(error.cause, "shuffle_fields"));
    json_object_del(json, "shuffle_fields");
    assert_ok(wlmi_record_from_json(&record, json, &error), &error);
    assert_true(record.shuffle_fields == 0);
    json_decref(json);
    wlmi_net_free(net);
}

static void calibration_is_checked(void **state)
{
    static const struct {
        const char *json;
        int good;
    } cases[] = {{NULL, 1},
                 {"{\"temperature\":1.5,\"threshold\":0.25}", 1},
                 {"{\"temperature\":0,\"threshold\":0.25}", 0},
                 {"{\"temperature\":-1,\"threshold\":0.25}", 0},
                 {"{\"temperature\":1e9,\"threshold\":0.25}", 0},
                 {"{\"temperature\":2,\"threshold\":1.5}", 0},
                 {"{\"temperature\":2}", 0},
                 {"{\"temperature\":1,\"threshold\":0,\"summary_share\":0.3}", 1},
                 {"{\"temperature\":1,\"threshold\":0,\"summary_share\":1.3}", 0},
                 {"{\"temperature\":1,\"threshold\":0,\"summary_share\":\"all\"}", 0},
                 {"[]", 0}};
    (void)state;
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        const char *key = i % 2 ? "calibration_shape" : "calibration", *text = cases[i / 2].json;
        wlmi_net *net = recorded_net();
        json_t *tasks = wlmi_tasks_to_json(net), *task = json_array_get(tasks, 1);
        uint64_t rows;
        wlm_error error;
        wlm_status status;
        assert_null(json_object_get(task, key));
        if (text)
            json_object_set_new(task, key, json_loads(text, 0, NULL));
        status = wlmi_tasks_count_rows(tasks, &rows, &error);
        assert_int_equal(status, cases[i / 2].good ? WLM_OK : WLM_ERR_FORMAT);
        if (status != WLM_OK)
            assert_non_null(strstr(error.cause, key));
        json_decref(tasks);
        wlmi_net_free(net);
    }
}

static void tensors_start_at_a_multiple_of_64(void **state)
{
    size_t size;
    uint8_t *data = saved(&size);
    (void)state;
    assert_int_equal((8 + wlmi_load_le64(data)) % 64, 0);
    free(data);
}

static void expect_refused(const void *data, size_t size, const char *what)
{
    wlmi_net *net;
    wlm_error error;
    wlm_status status = wlmi_checkpoint_load_memory(&net, data, size, "x", &wlmi_backend_ref, &error);
    if (status != WLM_ERR_FORMAT && status != WLM_ERR_UNSUPPORTED)
        fail_msg("%s: status %s", what, wlm_status_name(status));
    assert_null(net);
    assert_string_equal(error.file, "x");
    assert_true(error.cause[0] && !strchr(error.cause, '\n'));
}

/* Matrices are rounded once and then stay; vectors are not; a file of either type says the same otherwise. */
static void bf16_halves_a_checkpoint_and_rounds_to_the_nearest(void **state)
{
    wlmi_net *net = recorded_net(), *half, *again, *back;
    const char *path = test_path("half.safetensors"), *twice = test_path("twice.safetensors");
    size_t size, size_f32, size_twice, halved = 0;
    uint8_t *bytes, *full, *bytes_twice;
    char *text;
    wlm_error error;
    (void)state;
    ((float *)net->value)[net->param[0].offset] = 1 + 1e-5f; /* a norm */
    assert_int_equal(net->param[0].dims, 1);
    assert_ok(wlmi_checkpoint_save_as(net, path, WLM_DTYPE_BF16, &error), &error);
    assert_ok(wlmi_checkpoint_load(&half, path, &wlmi_backend_ref, &error), &error);
    assert_memory_equal(&net->config, &half->config, sizeof net->config);
    assert_memory_equal(&net->record, &half->record, sizeof net->record);
    for (int i = 0; i < net->params; i++) {
        const wlmi_param *p = &net->param[i];
        const float *was = (float *)net->value + p->offset, *is = (float *)half->value + p->offset;
        for (size_t k = 0; k < p->count; k++)
            if (p->dims == 2 ? is[k] != wlmi_from_bf16(wlmi_to_bf16(was[k])) : is[k] != was[k])
                fail_msg("%s[%zu]: %.9g became %.9g", p->name, k, (double)was[k], (double)is[k]);
    }
    assert_ok(wlmi_checkpoint_save_as(half, twice, WLM_DTYPE_BF16, &error), &error);
    bytes = test_read(path, &size);
    bytes_twice = test_read(twice, &size_twice);
    assert_int_equal(size, size_twice);
    assert_memory_equal(bytes, bytes_twice, size);
    full = saved(&size_f32);
    for (int i = 0; i < net->params; i++)
        halved += net->param[i].dims == 2 ? 2 * net->param[i].count : 0;
    assert_int_equal(size - wlmi_load_le64(bytes), size_f32 - wlmi_load_le64(full) - halved);
    assert_int_equal((8 + wlmi_load_le64(bytes)) % 64, 0);
    assert_ok(wlm_info_file(path, &text, &error), &error);
    assert_non_null(strstr(text, "\"dtype\":\"bf16\""));
    wlm_text_free(text);
    assert_ok(wlmi_checkpoint_save_as(half, twice, WLM_DTYPE_F32, &error), &error);
    assert_ok(wlmi_checkpoint_load(&again, twice, &wlmi_backend_ref, &error), &error);
    assert_memory_equal(again->value, half->value, half->count * sizeof(float));
    assert_ok(wlmi_checkpoint_load_memory(&back, bytes, size, "x", &wlmi_backend_ref, &error), &error);
    for (size_t n = 0; n < size; n += n < 64 ? 1 : 97) {
        wlmi_net *none;
        assert_true(wlmi_checkpoint_load_memory(&none, bytes, n, "x", &wlmi_backend_ref, NULL) != WLM_OK);
    }
    wlmi_store_le16(bytes + size - 2, 0x7fc0); /* NaN */
    expect_refused(bytes, size, "NaN");
    free(bytes);
    free(bytes_twice);
    free(full);
    wlmi_net_free(net);
    wlmi_net_free(half);
    wlmi_net_free(again);
    wlmi_net_free(back);
}

static void every_truncation_is_refused(void **state)
{
    size_t size;
    uint8_t *data = saved(&size);
    (void)state;
    for (size_t n = 0; n < size; n += n < 64 ? 1 : 97) {
        uint8_t *part = malloc(n ? n : 1); /* exact, so that the sanitizer sees a read behind it */
        memcpy(part, data, n);
        expect_refused(part, n, "truncated");
        free(part);
    }
    expect_refused(data, size - 1, "one byte short");
    free(data);
}

/* Replaces the first `from` in the header by `to` of the same length; what the loader then says must name `why`. */
static void expect_cause(const char *from, const char *to, const char *why)
{
    size_t size, length = strlen(from);
    uint8_t *data = saved(&size);
    char *at = memmem(data, size, from, length);
    wlmi_net *net;
    wlm_error error;
    if (!at)
        fail_msg("the header has no %s", from);
    assert_int_equal(length, strlen(to));
    memcpy(at, to, length);
    if (wlmi_checkpoint_load_memory(&net, data, size, "x", &wlmi_backend_ref, &error) == WLM_OK)
        fail_msg("'%s' for '%s' was accepted", to, from);
    if (!strstr(error.cause, why))
        fail_msg("'%s' for '%s': '%s' does not say '%s'", to, from, error.cause, why);
    free(data);
}

static void damage_is_named(void **state)
{
    (void)state;
    expect_cause("\"F32\"", "\"F16\"", "F32");
    expect_cause("\"norm\"", "\"morn\"", "'norm' is missing");
    expect_cause("\\\"width\\\":8", "\\\"width\\\":9", "even");
    expect_cause("\\\"hidden\\\":6", "\\\"hidden\\\":9", "fewer values");
    expect_cause("[11,8]", "[ 8,8]", "offsets");
    expect_cause("[11,8]", "[1e9,]", "header");
    expect_cause("[0,32]", "[4,36]", "overlaps");
    expect_cause("\\\"width\\\":8", "\\\"width\\\":6", "shape");
    expect_cause("\\\"hidden\\\":6", "\\\"hidden\\\":0", "hidden");
    expect_cause("\\\"layers\\\":2", "\\\"layers\\\":x", "config");
    expect_cause("\\\"kind\\\":\\\"delta", "\\\"kind\\\":\\\"later", "later");
    expect_cause("\"format_version\":\"1\"", "\"format_version\":\"9\"", "version");
    expect_cause("\\\"yes\\\"", "\\\"no\\\" ", "twice");
    expect_cause("\\\"app\\\"", "\\\"a/p\\\"", "name");
    expect_cause("\\\"ids\\\"", "\\\"idx\\\"", "hide");
    expect_cause("\"tasks\":", "\"tusks\":", "tasks");
}

static void an_unknown_tensor_is_named(void **state)
{
    wlmi_net *net = recorded_net(), *back;
    const char *path = test_path("extra.safetensors");
    wlmi_tensor_out all[64];
    wlm_error error;
    int count;
    wlmi_tensor_out *tensor = wlmi_checkpoint_tensors(net, net->value, "", &count);
    (void)state;
    assert_true(tensor && count < 64);
    memcpy(all, tensor, (size_t)count * sizeof *all);
    all[count] = all[0];
    strcpy(all[count].name, "surplus");
    assert_ok(wlmi_safetensors_write(path, net->backend, all, count + 1, wlmi_checkpoint_metadata(net), &error), &error);
    assert_int_equal(wlmi_checkpoint_load(&back, path, &wlmi_backend_ref, &error), WLM_ERR_FORMAT);
    assert_non_null(strstr(error.cause, "surplus"));
    wlmi_free(tensor);
    wlmi_net_free(net);
}

static void values_that_are_not_finite_are_refused(void **state)
{
    size_t size;
    uint8_t *data = saved(&size);
    const float bad = NAN;
    (void)state;
    memcpy(data + size - 4, &bad, 4);
    expect_refused(data, size, "NaN");
    free(data);
}

static void random_damage_never_crashes(void **state)
{
    size_t size, header;
    uint8_t *data = saved(&size);
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 1);
    header = (size_t)wlmi_load_le64(data) + 8;
    for (int round = 0; round < 2000; round++) {
        size_t at = wlmi_rng_below(&rng, header);
        uint8_t kept = data[at];
        wlmi_net *net;
        data[at] = (uint8_t)wlmi_rng_next(&rng);
        wlmi_checkpoint_load_memory(&net, data, size, "x", &wlmi_backend_ref, NULL);
        wlmi_net_free(net);
        data[at] = kept;
    }
    free(data);
}

static void failed_allocations_leak_nothing(void **state)
{
    size_t size;
    uint8_t *data = saved(&size);
    wlm_status status = WLM_ERR_MEMORY;
    (void)state;
    for (uint64_t k = 1; status != WLM_OK; k++) {
        wlmi_net *net;
        wlmi_alloc_fail_at(k);
        status = wlmi_checkpoint_load_memory(&net, data, size, "x", &wlmi_backend_ref, NULL);
        wlmi_alloc_fail_at(0);
        assert_true(status == WLM_OK || status == WLM_ERR_MEMORY);
        wlmi_net_free(net);
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_of_other_versions_are_left_unread),
        cmocka_unit_test(a_checkpoint_comes_back),
        cmocka_unit_test(a_reversible_model_comes_back),
        cmocka_unit_test(records_from_before_shuffling_load_as_unshuffled),
        cmocka_unit_test(calibration_is_checked),
        cmocka_unit_test(tensors_start_at_a_multiple_of_64),
        cmocka_unit_test(bf16_halves_a_checkpoint_and_rounds_to_the_nearest),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(an_unknown_tensor_is_named),
        cmocka_unit_test(values_that_are_not_finite_are_refused),
        cmocka_unit_test(random_damage_never_crashes),
        cmocka_unit_test(failed_allocations_leak_nothing),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
