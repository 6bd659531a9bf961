/* test_slices.c: batches cut into slices: every row and position is in one of them, and answers are as in one piece. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "model/slices.h"
#include "support/model.h"

enum { SEGMENTS = 16, ROWS = 256, PARTS = 3 };

/* So many segments of random length, ROWS rows at most. */
static void random_batch(test_batch *b, const wlmi_net *net, uint64_t seed, int longest)
{
    int lengths[SEGMENTS + 1] = {0};
    wlmi_rng rng;
    wlmi_rng_seed(&rng, seed);
    for (int s = 0; s < SEGMENTS; s++)
        lengths[s] = 1 + (int)wlmi_rng_below(&rng, (uint64_t)longest);
    test_batch_fill(b, net, lengths, seed);
}

/* Positions of PARTS parts, each row at most once in all. Returns how many; part[].out stays. */
static int random_positions(int32_t *position, wlmi_logits *part, int rows, uint64_t seed)
{
    int n = 0;
    wlmi_rng rng;
    wlmi_rng_seed(&rng, seed);
    for (int p = 0; p < PARTS; p++) {
        const int before = n;
        for (int t = rows - 1; t >= 0; t--) /* not in order */
            if (t % PARTS == p && wlmi_rng_below(&rng, 3))
                position[n++] = t;
        part[p].n = n - before;
        part[p].first = p;
        part[p].last = p + 4;
    }
    return n;
}

static void everything_is_in_one_slice(void **state)
{
    wlmi_net *net = test_net("wire-nano", &wlmi_backend_ref);
    wlmi_slices slices = {0};
    wlm_error error;
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const int count = 1 + (int)(seed % 9);
        int32_t position[ROWS], taken[PARTS] = {0};
        wlmi_logits part[PARTS];
        int rows = 0, segments = 0, n, seen = 0;
        test_batch b;
        random_batch(&b, net, seed, seed % 2 ? 15 : 3);
        n = random_positions(position, part, b.batch.tokens, seed);
        assert_ok(wlmi_slices_cut(&slices, &b.batch, count, position, part, PARTS, &error), &error);
        assert_in_range(slices.count, 1, count);
        for (int i = 0; i < slices.count; i++) {
            const wlmi_slice *slice = &slices.slice[i];
            const wlmi_segments *s = &slice->batch.segments;
            assert_int_equal(slice->segment, segments);
            assert_ptr_equal(slice->batch.id, b.id + rows);
            assert_ptr_equal(slice->batch.measure, b.measure + rows);
            for (int k = 0; k <= s->count; k++)
                assert_int_equal(s->starts[k], b.starts[segments + k] - rows);
            assert_int_equal(slice->batch.tokens, s->starts[s->count]);
            for (int p = 0, k = 0; p < PARTS; p++)
                for (int left = slice->of_part[p]; left > 0; left--, k++, seen++) {
                    int first = 0;
                    for (int q = 0; q < p; q++)
                        first += part[q].n;
                    assert_int_equal(slice->position[k] + rows, position[first + slice->place[k]]);
                    taken[p]++;
                }
            rows += slice->batch.tokens;
            segments += s->count;
        }
        assert_int_equal(rows, b.batch.tokens);
        assert_int_equal(segments, SEGMENTS);
        assert_int_equal(seen, n);
        for (int p = 0; p < PARTS; p++)
            assert_int_equal(taken[p], part[p].n);
    }
    wlmi_slices_free(&slices);
    wlmi_net_free(net);
}

static void long_segments_are_not_cut(void **state)
{
    const int32_t one[] = {0, 9000}, even[] = {0, 4500, 9000}, uneven[] = {0, 6000, 7000, 9000};
    (void)state;
    assert_int_equal(wlmi_slices_for(&(wlmi_batch){.tokens = 9000, .segments = {1, one}}, 2), 1);
    assert_int_equal(wlmi_slices_for(&(wlmi_batch){.tokens = 9000, .segments = {2, even}}, 2), 2);
    assert_int_equal(wlmi_slices_for(&(wlmi_batch){.tokens = 9000, .segments = {3, uneven}}, 2), 1);
    assert_int_equal(wlmi_slices_for(&(wlmi_batch){.tokens = 9000, .segments = {3, uneven}}, 1), 3);
}

