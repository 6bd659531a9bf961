/* own_kernel.c: float matrix products where the library has to do without oneDNN.
 *
 * b stands in panels of 16 columns; a's rows are taken six at a time, so that the sums of a tile stay in registers. */
#include "tensor/cpu/cpu.h"
#include "tensor/cpu/simd.h"
#include "tensor/own_products.h"

void LEVEL(own_product)(const wlmi_own_product *product);

/* A task is CHUNK rows by GROUP panels: how tasks are cut, and so every sum, does not depend on the threads. */
enum { TILE = 6, TILES = 10, CHUNK = TILE * TILES, GROUP = 8, DEPTH = 256, PANEL = WLMI_OWN_PANEL /* = LANES */ };

/* sum [TILE] rows of PANEL = a [depth, TILE] times b [depth, PANEL]. */
INLINE void tile(lanes sum[TILE], const float *restrict a, const float *restrict b, int depth)
{
    lanes s[TILE] = {{0}};
    for (int k = 0; k < depth; k++, a += TILE, b += PANEL) {
        const lanes column = LANES_OF(b);
#pragma GCC unroll 6
        for (int r = 0; r < TILE; r++)
            s[r] += a[r] * column;
    }
    for (int r = 0; r < TILE; r++)
        sum[r] = s[r];
}

/* Rows [m, m + CHUNK) and inputs [k, k + depth) of a, [tiles, depth, TILE], 0 behind the last row. */
static void take_rows(float *restrict to, const wlmi_own_product *p, int m, int k, int depth)
{
    const size_t row = p->a_transposed ? 1 : (size_t)p->K, column = p->a_transposed ? (size_t)p->M : 1;
    for (int first = m; first < m + CHUNK && first < p->M; first += TILE, to += (size_t)depth * TILE)
        for (int r = 0; r < TILE; r++)
            for (int i = 0; i < depth; i++)
                to[i * TILE + r] = first + r < p->M ? p->a[(size_t)(first + r) * row + (size_t)(k + i) * column] : 0;
}

static int columns_of(const wlmi_own_product *p, int panel)
{
    return p->N - panel * PANEL < PANEL ? p->N - panel * PANEL : PANEL;
}

/* What stood there before, last: every sum that begins with something large would lose digits at each step. */
static void add(lanes sum[TILE], const wlmi_own_product *p, const float *from, int m, int panel)
{
    const size_t size = (size_t)columns_of(p, panel) * sizeof(float);
    for (int r = 0; r < TILE && m + r < p->M; r++) {
        lanes before = {0};
        memcpy(&before, from + (size_t)(m + r) * (size_t)p->N + (size_t)panel * PANEL, size);
        sum[r] += before;
    }
}

static void end(const lanes sum[TILE], const wlmi_own_product *p, int m, int panel)
{
    const size_t size = (size_t)columns_of(p, panel) * sizeof(float);
    for (int r = 0; r < TILE && m + r < p->M; r++)
        memcpy(p->c + (size_t)(m + r) * (size_t)p->N + (size_t)panel * PANEL, &sum[r], size);
}

static void task(const wlmi_own_product *p, int m, int first, int last)
{
    float a[CHUNK * DEPTH];
    for (int k = 0; k < p->K; k += DEPTH) {
        const int depth = p->K - k < DEPTH ? p->K - k : DEPTH;
        const float *from = k ? p->c : p->from;
        take_rows(a, p, m, k, depth);
        for (int panel = first; panel < last; panel++)
            for (int t = 0; t < TILES && m + t * TILE < p->M; t++) {
                lanes sum[TILE];
                tile(sum, a + (size_t)t * TILE * (size_t)depth,
                     p->b + ((size_t)panel * (size_t)p->K + (size_t)k) * PANEL, depth);
                if (from)
                    add(sum, p, from, m + t * TILE, panel);
                end(sum, p, m + t * TILE, panel);
            }
    }
}

void LEVEL(own_product)(const wlmi_own_product *p)
{
    const int panels = (p->N + PANEL - 1) / PANEL;
#pragma omp parallel for collapse(2) schedule(static) num_threads(p->threads)
    for (int m = 0; m < p->M; m += CHUNK)
        for (int panel = 0; panel < panels; panel += GROUP)
            task(p, m, panel, panel + GROUP < panels ? panel + GROUP : panels);
}
