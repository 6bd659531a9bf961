/* test_stream.c: streams: fed in pieces and together, peeked at, forked, saved, restored, and far along. */
#include "support/support.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/rng.h"
#include "support/model.h"

static const char *const kinds[] = {"netgpt-nano", "trafficgpt-nano", "mixed", "wire-nano", "reversible"};
enum { KINDS = sizeof kinds / sizeof *kinds, N = 150, R_MOST = 32 };
static const int longer[] = {N, 0}; /* over the windows, and over a stream's first room */
static const char identity[] = "sha256:of the model";

/* Feeds rows [from, to) of a batch; logits of each, [to - from, rows]. */
static void feed(wlmi_net *net, wlmi_stream *stream, const test_batch *b, int from, int to, int keep, float *logits)
{
    const int32_t starts[] = {0, to - from};
    const wlmi_batch part = {.tokens = to - from, .id = b->id + from, .packet = b->packet + from, .role = b->role + from, .measure = b->measure + from,
                             .segments = {1, starts}};
    int32_t position[N];
    wlm_error error;
    for (int t = from; t < to; t++)
        position[t - from] = t - from;
    assert_ok(wlmi_net_logits(net, &part, &stream, keep, position, to - from, 0, net->rows, logits, &error), &error);
}

static double largest_difference(const float *x, const float *y, int n)
{
    double worst = 0;
    for (int i = 0; i < n; i++)
        if (fabs((double)x[i] - (double)y[i]) > worst)
            worst = fabs((double)x[i] - (double)y[i]);
    return worst;
}

/* Logits of a stream fed in pieces of 1, 2, 3 ... rows against those of the whole sequence at once. */
static void pieces_equal_forward(void **state)
{
    const wlmi_backend *const backends[] = {&wlmi_backend_ref64, wlmi_backend_find("cpu")};
    /* ref64: both are rounded to float when they leave the net; cpu: bf16 products, 8 bits, over logits of about 0.3 */
    static const double bounds[] = {5e-7, 0.02};
    (void)state;
    for (size_t k = 0; k < 2 * KINDS; k++) {
        wlmi_net *net = test_net(kinds[k / 2], backends[k % 2]);
        float whole[N * R_MOST], pieces[N * R_MOST];
        int32_t position[N];
        wlmi_stream stream;
        test_batch b;
        wlm_error error;
        test_batch_fill(&b, net, longer, 8);
        for (int t = 0; t < N; t++)
            position[t] = t;
        assert_ok(wlmi_net_logits(net, &b.batch, NULL, 0, position, N, 0, net->rows, whole, &error), &error);
        assert_ok(wlmi_stream_new(&stream, net, &error), &error);
        for (int round = 0; round < 2; round++) {
            wlmi_stream_reset(&stream, net);
            for (int t = 0, n = 1; t < N; t += n, n = n % 17 + 1)
                feed(net, &stream, &b, t, t + n < N ? t + n : N, 1, pieces + t * net->rows);
            assert_int_equal(stream.position, N);
            assert_true(largest_difference(whole, pieces, N * net->rows) < bounds[k % 2]);
        }
        wlmi_stream_free(&stream);
        wlmi_net_free(net);
    }
}

/* Streams at different places, fed together a few rows each, against each by itself. */
static void together_as_alone(void **state)
{
    const wlmi_backend *const backends[] = {&wlmi_backend_ref64, wlmi_backend_find("cpu")};
    enum { S = 5 };
    static const int32_t starts[] = {0, 1, 4, 5, 12, 14};
    (void)state;
    for (size_t k = 0; k < 2 * KINDS; k++) {
        wlmi_net *net = test_net(kinds[k / 2], backends[k % 2]);
        wlmi_stream stream[S], *streams[S];
        float together[14 * R_MOST], alone[14 * R_MOST];
        int32_t position[14];
        test_batch b;
        wlm_error error;
        test_batch_fill(&b, net, longer, 9);
        for (int s = 0; s < S; s++) {
            assert_ok(wlmi_stream_new(&stream[s], net, &error), &error);
            streams[s] = &stream[s];
            if (s)
                feed(net, &stream[s], &b, 20 + s, 20 + 12 * s, 1, (float[N * R_MOST]){0});
        }
        for (int keep = 0; keep < 2; keep++) {
            const wlmi_batch some = {.tokens = 14, .id = b.id, .packet = b.packet, .role = b.role, .measure = b.measure,
                                     .segments = {S, starts}};
            for (int s = 0; s < S; s++) {
                wlmi_stream copy = {0};
                assert_ok(wlmi_stream_fork(&copy, &stream[s], net, &error), &error);
                feed(net, &copy, &b, starts[s], starts[s + 1], keep, alone + starts[s] * net->rows);
                wlmi_stream_free(&copy);
            }
            for (int t = 0; t < 14; t++)
                position[t] = t;
            assert_ok(wlmi_net_logits(net, &some, streams, keep, position, 14, 0, net->rows, together, &error), &error);
            assert_true(largest_difference(together, alone, 14 * net->rows) <= (k % 2 ? 0.02 : 0));
        }
        for (int s = 0; s < S; s++)
            wlmi_stream_free(&stream[s]);
        wlmi_net_free(net);
    }
}

