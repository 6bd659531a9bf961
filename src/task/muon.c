/* muon.c: Muon's update of one matrix, in the backend's operations. */
#include "task/muon.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

static const double keep = 0.95, linear = 3.4445, cubic = -4.7750, quintic = 2.0315, size_of_adamw = 0.2;
enum { ITERATIONS = 5 };

wlm_status wlmi_muon_init(wlmi_muon *m, const wlmi_backend *backend, size_t largest, size_t side, wlm_error *error)
{
    m->backend = backend;
    m->x = wlmi_alloc_aligned(largest * backend->real_size);
    m->y = wlmi_alloc_aligned(largest * backend->real_size);
    m->a = wlmi_alloc_aligned(side * side * backend->real_size);
    m->b = wlmi_alloc_aligned(side * side * backend->real_size);
    if (m->x && m->y && m->a && m->b)
        return WLM_OK;
    wlmi_muon_clear(m);
    return WLMI_NO_MEMORY(error);
}

void wlmi_muon_clear(wlmi_muon *m)
{
    wlmi_free(m->x);
    wlmi_free(m->y);
    wlmi_free(m->a);
    wlmi_free(m->b);
    memset(m, 0, sizeof *m);
}

/* y [n] = factor * x */
static void scaled_copy(const wlmi_backend *b, wlmi_real *y, const wlmi_real *x, double factor, size_t n)
{
    b->zero(y, n);
    b->add(y, x, n);
    b->scale(y, factor, n);
}

/* muon->x [rows, cols] after one iteration. */
static void iterate(wlmi_muon *m, int rows, int cols)
{
    const wlmi_backend *b = m->backend;
    int wide = rows <= cols, side = wide ? rows : cols;
    size_t square = (size_t)side * (size_t)side, n = (size_t)rows * (size_t)cols;
    wlmi_real *next = m->y;
    b->product(m->a, m->x, !wide, m->x, wide, side, side, wide ? cols : rows, 0);
    b->product(m->b, m->a, 0, m->a, 0, side, side, side, 0);
    b->scale(m->a, cubic, square);
    b->scale(m->b, quintic, square);
    b->add(m->a, m->b, square);
    scaled_copy(b, next, m->x, linear, n);
    if (wide)
        b->product(next, m->a, 0, m->x, 0, rows, cols, side, 1);
    else
        b->product(next, m->x, 0, m->a, 0, rows, cols, side, 1);
    m->y = m->x;
    m->x = next;
}

void wlmi_muon_update(wlmi_muon *m, wlmi_real *value, wlmi_real *momentum, wlmi_real *grad, int rows, int cols,
                      double scale, double rate, double decay)
{
    const wlmi_backend *b = m->backend;
    size_t n = (size_t)rows * (size_t)cols;
    double norm;
    b->scale(grad, scale, n);
    b->scale(momentum, keep, n);
    b->add(momentum, grad, n);
    scaled_copy(b, m->x, momentum, keep, n);
    b->add(m->x, grad, n);
    norm = sqrt(b->sum_squares(m->x, n));
    b->scale(value, 1 - rate * decay, n);
    if (!(norm > 0))
        return;
    b->scale(m->x, 1 / norm, n);
    for (int i = 0; i < ITERATIONS; i++)
        iterate(m, rows, cols);
    b->scale(m->x, -rate * size_of_adamw * sqrt(rows > cols ? rows : cols), n);
    b->add(value, m->x, n);
}
