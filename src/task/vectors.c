/* vectors.c: means and deviations of columns. */
#include "task/vectors.h"

#include <math.h>

#include "base/alloc.h"

wlm_status wlmi_standard_fit(wlmi_standard *s, const float *x, size_t n, int width, wlm_error *error)
{
    s->width = width;
    s->mean = wlmi_alloc_zero((size_t)width, sizeof *s->mean);
    s->scale = wlmi_alloc_zero((size_t)width, sizeof *s->scale);
    if (!s->mean || !s->scale)
        return WLMI_NO_MEMORY(error);
    for (int d = 0; d < width && n; d++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++)
            sum += x[i * (size_t)width + (size_t)d];
        sum /= (double)n;
        for (size_t i = 0; i < n; i++) {
            double off = x[i * (size_t)width + (size_t)d] - sum;
            squares += off * off;
        }
        s->mean[d] = (float)sum;
        s->scale[d] = squares > 1e-12 * (double)n ? (float)(1 / sqrt(squares / (double)n)) : 0;
    }
    return WLM_OK;
}

void wlmi_standard_apply(const wlmi_standard *s, const float *x, float *out)
{
    for (int d = 0; d < s->width; d++)
        out[d] = (x[d] - s->mean[d]) * s->scale[d];
}

void wlmi_standard_free(wlmi_standard *s)
{
    wlmi_free(s->mean);
    wlmi_free(s->scale);
}