/* A net with enough work that threads take slices of it, fed as new segments and as streams that go on, against each
 * segment by itself. */
static void answers_are_as_in_one_piece(void **state)
{
    const wlmi_backend *backend = wlmi_backend_find("cpu");
    static const int lengths[] = {16, 16, 16, 1, 31, 16, 16, 16, 16, 16, 2, 30, 16, 16, 16, 16, 0};
    static float out[PARTS][ROWS * 4], alone[ROWS * 64];
    wlmi_logits part[PARTS] = {{.out = out[0]}, {.out = out[1]}, {.out = out[2]}};
    wlmi_stream stream[SEGMENTS], *streams[SEGMENTS];
    int32_t position[ROWS], every[ROWS], starts[2];
    wlmi_config config;
    wlmi_net *net;
    test_batch b;
    wlm_error error;
    (void)state;
    assert_ok(wlmi_config_preset(&config, "wire-nano", &error), &error);
    config.vocabulary = 30;
    assert_ok(wlmi_net_new(&net, &config, backend, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, "t", (const char *const[]){"a", "b"}, 2, 1, &error), &error);
    assert_in_range(net->rows, 1, 64);
    test_batch_fill(&b, net, lengths, 3);
    for (int i = 0; i < ROWS; i++)
        every[i] = i;
    for (int s = 0; s < SEGMENTS; s++) {
        assert_ok(wlmi_stream_new(&stream[s], net, &error), &error);
        streams[s] = &stream[s];
    }
    for (int round = 0; round < 4; round++) { /* no streams; they begin; they are peeked at; they go on */
        wlmi_stream *const *all = round ? streams : NULL;
        const int keep = round % 2;
        for (int s = 0; s < SEGMENTS; s++) {
            const wlmi_batch segment = test_batch_segment(&b, s, starts);
            wlmi_stream copy = {0}, *one = &copy;
            if (all)
                assert_ok(wlmi_stream_fork(&copy, &stream[s], net, &error), &error);
            assert_ok(wlmi_net_logits(net, &segment, all ? &one : NULL, keep, every, segment.tokens, 0, 20,
                                      alone + b.starts[s] * 20, &error), &error);
            wlmi_stream_free(&copy);
        }
        const int n = random_positions(position, part, b.batch.tokens, (uint64_t)round + 1);
        assert_ok(wlmi_net_logits_parts(net, &b.batch, all, keep, position, part, PARTS, &error), &error);
        for (int p = 0, at = 0; p < PARTS; p++)
            for (int i = 0; i < part[p].n; i++, at++)
                for (int c = 0; c < 4; c++)
                    assert_float_equal(out[p][i * 4 + c], alone[position[at] * 20 + part[p].first + c], 0.02);
        assert_in_range(n, 1, ROWS);
        if (keep)
            for (int s = 0; s < SEGMENTS; s++)
                assert_int_equal(stream[s].position, (uint64_t)lengths[s] * (uint64_t)(round + 1) / 2);
    }
    for (int s = 0; s < SEGMENTS; s++)
        wlmi_stream_free(&stream[s]);
    wlmi_net_free(net);
}

typedef struct seen {
    const wlmi_backend *backend;
    int done[40], threads[40];
} seen;

static void look(void *user, int i, int worker)
{
    seen *s = user;
    (void)worker;
    s->done[i]++;
    s->threads[i] = s->backend->threads();
}

static void every_task_is_done_once_and_alone(void **state)
{
    const wlmi_backend *const backends[] = {&wlmi_backend_ref, wlmi_backend_find("cpu")};
    (void)state;
    for (int k = 0; k < 2; k++)
        for (int tasks = 0; tasks <= 40; tasks += 8) {
            seen s = {.backend = backends[k]};
            const int before = backends[k]->threads();
            backends[k]->each(look, &s, tasks);
            for (int i = 0; i < 40; i++) {
                assert_int_equal(s.done[i], i < tasks);
                assert_int_equal(s.threads[i], i < tasks);
            }
            assert_int_equal(backends[k]->threads(), before);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_in_one_slice),
        cmocka_unit_test(long_segments_are_not_cut),
        cmocka_unit_test(answers_are_as_in_one_piece),
        cmocka_unit_test(every_task_is_done_once_and_alone),
    };
    return cmocka_run_group_tests_name("slices", tests, NULL, NULL);
}
