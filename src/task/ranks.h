/* ranks.h: the processes of a data-parallel run, and what they tell each other.
 *
 * NULL stands for a process that is alone: every call is then right, and does nothing. All ranks make the same calls
 * in the same order; what fails on one rank alone, the next wlmi_ranks_agree tells the others. */
#ifndef WLMI_RANKS_H
#define WLMI_RANKS_H

#include "base/status.h"

typedef struct wlmi_ranks wlmi_ranks;

typedef enum wlmi_reduce { WLMI_REDUCE_F32, WLMI_REDUCE_BF16 } wlmi_reduce; /* how gradients travel */
/* "f32", "bf16"; NULL: f32. 0 where there is none of that name. */
int wlmi_reduce_find(const char *name, wlmi_reduce *reduce);

/* All processes that MPI started together. WLM_ERR_UNSUPPORTED in a build without MPI. */
wlm_status wlmi_ranks_open(wlmi_ranks **ranks, wlmi_reduce reduce, wlm_error *error);
void wlmi_ranks_close(wlmi_ranks *ranks);
int wlmi_ranks_rank(const wlmi_ranks *ranks);  /* from 0 */
int wlmi_ranks_count(const wlmi_ranks *ranks); /* at least 1 */

/* Where some rank comes with a failure, all return it: that of the lowest such rank, its number before the cause. */
wlm_status wlmi_ranks_agree(wlmi_ranks *ranks, wlm_status status, wlm_error *error);
/* x [n] becomes the sum over the ranks, added in their order: the same bits on all. n is at most 8. */
wlm_status wlmi_ranks_sum(wlmi_ranks *ranks, double *x, int n, wlm_error *error);
/* x [n] becomes rank 0's. */
wlm_status wlmi_ranks_follow(wlmi_ranks *ranks, double *x, int n, wlm_error *error);
/* WLM_ERR_ARGUMENT where the bytes are not the same on all ranks: "the ranks differ in WHAT". */
wlm_status wlmi_ranks_compare(wlmi_ranks *ranks, const void *data, size_t size, const char *what, wlm_error *error);

/* Sums x [count] over the ranks while more of it is being computed. give() begins with the values first ..
 * first + count - 1 and returns at once; nobody touches them until collect(), by which each value was given once. */
wlm_status wlmi_ranks_lend(wlmi_ranks *ranks, float *x, size_t count, wlm_error *error); /* once; borrowed */
void wlmi_ranks_give(wlmi_ranks *ranks, size_t first, size_t count);
wlm_status wlmi_ranks_collect(wlmi_ranks *ranks, wlm_error *error);

#endif
