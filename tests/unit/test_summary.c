/* test_summary.c: what measures add up to against sums made the obvious way, and what trees make of it against leaves found
 * the obvious way. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure.h"
#include "base/rng.h"
#include "model/params.h"
#include "model/summary.h"
#include "support/model.h"

enum { PACKETS = 50, IS_IP6 = 6 * WLMI_SUMMARY_SERIES + 2 + 2 * WLMI_SUMMARY_FIRST }; /* the latter of the numbers */

typedef struct sent {
    int backward;
    uint32_t size;
    double time; /* seconds */
    uint32_t ttl, flags, window, options, scale;
    int whole, id;
} sent;

static void send_some(sent *p, int count, uint64_t seed)
{
    wlmi_rng rng;
    double now = 0;
    wlmi_rng_seed(&rng, seed);
    for (int i = 0; i < count; i++) {
        p[i] = (sent){(int)wlmi_rng_below(&rng, 2), (uint32_t)(wlmi_rng_below(&rng, 3) * wlmi_rng_below(&rng, 1400)), now,
                      (uint32_t)wlmi_rng_below(&rng, 256), (uint32_t)wlmi_rng_below(&rng, 256),
                      (uint32_t)wlmi_rng_below(&rng, 65536), (uint32_t)wlmi_rng_below(&rng, 11),
                      (uint32_t)wlmi_rng_below(&rng, 16), (int)wlmi_rng_below(&rng, 2), (int)wlmi_rng_below(&rng, 2)};
        now += (double)wlmi_rng_below(&rng, 1000000000) * 1e-9;
    }
}

static int64_t measure_of(const sent *p)
{
    const wlmi_measured m = {p->backward, p->size, p->ttl, p->flags, p->window, p->options, p->scale, 1, p->whole, p->id};
    return wlmi_measure_packet(&m);
}

static void take(float *state, const sent *p, int from, int to)
{
    for (int i = from; i < to; i++) {
        wlmi_summary_take(state, 300, wlmi_measure_gap(i ? (int64_t)llround((p[i].time - p[i - 1].time) * 1e9) : 0));
        wlmi_summary_take(state, 300, measure_of(&p[i]));
    }
}

static double logarithm(double x)
{
    return copysign(log2(1 + fabs(x)), x);
}

static void expect(float number, double x, double unit)
{
    assert_true(fabs((double)number - logarithm(unit * x)) < 2e-3);
}

/* Six numbers of a series, all of it at hand; unit: 1, or microseconds. */
static void check_series(const float *number, const double *x, int n, double unit)
{
    double sum = 0, squares = 0, least = INFINITY, most = -INFINITY;
    for (int i = 0; i < n; i++) {
        sum += x[i];
        least = fmin(least, x[i]);
        most = fmax(most, x[i]);
    }
    for (int i = 0; i < n; i++)
        squares += (x[i] - sum / n) * (x[i] - sum / n);
    expect(number[0], n, 1);
    expect(number[1], sum, unit);
    if (!n) {
        for (int i = 2; i < 6; i++)
            assert_true(number[i] == -30);
        return;
    }
    expect(number[2], sum / n, unit);
    expect(number[3], sqrt(squares / n), unit);
    expect(number[4], least, unit);
    expect(number[5], most, unit);
}

/* The 16 numbers from the headers of one direction. */
static void check_headers(const float *number, const sent *p, int n, int backward)
{
    const sent *first = NULL, *last = NULL;
    double flags[8] = {0};
    for (int i = 0; i < n; i++) {
        if (p[i].backward != backward)
            continue;
        first = first ? first : &p[i];
        last = &p[i];
        for (int bit = 0; bit < 8; bit++)
            flags[bit] += p[i].flags >> bit & 1;
    }
    if (!first) {
        for (int i = 0; i < 16; i++)
            assert_true(number[i] == -30);
        return;
    }
    for (int bit = 0; bit < 8; bit++)
        expect(number[bit], flags[bit], 1);
    assert_true(number[8] == (float)first->ttl);
    expect(number[9], first->window, 1);
    assert_true(number[10] == (float)first->options);
    assert_true(number[11] == (float)(first->scale < 15 ? first->scale : 15));
    assert_true(number[12] == (float)first->whole && number[13] == (float)first->id);
    assert_true(number[14] == (float)last->ttl);
    expect(number[15], last->window, 1);
}

