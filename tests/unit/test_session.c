/* test_session.c: the public face of streams. */
#include "support/fixture.h"
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "task/handle.h"

enum { LENGTH = 40 };

static wlm_model *load(void)
{
    const test_model_options options = {.hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_FULL};
    wlm_model *model;
    wlm_error error;
    test_model_file(test_path("model.safetensors"), &options);
    assert_ok(wlm_model_load(&model, test_path("model.safetensors"), 1, &error), &error);
    return model;
}

static void fill(wlm_input *input)
{
    for (int i = 0; i < LENGTH; i++)
        input[i] = (wlm_input){i ? (i * 37) % 200 : WLM_TOKEN_FLOW, i / 10, 0, 0};
}

static float logit(const wlm_session *session, size_t i)
{
    const float *logits;
    size_t count;
    wlm_error error;
    assert_ok(wlm_session_logits(session, &logits, &count, &error), &error);
    assert_true(i < count);
    return logits[i];
}

static void fed_forked_saved_and_restored(void **state)
{
    wlm_model *model = load();
    wlm_session *session, *fork, *back;
    wlm_input input[LENGTH];
    const float *none;
    void *bytes;
    size_t size, count;
    wlm_error error;
    (void)state;
    fill(input);
    assert_ok(wlm_session_new(&session, model, &error), &error);
    assert_int_equal(wlm_session_logits(session, &none, &count, &error), WLM_ERR_ARGUMENT);
    assert_ok(wlm_session_feed(session, input, 20, &error), &error);
    assert_int_equal(wlm_session_position(session), 20);
    assert_true(wlm_session_state_bytes(session) > 0);
    assert_ok(wlm_session_fork(session, &fork, &error), &error);
    assert_ok(wlm_session_save(session, &bytes, &size, &error), &error);
    assert_ok(wlm_session_restore(&back, model, bytes, size, &error), &error);
    assert_true(logit(fork, 3) == logit(session, 3));
    assert_int_equal(wlm_session_logits(back, &none, &count, &error), WLM_ERR_ARGUMENT);
    assert_ok(wlm_session_feed(session, input + 20, 20, &error), &error);
    assert_ok(wlm_session_feed(fork, input + 20, 20, &error), &error);
    assert_ok(wlm_session_feed(back, input + 20, 20, &error), &error);
    for (size_t i = 0; i < 100; i++)
        assert_true(logit(fork, i) == logit(session, i) && logit(back, i) == logit(session, i));
    ((uint8_t *)bytes)[size / 2] ^= 1;
    wlm_session_free(back);
    assert_int_equal(wlm_session_restore(&back, model, bytes, size, &error), WLM_ERR_FORMAT);
    assert_null(back);
    wlm_bytes_free(bytes);
    wlm_session_free(session);
    wlm_session_free(fork);
    wlm_model_free(model);
}

static void asked_without_a_trace(void **state)
{
    wlm_model *model = load();
    wlm_session *session, *fork;
    wlm_input input[LENGTH];
    wlm_label top[3];
    size_t count = 3;
    double sum = 0;
    wlm_error error;
    (void)state;
    fill(input);
    assert_ok(wlm_session_new(&session, model, &error), &error);
    assert_ok(wlm_session_feed(session, input, 20, &error), &error);
    assert_ok(wlm_session_fork(session, &fork, &error), &error);
    assert_ok(wlm_session_ask(session, NULL, 2, top, &count, &error), &error);
    assert_true(count >= 2 && count <= 3);
    for (size_t i = 0; i < count; i++) {
        sum += top[i].confidence;
        assert_true(i == 0 || top[i].confidence <= top[i - 1].confidence);
    }
    assert_true(sum > 0 && sum < 1 + 1e-6);
    assert_int_equal(wlm_session_ask(session, "absent", 2, top, &count, &error), WLM_ERR_ARGUMENT);
    assert_int_equal(wlm_session_position(session), 20);
    assert_ok(wlm_session_feed(session, input + 20, 1, &error), &error);
    assert_ok(wlm_session_feed(fork, input + 20, 1, &error), &error);
    assert_true(logit(session, 7) == logit(fork, 7));
    wlm_session_free(session);
    wlm_session_free(fork);
    wlm_model_free(model);
}

