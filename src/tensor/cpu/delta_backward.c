/* delta_backward.c: gated delta heads backward, chunks from the last to the first; states were kept by forward, all
 * else is computed again.
 *
 * With dS the gradient of the state after the chunk: dU = P^T dO + (rest K) dS, dR = (I - N)^-T dU, dP = dO U^T,
 * dN = dR U^T; dV = b dR; b's gradient is dR . U / b; from these the rest by the product rule. A decay exp(g_i - g_j)
 * that scales a term x gives x dx to g_i and takes it from g_j; terms that nothing decays are left out of these sums,
 * so that fast decays leave no rounding of theirs behind. */
#include <math.h>

#include "tensor/cpu/ops.h"
#include "tensor/cpu/delta.h"
#include "tensor/cpu/simd.h"

enum { B = WLMI_BLOCK };

/* Room beyond the chunk's. */
typedef struct gradients {
    float *d_out;           /* dO, later e dO [rows, width] */
    float *d_writes;        /* dU, then dR, then -b e dR [rows, width] */
    float *wide;            /* [rows, width] */
    float *d_scores;        /* dP . L [rows, B] */
    float *d_below;         /* dN, then the gradient of K K^T [rows, B] */
    float *d_state;         /* of the state after the chunk [K, width] */
    float *turned_state;    /* [K, width] */
    float *dg;              /* gradient of g [rows] */
    float *dots, *more;     /* [rows] */
} gradients;

static size_t backward_room(int K)
{
    const size_t width = (size_t)wlmi_round16(K);
    return LEVEL(delta_chunk_room)(K) + 3 * B * width + 2 * (size_t)B * B + 2 * (size_t)K * width + 3 * B;
}

static void place(gradients *g, float *room, int K)
{
    const size_t width = (size_t)wlmi_round16(K);
    g->d_out = room;
    g->d_writes = g->d_out + B * width;
    g->wide = g->d_writes + B * width;
    g->d_scores = g->wide + B * width;
    g->d_below = g->d_scores + B * B;
    g->d_state = g->d_below + B * B;
    g->turned_state = g->d_state + K * width;
    g->dg = g->turned_state + K * width;
    g->dots = g->dg + B;
    g->more = g->dots + B;
}

static float dot(const float *restrict x, const float *restrict y, size_t n)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* dots [rows] = x . y. */
static void row_dots(float *restrict dots, const float *restrict x, const float *restrict y, int rows,
                     int width)
{
    for (int r = 0; r < rows; r++) {
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int i = 0; i < width; i++)
            sum += x[r * width + i] * y[r * width + i];
        dots[r] = sum;
    }
}

/* d_scores, dP, becomes dP . L; d_below, dN, becomes the gradient of K K^T: -b (dN . L), below the diagonal; dg [rows]
 * is what P and N give to g. */
static void through_decay(float *restrict d_scores, float *restrict d_below, float *restrict dg,
                          const float *restrict scores, const float *restrict below,
                          const float *restrict decay, const float *restrict write, int rows)
{
    const int padded = wlmi_round16(rows);
    float taken[B] = {0};
    for (int r = 0; r < rows; r++, d_scores += B, d_below += B, scores += B, below += B, decay += B) {
        const float b = -write[r];
        float given = 0;
#pragma omp simd reduction(+ : given)
        for (int j = 0; j < padded; j++) {
            const float dp = j <= r ? d_scores[j] : 0, dn = j < r ? d_below[j] : 0;
            const float term = (j < r ? dp * scores[j] : 0) + dn * below[j];
            given += term;
            taken[j] += term;
            d_scores[j] = dp * decay[j];
            d_below[j] = dn * decay[j] * b;
        }
        dg[r] = given;
    }
    for (int r = 0; r < rows; r++)
        dg[r] -= taken[r];
}

/* dv = b dR; d_write = (1 - b) dR . U. */
static void write_values(float *restrict dv, float *restrict d_write, const wlmi_delta_head *h,
                         const wlmi_delta_chunk *c, const gradients *g)
{
    const int K = h->K, width = wlmi_round16(K);
    for (int r = 0; r < c->rows; r++, dv += h->stride) {
        const float b = c->write[r];
        for (int i = 0; i < K; i++)
            dv[i] = b * g->d_writes[r * width + i];
        d_write[(size_t)r * h->gate_stride] = (1 - b) * g->dots[r];
    }
}

