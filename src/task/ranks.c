/* ranks.c: what the processes of a data-parallel run tell each other. */
#include "task/ranks.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bf16.h"
#include "base/digest.h"
#include "task/mpi_world.h"

enum { MOST_NUMBERS = 8, DIGEST = 65 };

struct wlmi_ranks {
    wlmi_world *world;
    wlmi_reduce reduce;
    wlm_error *errors;   /* [ranks] */
    double *numbers;     /* [ranks][MOST_NUMBERS] */
    char *digests;       /* [ranks][DIGEST] */
    float *lent;         /* [lent_count] the gradient */
    size_t lent_count;
    uint16_t *half;      /* [lent_count] the gradient as it travels in bf16 */
};

int wlmi_reduce_find(const char *name, wlmi_reduce *reduce)
{
    *reduce = name && !strcmp(name, "bf16") ? WLMI_REDUCE_BF16 : WLMI_REDUCE_F32;
    return !name || !strcmp(name, "f32") || !strcmp(name, "bf16");
}

wlm_status wlmi_ranks_open(wlmi_ranks **out, wlmi_reduce reduce, wlm_error *error)
{
    wlmi_world *world;
    wlmi_ranks *r;
    size_t n;
    *out = NULL;
    WLMI_TRY(wlmi_world_open(&world, error));
    r = wlmi_alloc_zero(1, sizeof *r);
    if (!r) {
        wlmi_world_close(world);
        return WLMI_NO_MEMORY(error);
    }
    n = (size_t)wlmi_world_size(world);
    r->world = world;
    r->reduce = reduce;
    r->errors = wlmi_alloc_zero(n, sizeof *r->errors);
    r->numbers = wlmi_alloc_zero(n, MOST_NUMBERS * sizeof *r->numbers);
    r->digests = wlmi_alloc_zero(n, DIGEST);
    if (!r->errors || !r->numbers || !r->digests) {
        wlmi_ranks_close(r);
        return WLMI_NO_MEMORY(error);
    }
    *out = r;
    return WLM_OK;
}

void wlmi_ranks_close(wlmi_ranks *r)
{
    if (!r)
        return;
    wlmi_world_close(r->world);
    wlmi_free(r->errors);
    wlmi_free(r->numbers);
    wlmi_free(r->digests);
    wlmi_free(r->half);
    wlmi_free(r);
}

int wlmi_ranks_rank(const wlmi_ranks *r)
{
    return r ? wlmi_world_rank(r->world) : 0;
}

int wlmi_ranks_count(const wlmi_ranks *r)
{
    return r ? wlmi_world_size(r->world) : 1;
}

wlm_status wlmi_ranks_agree(wlmi_ranks *r, wlm_status status, wlm_error *error)
{
    wlm_error own;
    if (!r)
        return status;
    memset(&own, 0, sizeof own);
    if (status != WLM_OK && error)
        own = *error;
    own.status = status;
    WLMI_TRY(wlmi_world_gather(r->world, &own, r->errors, sizeof own, error));
    for (int i = 0; i < wlmi_ranks_count(r); i++) {
        const wlm_error *e = &r->errors[i];
        if (e->status != WLM_OK && wlmi_ranks_count(r) == 1)
            return status;
        if (e->status != WLM_OK)
            return wlmi_fail(error, e->status, e->file, e->offset, "rank %d: %.480s", i, e->cause);
    }
    return WLM_OK;
}

static wlm_status gather_numbers(wlmi_ranks *r, const double *x, int n, wlm_error *error)
{
    double own[MOST_NUMBERS] = {0};
    memcpy(own, x, (size_t)n * sizeof *x);
    return wlmi_world_gather(r->world, own, r->numbers, sizeof own, error);
}

wlm_status wlmi_ranks_sum(wlmi_ranks *r, double *x, int n, wlm_error *error)
{
    if (!r)
        return WLM_OK;
    WLMI_TRY(gather_numbers(r, x, n, error));
    for (int j = 0; j < n; j++) {
        x[j] = 0;
        for (int i = 0; i < wlmi_ranks_count(r); i++)
            x[j] += r->numbers[i * MOST_NUMBERS + j];
    }
    return WLM_OK;
}

wlm_status wlmi_ranks_follow(wlmi_ranks *r, double *x, int n, wlm_error *error)
{
    if (!r)
        return WLM_OK;
    WLMI_TRY(gather_numbers(r, x, n, error));
    memcpy(x, r->numbers, (size_t)n * sizeof *x);
    return WLM_OK;
}

wlm_status wlmi_ranks_compare(wlmi_ranks *r, const void *data, size_t size, const char *what, wlm_error *error)
{
    char own[DIGEST];
    if (!r)
        return WLM_OK;
    wlmi_sha256_of(data, size, own);
    WLMI_TRY(wlmi_world_gather(r->world, own, r->digests, sizeof own, error));
    for (int i = 1; i < wlmi_ranks_count(r); i++)
        if (memcmp(r->digests, r->digests + (size_t)i * DIGEST, DIGEST) != 0)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "the ranks differ in %s: 0 and %d", what, i);
    return WLM_OK;
}

/* ---------------------------------------------------------------- gradients */

wlm_status wlmi_ranks_lend(wlmi_ranks *r, float *x, size_t count, wlm_error *error)
{
    if (!r)
        return WLM_OK;
    r->lent = x;
    r->lent_count = count;
    if (r->reduce == WLMI_REDUCE_BF16)
        r->half = wlmi_alloc_array(count, sizeof *r->half);
    return r->half || r->reduce == WLMI_REDUCE_F32 ? WLM_OK : WLMI_NO_MEMORY(error);
}

void wlmi_ranks_give(wlmi_ranks *r, size_t first, size_t count)
{
    if (!r)
        return;
    if (r->reduce == WLMI_REDUCE_F32) {
        wlmi_world_sum_f32(r->world, r->lent + first, count);
        return;
    }
    for (size_t i = first; i < first + count; i++)
        r->half[i] = wlmi_to_bf16(r->lent[i]);
    wlmi_world_sum_bf16(r->world, r->half + first, count);
}

wlm_status wlmi_ranks_collect(wlmi_ranks *r, wlm_error *error)
{
    if (!r)
        return WLM_OK;
    WLMI_TRY(wlmi_world_wait(r->world, error));
    for (size_t i = 0; r->half && i < r->lent_count; i++)
        r->lent[i] = wlmi_from_bf16(r->half[i]);
    return WLM_OK;
}