/* A peek is fork, feed, read; and the stream never knows of it. */
static void a_peek_leaves_no_trace(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        wlmi_net *net = test_net(kinds[k], wlmi_backend_find("cpu"));
        test_batch b;
        wlm_error error;
        test_batch_fill(&b, net, longer, 10);
        for (int at = 0; at < 60; at += 3) { /* also where a ring is just full, or just turns over */
            wlmi_stream stream, copy = {0}, before = {0};
            float peeked[2 * R_MOST], fed[2 * R_MOST], on[2 * R_MOST];
            assert_ok(wlmi_stream_new(&stream, net, &error), &error);
            if (at)
                feed(net, &stream, &b, 0, at, 1, (float[N * R_MOST]){0});
            assert_ok(wlmi_stream_fork(&copy, &stream, net, &error), &error);
            assert_ok(wlmi_stream_fork(&before, &stream, net, &error), &error);
            feed(net, &stream, &b, 100, 102, 0, peeked);
            assert_int_equal(stream.position, at);
            assert_int_equal(stream.size, before.size);
            assert_memory_equal(stream.block, before.block, stream.size * sizeof(float));
            feed(net, &copy, &b, 100, 102, 1, fed);
            assert_memory_equal(peeked, fed, 2 * (size_t)net->rows * sizeof(float));
            feed(net, &stream, &b, 110, 112, 1, on);
            feed(net, &before, &b, 110, 112, 1, fed);
            assert_memory_equal(on, fed, 2 * (size_t)net->rows * sizeof(float));
            wlmi_stream_free(&stream);
            wlmi_stream_free(&copy);
            wlmi_stream_free(&before);
        }
        wlmi_net_free(net);
    }
}

/* Rows that nobody asks about need no place in the last layer's second half. */
static void asking_for_less_gives_the_same(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        wlmi_net *net = test_net(kinds[k], &wlmi_backend_ref64);
        static const int32_t few[] = {149, 3, 20};
        float all[N * R_MOST], some[3 * R_MOST];
        int32_t position[N];
        test_batch b;
        wlm_error error;
        test_batch_fill(&b, net, longer, 11);
        for (int t = 0; t < N; t++)
            position[t] = t;
        assert_ok(wlmi_net_logits(net, &b.batch, NULL, 0, position, N, 0, net->rows, all, &error), &error);
        assert_ok(wlmi_net_logits(net, &b.batch, NULL, 0, few, 3, 2, 9, some, &error), &error);
        for (int i = 0; i < 3; i++)
            assert_memory_equal(some + 7 * i, all + few[i] * net->rows + 2, 7 * sizeof(float));
        float first[R_MOST], others[2 * R_MOST];
        const wlmi_logits parts[] = {{1, 0, net->rows, first, 0}, {0, 0, 3, NULL, 0}, {2, 1, 4, others, 0}};
        assert_ok(wlmi_net_logits_parts(net, &b.batch, NULL, 0, few, parts, 3, &error), &error);
        assert_memory_equal(first, all + few[0] * net->rows, (size_t)net->rows * sizeof(float));
        for (int i = 0; i < 2; i++)
            assert_memory_equal(others + 3 * i, all + few[1 + i] * net->rows + 1, 3 * sizeof(float));
        const wlmi_logits too_many[] = {{N, 0, 3, all, 0}, {1, 0, 3, some, 0}};
        assert_int_equal(wlmi_net_logits_parts(net, &b.batch, NULL, 0, position, too_many, 2, &error), WLM_ERR_ARGUMENT);
        wlmi_net_free(net);
    }
}