static void sampled_as_asked(void **state)
{
    wlm_model *model = load();
    wlm_session *session;
    wlm_input input[LENGTH];
    uint64_t only[128] = {0};
    int32_t best, a, b, seen = 0;
    wlm_error error;
    (void)state;
    fill(input);
    assert_ok(wlm_session_new(&session, model, &error), &error);
    assert_ok(wlm_session_feed(session, input, LENGTH, &error), &error);
    assert_ok(wlm_session_sample(session, 0, 0, 1, NULL, 1, &best, &error), &error);
    for (size_t i = 0; i < 100; i++)
        assert_true(logit(session, i) <= logit(session, (size_t)best));
    for (uint64_t seed = 0; seed < 8; seed++) {
        assert_ok(wlm_session_sample(session, 1, 0, 1, NULL, seed, &a, &error), &error);
        assert_ok(wlm_session_sample(session, 1, 0, 1, NULL, seed, &b, &error), &error);
        assert_int_equal(a, b);
        seen |= a != best;
        assert_ok(wlm_session_sample(session, 1, 1, 1, NULL, seed, &b, &error), &error);
        assert_int_equal(b, best);
    }
    assert_true(seen);
    assert_int_equal(wlm_session_sample(session, 1, 0, 1, only, 1, &a, &error), WLM_ERR_ARGUMENT);
    only[1] = 2;
    assert_ok(wlm_session_sample(session, 1, 0, 1, only, 1, &a, &error), &error);
    assert_int_equal(a, 65);
    assert_int_equal(wlm_session_sample(session, -1, 0, 1, NULL, 1, &a, &error), WLM_ERR_ARGUMENT);
    wlm_session_free(session);
    wlm_model_free(model);
}

static void bad_input_takes_nothing_in(void **state)
{
    wlm_model *model = load();
    wlm_session *session;
    wlm_error error;
    (void)state;
    assert_ok(wlm_session_new(&session, model, &error), &error);
    for (int wrong = 0; wrong < 5; wrong++) {
        wlm_input input[2] = {{WLM_TOKEN_FLOW, 0, 0, 0}, {5, 0, 0, 0}};
        int32_t *const at[] = {&input[1].token, &input[1].token, &input[1].packet, &input[1].role};
        if (wrong == 4)
            input[1].measure = -1;
        else
            *at[wrong] = (const int32_t[]){-2, 70000, -1, 300}[wrong];
        assert_int_equal(wlm_session_feed(session, input, 2, &error), WLM_ERR_ARGUMENT);
        assert_int_equal(wlm_session_position(session), 0);
    }
    wlm_session_free(session);
    wlm_model_free(model);
}

static wlm_status all_of_it(wlm_model *model, wlm_session **session, wlm_session **fork, void **bytes)
{
    wlm_input input[LENGTH];
    wlm_label top[3];
    size_t size, count = 3;
    fill(input);
    WLMI_TRY(wlm_session_new(session, model, NULL));
    WLMI_TRY(wlm_session_feed(*session, input, LENGTH, NULL));
    WLMI_TRY(wlm_session_ask(*session, NULL, 4, top, &count, NULL));
    WLMI_TRY(wlm_session_fork(*session, fork, NULL));
    return wlm_session_save(*session, bytes, &size, NULL);
}

static void failed_allocations_leak_nothing(void **state)
{
    (void)state;
    for (uint64_t k = 1, done = 0; !done; k++) {
        wlm_model *model = load();
        wlm_session *session = NULL, *fork = NULL;
        void *bytes = NULL;
        wlmi_alloc_fail_at(k);
        wlm_status status = all_of_it(model, &session, &fork, &bytes);
        done = status == WLM_OK && wlmi_alloc_count() < k;
        wlmi_alloc_fail_at(0);
        assert_true(status == WLM_ERR_MEMORY || done);
        wlm_bytes_free(bytes);
        wlm_session_free(session);
        wlm_session_free(fork);
        wlm_model_free(model);
        assert_true(k < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fed_forked_saved_and_restored),
        cmocka_unit_test(asked_without_a_trace),
        cmocka_unit_test(sampled_as_asked),
        cmocka_unit_test(bad_input_takes_nothing_in),
        cmocka_unit_test(failed_allocations_leak_nothing),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