/* Sums dg from the chunk's last token on, and takes that to forget's gradient. */
static void write_forget(float *d_forget, const wlmi_delta_head *h, const wlmi_delta_chunk *c, const float *dg)
{
    float d_log_a = 0, rate = 0, bias = 0;
    for (int r = c->rows - 1; r >= 0; r--) {
        d_log_a += dg[r];
        d_forget[(size_t)r * h->gate_stride] = d_log_a * c->slope[r];
        bias += d_log_a * c->slope[r];
        rate += d_log_a * c->log_a[r];
    }
    h->sums[0] += rate;
    h->sums[1] += bias;
}

/* Through x^ = x part: dx = part (dx^ - scale x^ (dx^ . x^)), scale = K for queries and 1 for keys. */
static void write_units(float *restrict dx, int stride, const float *restrict d_unit,
                        const float *restrict unit, const float *restrict part, float scale, int rows, int K)
{
    const int width = wlmi_round16(K);
    for (int r = 0; r < rows; r++, dx += stride, d_unit += width, unit += width) {
        float along = 0;
#pragma omp simd reduction(+ : along)
        for (int i = 0; i < K; i++)
            along += d_unit[i] * unit[i];
        along *= scale;
        for (int i = 0; i < K; i++)
            dx[i] = part[r] * (d_unit[i] - along * unit[i]);
    }
}

/* dU, then dR, in d_writes. */
static void solve_backward(const wlmi_delta_chunk *c, gradients *g, int K)
{
    const int width = wlmi_round16(K), rows = c->rows;
    LEVEL(delta_scale_rows)(g->wide, c->keys, c->rest, 1, rows, width);
    LEVEL(block_product)(g->d_writes, width, c->scores, 1, B, g->d_out, width, rows, width, rows, 0, WLMI_A_UPPER);
    LEVEL(block_product)(g->d_writes, width, g->wide, width, 1, g->d_state, width, rows, width, K, 1, WLMI_ALL);
    LEVEL(delta_solve)(g->d_writes, c->below, rows, width, 1);
}

/* d_scores, d_below, dg from the scores. */
static void score_gradients(const wlmi_delta_chunk *c, gradients *g, int K)
{
    const int width = wlmi_round16(K), rows = c->rows, padded = wlmi_round16(rows);
    LEVEL(block_transpose)(c->turned, B, c->writes, width, rows, K);
    LEVEL(block_product)(g->d_scores, B, g->d_out, width, 1, c->turned, B, rows, padded, K, 0, WLMI_C_LOWER);
    LEVEL(block_product)(g->d_below, B, g->d_writes, width, 1, c->turned, B, rows, padded, K, 0, WLMI_C_LOWER);
    through_decay(g->d_scores, g->d_below, g->dg, c->scores, c->below, c->decay, c->write, rows);
}

/* wide = gradient of q^. */
static void query_gradient(const wlmi_delta_chunk *c, gradients *g, const float *state, int K)
{
    const int width = wlmi_round16(K), rows = c->rows;
    LEVEL(delta_scale_rows)(g->d_out, g->d_out, c->e, 1, rows, width);
    LEVEL(block_transpose)(g->turned_state, width, state, width, K, K);
    LEVEL(block_product)(g->wide, width, g->d_out, width, 1, g->turned_state, width, rows, width, K, 0, WLMI_ALL);
    row_dots(g->dots, g->wide, c->queries, rows, width);
    for (int r = 0; r < rows; r++)
        g->dg[r] += g->dots[r];
    LEVEL(block_product)(g->wide, width, g->d_scores, B, 1, c->keys, width, rows, width, rows, 1, WLMI_A_LOWER);
}