static void numbers_are_those_of_the_whole_flow(void **state)
{
    static const int counts[] = {0, 1, 2, 7, PACKETS};
    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        const int n = counts[c];
        sent p[PACKETS];
        float sums[WLMI_SUMMARY_STATE] = {0}, number[WLMI_SUMMARY_NUMBERS];
        double x[PACKETS];
        int changes = 0, m;
        send_some(p, PACKETS, 3 + c);
        take(sums, p, 0, n);
        wlmi_summary_numbers(sums, number);
        for (int way = -1, series = 0; way < 2; way++) { /* sizes: all, forward, backward; not empty ones */
            m = 0;
            for (int i = 0; i < n; i++)
                if (way < 0 || p[i].backward == way)
                    x[m++] = p[i].size;
            check_series(number + 6 * series++, x, m, 1);
        }
        for (int way = 0; way < 2; way++) {
            m = 0;
            for (int i = 0; i < n; i++)
                if (p[i].backward == way && p[i].size)
                    x[m++] = p[i].size;
            check_series(number + 6 * (3 + way), x, m, 1);
        }
        for (int way = -1; way < 2; way++) { /* gaps */
            double last = -1;
            m = 0;
            for (int i = 0; i < n; i++)
                if (way < 0 || p[i].backward == way) {
                    if (last >= 0)
                        x[m++] = p[i].time - last;
                    last = p[i].time;
                }
            check_series(number + 6 * (6 + way), x, m, 1e6);
        }
        for (int i = 1; i < n; i++)
            changes += p[i].backward != p[i - 1].backward;
        expect(number[48], n ? p[n - 1].time - p[0].time : 0, 1e6);
        expect(number[49], changes, 1);
        for (int i = 0; i < WLMI_SUMMARY_FIRST; i++) {
            if (i >= n) {
                assert_true(number[50 + 2 * i] == -30 && number[51 + 2 * i] == -30);
                continue;
            }
            expect(number[50 + 2 * i], p[i].backward ? -(double)p[i].size : p[i].size, 1);
            expect(number[51 + 2 * i], i ? p[i].time - p[i - 1].time : 0, 1e6);
        }
        assert_true(number[IS_IP6] == (n > 0));
        for (int way = 0; way < 2; way++)
            check_headers(number + IS_IP6 + 1 + WLMI_SUMMARY_HEADER * way, p, n, way);
    }
}

/* A packet whose bytes are tokens: each but the last is followed by one that it has the place of. */
static void send_bytes(float *state, int backward, int first, int count)
{
    const sent p = {.backward = backward, .size = (uint32_t)count};
    wlmi_summary_take(state, 300, wlmi_measure_gap(0));
    wlmi_summary_take(state, 300, measure_of(&p));
    for (int i = 0; i < count; i++) {
        const wlmi_byte_place place = {.offset = (uint32_t)i + 1, .left = (uint32_t)(count - i - 1)};
        wlmi_summary_take(state, (first + i) & 255, i + 1 < count ? wlmi_measure_place(&place) : 0);
    }
}

static void the_first_bytes_of_either_direction_are_kept(void **state)
{
    enum { AT = IS_IP6 + 1 + 2 * WLMI_SUMMARY_HEADER, B = WLMI_SUMMARY_BYTES };
    float sums[WLMI_SUMMARY_STATE] = {0}, number[WLMI_SUMMARY_NUMBERS];
    (void)state;
    send_bytes(sums, 0, 10, 3);
    wlmi_summary_take(sums, 7, 0); /* no byte: none was to come */
    send_bytes(sums, 1, 250, B + 9);
    send_bytes(sums, 0, 200, 2);
    wlmi_summary_take(sums, 300, 0);
    wlmi_summary_take(sums, 8, 0);
    wlmi_summary_numbers(sums, number);
    for (int i = 0; i < B; i++) {
        assert_true(number[AT + i] == (i < 3 ? (float)(10 + i) : i < 5 ? (float)(200 + i - 3) : -1));
        assert_true(number[AT + B + i] == (float)((250 + i) & 255));
    }
    assert_int_equal(AT + 2 * B, WLMI_SUMMARY_NUMBERS);
}

static const int lengths[] = {17, 2, 9, 12, 0};

/* Logits of a task's labels at n positions, by a peek. */
static void ask(wlmi_net *net, const wlmi_batch *batch, wlmi_stream *const *streams, const wlmi_task *task,
                const int32_t *at, int n, double share, float *logit)
{
    const wlmi_logits labels = {n, task->row + 1, task->row + 1 + task->labels, logit, share};
    wlm_error error;
    assert_ok(wlmi_net_logits_parts(net, batch, streams, 0, at, &labels, 1, &error), &error);
}

/* Of one segment. */
static void answer(wlmi_net *net, const test_batch *b, int s, double share, float *logit)
{
    const int32_t at = b->starts[s + 1] - 1;
    ask(net, &b->batch, NULL, &net->task[s % net->tasks], &at, 1, share, logit);
}

