/* block.h: small dense blocks, the stuff that attention and linear heads are made of. Row-major floats. */
#ifndef WLMI_BLOCK_H
#define WLMI_BLOCK_H

#include "tensor/cpu/cpu.h"

enum { WLMI_BLOCK = 64 }; /* tokens per block */

/* A run of at most WLMI_BLOCK tokens [from, to) of the segment [start, end), cut from the segment's start on. */
typedef struct wlmi_block {
    int start, from, to, end;
} wlmi_block;

/* Cuts segments into blocks; *count of them. NULL on failure, which status() reports. Release with wlmi_cpu_release. */
wlmi_block *LEVEL(block_cut)(wlmi_segments segments, int *count);

static inline int wlmi_round16(int n)
{
    return (n + 15) & ~15;
}

/* Starts loading x [rows, columns] into the cache: one head's rows lie too far apart for the processor to guess. */
static inline void wlmi_block_fetch(const float *x, int row, int rows, int columns)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c += 16)
            __builtin_prefetch(x + (size_t)r * row + c);
}

/* What of a product of a causal block on the diagonal there is any need to compute: about half. */
typedef enum wlmi_part {
    WLMI_ALL,
    WLMI_C_LOWER, /* only c [i,j] with j <= i is wanted, the rest is undefined */
    WLMI_A_LOWER, /* a [i,p] is 0 for p > i */
    WLMI_A_UPPER, /* a [i,p] is 0 for p < i */
} wlmi_part;

/* c [m,n] = a b, or += with add. a [m,k]: element (i,p) at a[i * a_row + p * a_column], so that a transposed block is
 * one with its strides exchanged; b [k,n]. n must be a multiple of 16. */
void LEVEL(block_product)(float *c, int c_row, const float *a, int a_row, int a_column, const float *b, int b_row,
                          int m, int n, int k, int add, wlmi_part part);
/* to [rows, round16(columns)] = factor * from [rows, columns], the rest 0. */
void LEVEL(block_copy)(float *to, const float *from, int from_row, int rows, int columns, float factor);
/* to [columns, round16(rows)] = from [rows, columns] transposed, the rest 0. */
void LEVEL(block_transpose)(float *to, int to_row, const float *from, int from_row, int rows, int columns);

#endif