static void saved_streams_come_back(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        wlmi_net *net = test_net(kinds[k], wlmi_backend_find("cpu"));
        test_batch b;
        wlm_error error;
        test_batch_fill(&b, net, longer, 12);
        for (int at = 0; at < 100; at += 33) {
            wlmi_stream stream, back = {0};
            float on[R_MOST], again[R_MOST];
            void *bytes;
            size_t size;
            assert_ok(wlmi_stream_new(&stream, net, &error), &error);
            if (at)
                feed(net, &stream, &b, 0, at, 1, (float[N * R_MOST]){0});
            assert_ok(wlmi_stream_save(&stream, net, identity, &bytes, &size, &error), &error);
            assert_ok(wlmi_stream_restore(&back, net, identity, bytes, size, &error), &error);
            assert_int_equal(back.position, at);
            feed(net, &stream, &b, at, at + 1, 1, on);
            feed(net, &back, &b, at, at + 1, 1, again);
            assert_memory_equal(on, again, (size_t)net->rows * sizeof(float));
            assert_int_equal(wlmi_stream_restore(&back, net, "another", bytes, size, &error), WLM_ERR_UNSUPPORTED);
            assert_int_equal(back.position, at + 1);
            wlmi_free(bytes);
            wlmi_stream_free(&stream);
            wlmi_stream_free(&back);
        }
        wlmi_net_free(net);
    }
}

/* The checksum made right again, so that what it guards is looked at too. */
static void sign(uint8_t *bytes, size_t size)
{
    char hex[65];
    wlmi_sha256_of(bytes, size - 64, hex);
    memcpy(bytes + size - 64, hex, 64);
}

static void damaged_bytes_are_refused(void **state)
{
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 5);
    for (size_t k = 0; k < KINDS; k++) {
        wlmi_net *net = test_net(kinds[k], wlmi_backend_find("cpu"));
        wlmi_stream stream, back = {0};
        test_batch b;
        wlm_error error;
        void *saved;
        size_t size;
        test_batch_fill(&b, net, longer, 13);
        assert_ok(wlmi_stream_new(&stream, net, &error), &error);
        feed(net, &stream, &b, 0, 40, 1, (float[N * R_MOST]){0});
        assert_ok(wlmi_stream_save(&stream, net, identity, &saved, &size, &error), &error);
        for (int i = 0; i < 400; i++) {
            size_t length = i % 3 ? size : (size_t)wlmi_rng_below(&rng, size);
            uint8_t *bytes = malloc(length + 1);
            size_t at = length ? (size_t)wlmi_rng_below(&rng, i % 2 && length > 24 ? 24 : length) : 0;
            memcpy(bytes, saved, length);
            bytes[at] ^= (uint8_t)(1 + wlmi_rng_below(&rng, 255));
            if (i % 3)
                assert_int_not_equal(wlmi_stream_restore(&back, net, identity, bytes, length, &error), WLM_OK);
            if (length > 64)
                sign(bytes, length);
            if (wlmi_stream_restore(&back, net, identity, bytes, length, &error) == WLM_OK) { /* another sound state */
                float logits[R_MOST];
                const int32_t starts[] = {0, 1}, zero = 0;
                const int64_t nothing = 0;
                const wlmi_batch one = {.tokens = 1, .id = &zero, .packet = &zero, .role = &zero, .measure = &nothing,
                                        .segments = {1, starts}};
                wlmi_stream *streams = &back;
                wlmi_net_logits(net, &one, &streams, 1, &zero, 1, 0, net->rows, logits, &error);
            }
            free(bytes);
        }
        wlmi_free(saved);
        wlmi_stream_free(&back);
        wlmi_stream_free(&stream);
        wlmi_net_free(net);
    }
}