/* Of a segment that ends with a question, in one go. */
static void numbers_of(const test_batch *b, int s, float *number)
{
    float sums[WLMI_SUMMARY_STATE] = {0};
    for (int t = b->starts[s]; t + 1 < b->starts[s + 1]; t++)
        wlmi_summary_take(sums, b->id[t], b->measure[t]);
    wlmi_summary_numbers(sums, number);
}

/* A packet's size and direction; or a time to live, a flag, or a byte as well. */
static void what_shows_nothing_else_is_shape(void **state)
{
    (void)state;
    for (int shows = 0; shows < 4; shows++)
        for (int backward = 0; backward < 2; backward++) {
            float sums[WLMI_SUMMARY_STATE] = {0}, number[WLMI_SUMMARY_NUMBERS];
            const sent p = {.backward = backward, .size = 9, .ttl = shows == 1 ? 64 : 0, .flags = shows == 2 ? 2 : 0};
            const wlmi_byte_place place = {.left = 9};
            wlmi_summary_numbers(sums, number);
            assert_int_equal(wlmi_summary_shown(number), WLMI_SHOWN_SHAPE);
            take(sums, &p, 0, 1);
            if (shows == 3)
                wlmi_summary_take(sums, 0, wlmi_measure_place(&place));
            wlmi_summary_numbers(sums, number);
            assert_int_equal(wlmi_summary_shown(number), shows ? WLMI_SHOWN_HEADERS : WLMI_SHOWN_SHAPE);
        }
}

static double value_at(const wlmi_net *net, wlmi_summary_slot slot, int i)
{
    return ((const float *)wlmi_value(net, wlmi_summary_param(net, slot)))[i];
}

/* What one tree says of a label below this node. */
static double said_below(const wlmi_net *net, int task, int tree, int node, const float *number, int column)
{
    const int R = net->config.summary_trees, shown = wlmi_summary_shown(number);
    const int at = ((shown * net->tasks + task) * R + tree) * WLMI_SUMMARY_SPLITS + node;
    const int leaf = (shown * R + tree) * WLMI_SUMMARY_LEAVES + node - WLMI_SUMMARY_SPLITS;
    if (node >= WLMI_SUMMARY_SPLITS)
        return value_at(net, WLMI_SUMMARY_VALUE, leaf * net->config.summary_labels + column);
    if ((double)number[(int)value_at(net, WLMI_SUMMARY_INDEX, at)] > value_at(net, WLMI_SUMMARY_BORDER, at))
        return said_below(net, task, tree, 2 * node + 2, number, column);
    return said_below(net, task, tree, 2 * node + 1, number, column);
}

static void what_is_said_is_a_mean_of_both(void **state)
{
    wlmi_net *net = test_net("wire-nano", &wlmi_backend_ref);
    test_batch b;
    (void)state;
    test_batch_fill(&b, net, lengths, 5);
    test_batch_ask(&b, net);
    for (int s = 0; s < 4; s++) {
        const int task = s % net->tasks, labels = net->task[task].labels;
        const int first = net->task[task].row + 1 - net->config.vocabulary - WLMI_SPECIALS;
        float own[3], summary[3], both[3], number[WLMI_SUMMARY_NUMBERS];
        answer(net, &b, s, 0, own);
        answer(net, &b, s, 1, summary);
        answer(net, &b, s, .3, both);
        numbers_of(&b, s, number);
        for (int i = 0; i < labels; i++) {
            double sum = 0;
            for (int tree = 0; tree < net->config.summary_trees; tree++)
                sum += said_below(net, task, tree, 0, number, first + i);
            assert_true(fabs(summary[i] - sum) < 1e-5);
            assert_true(fabs(both[i] - (.7 * own[i] + .3 * summary[i])) < 1e-5);
        }
    }
    wlmi_net_free(net);
}

static void a_summary_that_was_not_taught_says_nothing(void **state)
{
    wlmi_net *net = test_net("wire-nano", &wlmi_backend_ref);
    const wlmi_param *value = wlmi_summary_param(net, WLMI_SUMMARY_VALUE);
    static const char *const more[] = {"other"};
    test_batch b;
    float own[3], summary[3];
    wlm_error error;
    (void)state;
    test_batch_fill(&b, net, lengths, 5);
    test_batch_ask(&b, net);
    net->backend->zero(wlmi_value(net, value), value->count);
    answer(net, &b, 0, 1, summary);
    for (int i = 0; i < 3; i++)
        assert_true(summary[i] == 0);
    assert_ok(wlmi_net_add_task(net, "vpn-use", more, 1, 1, &error), &error); /* and none that was made for other labels */
    assert_false(wlmi_summary_is_current(net));
    answer(net, &b, 0, 0, own);
    answer(net, &b, 0, 1, summary);
    assert_memory_equal(own, summary, sizeof own);
    wlmi_net_free(net);
}

