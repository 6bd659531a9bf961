/* test_summary.c: what measures add up to against sums made the obvious way, and the columns that come of it. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure.h"
#include "base/rng.h"
#include "model/params.h"
#include "model/summary.h"
#include "support/model.h"

enum { PACKETS = 50 };

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
        wlmi_summary_take(state, wlmi_measure_gap(i ? (int64_t)llround((p[i].time - p[i - 1].time) * 1e9) : 0));
        wlmi_summary_take(state, measure_of(&p[i]));
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
        assert_true(number[82] == (n > 0));
        for (int way = 0; way < 2; way++)
            check_headers(number + 83 + 16 * way, p, n, way);
    }
}

static wlmi_net *small_net(void)
{
    wlmi_config config = test_config("wire-nano");
    wlmi_net *net;
    wlm_error error;
    config.summary_pieces = 2;
    config.summary_labels = 1;
    assert_ok(wlmi_net_new(&net, &config, &wlmi_backend_ref64, 1, &error), &error);
    return net;
}

/* Columns of a question after so many packets. */
static void columns_after(const wlmi_net *net, const sent *p, int packets, double *column)
{
    enum { ROWS = 2 * PACKETS + 2 };
    int32_t id[ROWS] = {0}, starts[2] = {0, 2 * packets + 2};
    int64_t measure[ROWS] = {0};
    const wlmi_batch batch = {.tokens = 2 * packets + 2, .id = id, .measure = measure, .segments = {1, starts}};
    wlmi_summary_room room = {.asks = 1, .rows = 1};
    void *block = calloc(1, wlmi_summary_lay_out(net, &room, NULL));
    wlmi_summary_lay_out(net, &room, block);
    for (int i = 0; i < packets; i++) {
        measure[2 * i] = wlmi_measure_gap(0);
        measure[2 * i + 1] = measure_of(&p[i]);
    }
    id[2 * packets] = net->config.vocabulary + WLMI_ASK_ROW;
    assert_int_equal(wlmi_summary_asks(net, &batch), 1);
    wlmi_summary_read(net, &batch, NULL, 0, &room);
    assert_int_equal(room.position[0], 2 * packets + 1);
    memcpy(column, room.columns, (size_t)wlmi_summary_columns(&net->config) * sizeof *column);
    free(block);
}

/* Of two pieces: the least, one quantile, the most. */
static void columns_tell_where_between_edges_a_number_lies(void **state)
{
    wlmi_net *net = small_net();
    static double column[2 * WLMI_SUMMARY_NUMBERS];
    static float number[5 * WLMI_SUMMARY_NUMBERS];
    wlm_error error;
    (void)state;
    assert_false(wlmi_summary_is_fitted(net));
    for (int i = 0; i < 5; i++) {
        number[i * WLMI_SUMMARY_NUMBERS] = 3;                /* always as many packets: columns that say nothing */
        number[i * WLMI_SUMMARY_NUMBERS + 1] = (float)(2 * i); /* bytes: the edges are 0 and 8 */
    }
    assert_ok(wlmi_summary_fit(net, number, 5, &error), &error);
    assert_true(wlmi_summary_is_fitted(net));
    for (uint32_t size = 0; size < 600; size += 5) {
        const sent p = {.size = size};
        columns_after(net, &p, 1, column);
        assert_true(column[0] == 0 && column[1] == 0);
        assert_true(fabs(column[2] - fmin(log2(1.0 + size) / 8, 1)) < 1e-6);
        assert_true(column[3] == 0);
    }
    wlmi_net_free(net);
}

static void a_summary_that_is_not_fitted_says_nothing(void **state)
{
    wlmi_net *net = small_net();
    static double column[2 * WLMI_SUMMARY_NUMBERS];
    sent p[PACKETS];
    (void)state;
    send_some(p, PACKETS, 1);
    columns_after(net, p, PACKETS, column);
    for (int i = 0; i < 2 * WLMI_SUMMARY_NUMBERS; i++)
        assert_true(column[i] == 0);
    wlmi_net_free(net);
}