/* wide = gradient of k^; turned_state is the state before the chunk, and becomes dS turned; writes become rest U. */
static void key_gradient(const wlmi_delta_chunk *c, gradients *g, int K)
{
    const int width = wlmi_round16(K), rows = c->rows;
    LEVEL(delta_scale_rows)(g->d_writes, g->d_writes, c->e, -1, rows, width);
    LEVEL(delta_scale_rows)(g->d_writes, g->d_writes, c->write, 1, rows, width);
    LEVEL(block_product)(g->wide, width, g->d_writes, width, 1, g->turned_state, width, rows, width, K, 0, WLMI_ALL);
    row_dots(g->dots, g->wide, c->keys, rows, width);
    LEVEL(delta_scale_rows)(c->writes, c->writes, c->rest, 1, rows, width);
    LEVEL(block_transpose)(g->turned_state, width, g->d_state, width, K, K);
    LEVEL(block_product)(g->wide, width, c->writes, width, 1, g->turned_state, width, rows, width, K, 1, WLMI_ALL);
    row_dots(g->more, g->wide, c->keys, rows, width);
    for (int r = 0; r < rows; r++) {
        const float to_rest = g->more[r] - g->dots[r];
        g->dg[r] += g->dots[r] - to_rest;
        g->dg[rows - 1] += to_rest;
    }
    LEVEL(block_product)(g->wide, width, g->d_scores, 1, B, c->queries, width, rows, width, rows, 1, WLMI_A_UPPER);
    LEVEL(block_product)(g->wide, width, g->d_below, B, 1, c->keys, width, rows, width, rows, 1, WLMI_A_LOWER);
    LEVEL(block_product)(g->wide, width, g->d_below, 1, B, c->keys, width, rows, width, rows, 1, WLMI_A_UPPER);
}

/* d_state becomes that of the state before the chunk. */
static void state_gradient(const wlmi_delta_chunk *c, gradients *g, const float *state, int K)
{
    const int width = wlmi_round16(K), rows = c->rows;
    const float fade = c->e[rows - 1];
    for (int i = 0; i < K * width; i++)
        g->d_state[i] *= fade;
    g->dg[rows - 1] += dot(g->d_state, state, (size_t)K * width);
    LEVEL(block_product)(g->d_state, width, c->queries, 1, width, g->d_out, width, K, width, rows, 1, WLMI_ALL);
    LEVEL(block_product)(g->d_state, width, c->keys, 1, width, g->d_writes, width, K, width, rows, 1, WLMI_ALL);
}

static void backward_task(const wlmi_delta_head *h, float *room)
{
    const int K = h->K, width = wlmi_round16(K);
    wlmi_delta_chunk c;
    gradients g;
    place(&g, LEVEL(delta_chunk_place)(&c, room, K), K);
    memset(g.d_state, 0, (size_t)K * width * sizeof *g.d_state);
    h->sums[0] = h->sums[1] = 0;
    LEVEL(delta_fetch)(h, (h->n - 1) / B * B);
    for (int from = (h->n - 1) / B * B; from >= 0; from -= B) {
        const size_t at = (size_t)from * h->stride, gate = (size_t)from * h->gate_stride;
        const float *state = h->states + (size_t)(from / B) * h->state_step;
        LEVEL(delta_chunk_read)(&c, h, from);
        LEVEL(block_copy)(g.d_out, h->d_o + (size_t)from * h->d_stride, h->d_stride, c.rows, K, 1);
        LEVEL(delta_chunk_solve)(&c, state, K);
        LEVEL(delta_fetch)(h, from - B);
        solve_backward(&c, &g, K);
        row_dots(g.dots, g.d_writes, c.writes, c.rows, width);
        write_values(h->dv + at, h->d_write + gate, h, &c, &g);
        score_gradients(&c, &g, K);
        query_gradient(&c, &g, state, K);
        write_units(h->dq + at, h->stride, g.wide, c.queries, c.q_part, (float)K, c.rows, K);
        key_gradient(&c, &g, K);
        write_units(h->dk + at, h->stride, g.wide, c.keys, c.k_part, 1, c.rows, K);
        state_gradient(&c, &g, state, K);
        write_forget(h->d_forget + gate, h, &c, g.dg);
    }
}

void LEVEL(delta_backward)(const wlmi_delta *d, const wlmi_delta_gradient *gradient, wlmi_real *kept)
{
    LEVEL(delta_run)(backward_task, backward_room(d->K), d, gradient, kept);
}