/* A file can hold anything. */
static void indices_that_name_no_number_do_no_harm(void **state)
{
    static const float odd[] = {-1, 1e30f, WLMI_SUMMARY_NUMBERS, -1e30f};
    wlmi_net *net = test_net("wire-nano", &wlmi_backend_ref);
    const wlmi_param *index = wlmi_summary_param(net, WLMI_SUMMARY_INDEX);
    test_batch b;
    float summary[3];
    (void)state;
    test_batch_fill(&b, net, lengths, 5);
    test_batch_ask(&b, net);
    for (size_t i = 0; i < index->count; i++)
        ((float *)wlmi_value(net, index))[i] = odd[i % 4];
    answer(net, &b, 0, 1, summary);
    for (int i = 0; i < 3; i++)
        assert_true(isfinite(summary[i]));
    wlmi_net_free(net);
}

/* Many flows at once, which threads share between them, as each alone. */
static void many_are_answered_as_each_alone(void **state)
{
    enum { SEGMENTS = 14, LENGTH = 17 };
    static const int even[] = {LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, LENGTH,
                               LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, 0};
    wlmi_net *net = test_net("wire-nano", wlmi_backend_find("cpu"));
    const wlmi_task *task = net->task;
    test_batch b;
    int32_t position[SEGMENTS];
    float all[SEGMENTS * 3], alone[3];
    (void)state;
    test_batch_fill(&b, net, even, 9);
    test_batch_ask(&b, net);
    for (int s = 0; s < SEGMENTS; s++)
        position[s] = b.starts[SEGMENTS - s] - 1; /* in any order */
    ask(net, &b.batch, NULL, task, position, SEGMENTS, .25, all);
    for (int s = 0; s < SEGMENTS; s++) {
        int32_t start[2];
        const wlmi_batch one = test_batch_segment(&b, SEGMENTS - 1 - s, start);
        const int32_t at = LENGTH - 1;
        ask(net, &one, NULL, task, &at, 1, .25, alone);
        for (int i = 0; i < 3; i++)
            assert_true(fabsf(all[3 * s + i] - alone[i]) < 0.02f);
    }
    wlmi_net_free(net);
}

/* The state is the stream's: fed in pieces, copied, and asked by the way. */
static void streams_remember_it(void **state)
{
    wlmi_net *net = test_net("wire-nano", &wlmi_backend_ref);
    test_batch b;
    wlmi_stream stream = {0}, copy = {0};
    float whole[3], parts[3];
    wlm_error error;
    (void)state;
    test_batch_fill(&b, net, lengths, 6);
    test_batch_ask(&b, net);
    answer(net, &b, 0, 1, whole);
    assert_ok(wlmi_stream_new(&stream, net, &error), &error);
    for (int from = 0; from < lengths[0] - 2; from += 5) {
        const int32_t starts[] = {0, 5};
        const wlmi_batch part = {.tokens = 5, .id = b.id + from, .packet = b.packet + from, .role = b.role + from,
                                 .measure = b.measure + from, .segments = {1, starts}};
        wlmi_stream *to = &stream;
        assert_ok(wlmi_net_logits(net, &part, &to, 0, (const int32_t[]){4}, 1, 0, 1, parts, &error), &error);
        assert_ok(wlmi_net_logits(net, &part, &to, 1, NULL, 0, 0, 1, NULL, &error), &error);
    }
    assert_ok(wlmi_stream_fork(&copy, &stream, net, &error), &error);
    for (int i = 0; i < 2; i++) { /* a peek, twice the same */
        const int from = lengths[0] - 2;
        const int32_t starts[] = {0, 2}, at = 1;
        const wlmi_batch question = {.tokens = 2, .id = b.id + from, .packet = b.packet + from, .role = b.role + from,
                                     .measure = b.measure + from, .segments = {1, starts}};
        wlmi_stream *to = i ? &stream : &copy;
        ask(net, &question, &to, net->task, &at, 1, 1, parts);
        for (int j = 0; j < 3; j++)
            assert_true(fabsf(parts[j] - whole[j]) < 1e-5f);
    }
    wlmi_stream_free(&stream);
    wlmi_stream_free(&copy);
    wlmi_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_the_whole_flow),
        cmocka_unit_test(the_first_bytes_of_either_direction_are_kept),
        cmocka_unit_test(what_shows_nothing_else_is_shape),
        cmocka_unit_test(what_is_said_is_a_mean_of_both),
        cmocka_unit_test(a_summary_that_was_not_taught_says_nothing),
        cmocka_unit_test(indices_that_name_no_number_do_no_harm),
        cmocka_unit_test(many_are_answered_as_each_alone),
        cmocka_unit_test(streams_remember_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