static double loss_of(wlmi_net *net, const wlmi_batch *batch)
{
    wlmi_loss loss;
    wlm_error error;
    assert_ok(wlmi_net_forward(net, batch, &loss, &error), &error);
    assert_true(loss.tokens_weight == 0 && loss.labels_weight > 0);
    return loss.labels;
}

static const int lengths[] = {17, 2, 9, 12, 0};

static void gradients_are_central_differences(void **state)
{
    wlmi_net *net = test_net("wire-nano", &wlmi_backend_ref64);
    test_batch b;
    wlm_error error;
    (void)state;
    test_batch_fill(&b, net, lengths, 5);
    test_batch_ask(&b, net);
    wlmi_summary_teach(net);
    for (int i = WLMI_SUMMARY_IN; i < WLMI_SUMMARY_SLOTS; i++) { /* far from linear */
        const wlmi_param *param = wlmi_summary_param(net, (wlmi_summary_slot)i);
        for (size_t j = 0; j < param->count; j++)
            ((double *)wlmi_value(net, param))[j] *= 8;
    }
    assert_ok(wlmi_net_train_memory(net, &error), &error);
    loss_of(net, &b.batch);
    assert_ok(wlmi_net_backward(net, &b.batch, &error), &error);
    for (int p = 0; p < net->params; p++) {
        const wlmi_param *param = &net->param[p];
        double *value = (double *)wlmi_value(net, param), *grad = (double *)wlmi_grad(net, param), largest = 0;
        for (size_t i = 0; i < param->count; i++)
            largest = fmax(largest, fabs(grad[i]));
        assert_true((largest > 0) == !param->fixed);
        for (size_t i = 0; i < param->count && largest > 0; i += 1 + param->count / 200) {
            const double h = 1e-5, kept = value[i];
            double up, down;
            value[i] = kept + h;
            up = loss_of(net, &b.batch);
            value[i] = kept - h;
            down = loss_of(net, &b.batch);
            value[i] = kept;
            if (fabs((up - down) / (2 * h) - grad[i]) > 1e-6 * fmax(fabs(grad[i]), largest))
                fail_msg("%s[%zu]: %.12g, by differences %.12g", param->name, i, grad[i], (up - down) / (2 * h));
        }
    }
    wlmi_net_free(net);
}

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

static void what_is_said_is_a_mean_of_both(void **state)
{
    wlmi_net *net = test_net("wire-nano", &wlmi_backend_ref);
    test_batch b;
    (void)state;
    test_batch_fill(&b, net, lengths, 5);
    test_batch_ask(&b, net);
    for (int s = 0; s < 4; s++) {
        float own[3], summary[3], both[3];
        double loss = 0, weight = 0, sum = 0, expected;
        const int32_t at = b.starts[s + 1] - 1, first = b.first[at];
        const int labels = b.last[at] - first;
        int32_t one_start[2];
        wlmi_batch one = test_batch_segment(&b, s, one_start);
        answer(net, &b, s, 0, own);
        answer(net, &b, s, 1, summary);
        answer(net, &b, s, .3, both);
        for (int i = 0; i < labels; i++) {
            assert_true(fabs(both[i] - (.7 * own[i] + .3 * summary[i])) < 1e-5);
            sum += exp(summary[i]);
        }
        net->teaches_summary = 1; /* and the summary's are those of its loss */
        loss = loss_of(net, &one);
        net->teaches_summary = 0;
        weight = b.weight[at];
        expected = weight * (log(sum) - summary[b.target[at] - first]);
        assert_true(fabs(loss - expected) < 1e-4 * fabs(expected));
    }
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
        cmocka_unit_test(columns_tell_where_between_edges_a_number_lies),
        cmocka_unit_test(a_summary_that_is_not_fitted_says_nothing),
        cmocka_unit_test(gradients_are_central_differences),
        cmocka_unit_test(what_is_said_is_a_mean_of_both),
        cmocka_unit_test(many_are_answered_as_each_alone),
        cmocka_unit_test(streams_remember_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
