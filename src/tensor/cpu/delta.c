/* delta.c: gated delta heads over whole segments, forward, and how heads are cut into tasks. */
#include "tensor/cpu/delta.h"

#include <math.h>
#include <omp.h>

#include "tensor/cpu/ops.h"
#include "tensor/cpu/simd.h"

enum { B = WLMI_BLOCK };

/* Chunks before segment s start at no later slot than this: ceil(n/B) of a segment never reaches the next one's. */
static size_t first_slot(wlmi_segments segments, int s)
{
    return (size_t)segments.starts[s] / B + (size_t)s;
}

static size_t state_values(int K)
{
    return (size_t)K * wlmi_round16(K);
}

size_t LEVEL(delta_kept_size)(int T, int segments, int heads, int K)
{
    return ((size_t)T / B + (size_t)segments) * (size_t)heads * state_values(K);
}

static void fade(float *restrict to, const float *restrict from, float part, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = part * from[i];
}

static void write_rows(float *to, int stride, const float *from, int rows, int K)
{
    for (int r = 0; r < rows; r++)
        memcpy(to + (size_t)r * stride, from + (size_t)r * wlmi_round16(K), (size_t)K * sizeof *to);
}

static size_t forward_room(int K)
{
    return LEVEL(delta_chunk_room)(K) + (size_t)B * wlmi_round16(K);
}

static void forward_task(const wlmi_delta_head *h, float *room)
{
    const int K = h->K, width = wlmi_round16(K);
    wlmi_delta_chunk c;
    float *out = LEVEL(delta_chunk_place)(&c, room, K), *state = h->states;
    memset(state, 0, state_values(K) * sizeof *state);
    LEVEL(delta_fetch)(h, 0);
    for (int from = 0; from < h->n; from += B) {
        LEVEL(delta_chunk_read)(&c, h, from);
        LEVEL(delta_fetch)(h, from + B);
        LEVEL(delta_chunk_solve)(&c, state, K);
        LEVEL(delta_scale_rows)(c.queries, c.queries, c.e, 1, c.rows, width);
        LEVEL(block_product)(out, width, c.queries, width, 1, state, width, c.rows, width, K, 0, WLMI_ALL);
        LEVEL(block_product)(out, width, c.scores, B, 1, c.writes, width, c.rows, width, c.rows, 1, WLMI_A_LOWER);
        write_rows(h->o + (size_t)from * h->o_stride, h->o_stride, out, c.rows, K);
        if (from + B < h->n) {
            float *next = state + h->state_step;
            fade(next, state, c.e[c.rows - 1], state_values(K));
            LEVEL(delta_scale_rows)(c.keys, c.keys, c.rest, 1, c.rows, width);
            LEVEL(block_product)(next, width, c.keys, 1, width, c.writes, width, K, width, c.rows, 1, WLMI_ALL);
            state = next;
        }
    }
}

void LEVEL(delta_forward)(const wlmi_delta *d, wlmi_real *kept)
{
    LEVEL(delta_run)(forward_task, forward_room(d->K), d, NULL, kept);
}

static wlmi_delta_head head_of(const wlmi_delta *d, const wlmi_delta_gradient *g, int s, int h, float *kept)
{
    const size_t start = (size_t)d->segments.starts[s], inside = (size_t)h * d->K;
    const size_t at = start * d->stride + inside, gate = start * d->gate_stride + (size_t)h;
    const size_t states = first_slot(d->segments, s) * (size_t)d->heads + (size_t)h;
    wlmi_delta_head head = {
        .q = (const float *)d->q + at, .k = (const float *)d->k + at, .v = (const float *)d->v + at,
        .forget = (const float *)d->forget + gate, .write = (const float *)d->write + gate,
        .o = (float *)d->o + start * d->o_stride + inside, .states = kept + states * state_values(d->K),
        .state_step = (size_t)d->heads * state_values(d->K), .rate = expf(((const float *)d->log_rate)[h]),
        .bias = ((const float *)d->bias)[h], .stride = d->stride, .gate_stride = d->gate_stride,
        .o_stride = d->o_stride, .K = d->K, .n = d->segments.starts[s + 1] - d->segments.starts[s],
    };
    if (g) {
        head.d_o = (const float *)g->d_o + start * g->o_stride + inside;
        head.d_stride = g->o_stride;
        head.dq = (float *)g->dq + at;
        head.dk = (float *)g->dk + at;
        head.dv = (float *)g->dv + at;
        head.d_forget = (float *)g->d_forget + gate;
        head.d_write = (float *)g->d_write + gate;
    }
    return head;
}

void LEVEL(delta_run)(void (*task)(const wlmi_delta_head *, float *), size_t room, const wlmi_delta *d,
                      const wlmi_delta_gradient *gradient, wlmi_real *kept)
{
    const int T = d->segments.starts[d->segments.count], tasks = d->segments.count * d->heads;
    const int threads = wlmi_cpu_threads(128.0 * T * d->heads * d->K);
    size_t step, each;
    float *scratch = wlmi_cpu_scratch(threads, room, &step);
    float *sums = wlmi_cpu_scratch(1, 2 * (size_t)tasks, &each);
    if (scratch && sums) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
        for (int i = 0; i < tasks; i++) {
            wlmi_delta_head h = head_of(d, gradient, i / d->heads, i % d->heads, (float *)kept);
            h.sums = sums + 2 * (size_t)i;
            task(&h, scratch + step * omp_get_thread_num());
        }
        for (int i = 0; gradient && i < tasks; i++) {
            ((float *)gradient->d_log_rate)[i % d->heads] += sums[2 * i];
            ((float *)gradient->d_bias)[i % d->heads] += sums[2 * i + 1];
        }
    }
    wlmi_cpu_release(sums);
    wlmi_cpu_release(scratch);
}