/* Far along a stream its state is no larger, and the next row is taken as the first ones were. */
static void a_million_rows_cost_no_more(void **state)
{
    static const uint64_t far[] = {1000000, UINT64_C(1) << 31, UINT64_C(1) << 40};
    wlmi_net *net = test_net("trafficgpt-nano", wlmi_backend_find("cpu")), *wire = test_net("wire-nano", wlmi_backend_find("cpu"));
    wlmi_net *full = test_net("netgpt-nano", wlmi_backend_find("cpu"));
    wlmi_stream stream, growing;
    float logits[N * R_MOST];
    test_batch b;
    wlm_error error;
    size_t bytes;
    (void)state;
    test_batch_fill(&b, net, longer, 14);
    for (int i = 0; i < 6; i++) {
        wlmi_net *either = i < 3 ? net : wire;
        assert_ok(wlmi_stream_new(&stream, either, &error), &error);
        feed(either, &stream, &b, 0, 10, 1, logits);
        bytes = wlmi_stream_bytes(&stream, either);
        stream.position = far[i % 3];
        feed(either, &stream, &b, 10, N, 1, logits);
        assert_int_equal(stream.position, far[i % 3] + N - 10);
        assert_int_equal(wlmi_stream_bytes(&stream, either), bytes);
        for (int j = 0; j < (N - 10) * either->rows; j++)
            assert_true(isfinite(logits[j]));
        if (i < 5)
            wlmi_stream_free(&stream);
    }
    stream.position = INT64_MAX;
    {
        const int32_t starts[] = {0, 1}, zero = 0;
        const int64_t nothing = 0;
        const wlmi_batch one = {.tokens = 1, .id = &zero, .packet = &zero, .role = &zero, .measure = &nothing, .segments = {1, starts}};
        wlmi_stream *end = &stream;
        assert_int_equal(wlmi_net_logits(wire, &one, &end, 1, &zero, 1, 0, wire->rows, logits, &error), WLM_ERR_ARGUMENT);
        assert_ok(wlmi_stream_new(&growing, full, &error), &error);
        growing.position = INT_MAX;
        end = &growing;
        assert_int_equal(wlmi_net_logits(full, &one, &end, 1, &zero, 1, 0, full->rows, logits, &error), WLM_ERR_ARGUMENT);
    }
    wlmi_stream_free(&stream);
    wlmi_stream_free(&growing);
    wlmi_net_free(net);
    wlmi_net_free(wire);
    wlmi_net_free(full);
}

static wlm_status all_of_it(wlmi_net *net, wlmi_stream *stream, wlmi_stream *copy, void **bytes)
{
    test_batch b;
    float logits[R_MOST];
    static const int32_t starts[] = {0, 40}, last = 39;
    size_t size;
    test_batch_fill(&b, net, longer, 15);
    const wlmi_batch part = {.tokens = 40, .id = b.id, .packet = b.packet, .role = b.role, .measure = b.measure, .segments = {1, starts}};
    WLMI_TRY(wlmi_stream_new(stream, net, NULL));
    for (int keep = 1; keep >= 0; keep--)
        WLMI_TRY(wlmi_net_logits(net, &part, &stream, keep, &last, 1, 0, net->rows, logits, NULL));
    WLMI_TRY(wlmi_stream_fork(copy, stream, net, NULL));
    WLMI_TRY(wlmi_stream_save(stream, net, identity, bytes, &size, NULL));
    return wlmi_stream_restore(copy, net, identity, *bytes, size, NULL);
}

static void failed_allocations_leak_nothing(void **state)
{
    (void)state;
    for (uint64_t k = 1, done = 0, kind = 0; kind < 2; kind += done, k = done ? 1 : k + 1) {
        wlmi_net *net = test_net(kinds[2 + kind], wlmi_backend_find("cpu"));
        wlmi_stream stream = {0}, copy = {0};
        void *bytes = NULL;
        wlmi_alloc_fail_at(k);
        wlm_status status = all_of_it(net, &stream, &copy, &bytes);
        done = status == WLM_OK && wlmi_alloc_count() < k;
        wlmi_alloc_fail_at(0);
        assert_true(status == WLM_ERR_MEMORY || done);
        wlmi_free(bytes);
        wlmi_stream_free(&stream);
        wlmi_stream_free(&copy);
        wlmi_net_free(net);
        assert_true(k < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_equal_forward),
        cmocka_unit_test(together_as_alone),
        cmocka_unit_test(a_peek_leaves_no_trace),
        cmocka_unit_test(asking_for_less_gives_the_same),
        cmocka_unit_test(saved_streams_come_back),
        cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(a_million_rows_cost_no_more),
        cmocka_unit_test(failed_allocations_leak_nothing),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
