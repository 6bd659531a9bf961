/* block.c: small dense blocks. */
#include "tensor/cpu/block.h"

#include "tensor/cpu/ops.h"
#include "tensor/cpu/simd.h"

/* 16 floats that need not be aligned; the compiler splits them where registers are narrower. */
typedef float v16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef float v4 __attribute__((vector_size(16), aligned(4), may_alias));

wlmi_block *LEVEL(block_cut)(wlmi_segments segments, int *count)
{
    wlmi_block *blocks;
    size_t step;
    int n = 0;
    for (int s = 0; s < segments.count; s++)
        n += (segments.starts[s + 1] - segments.starts[s] + WLMI_BLOCK - 1) / WLMI_BLOCK;
    *count = 0;
    blocks = (wlmi_block *)(void *)wlmi_cpu_scratch(1, (size_t)n * sizeof *blocks / sizeof(float), &step);
    if (!blocks)
        return NULL;
    for (int s = 0; s < segments.count; s++) {
        const int start = segments.starts[s], end = segments.starts[s + 1];
        for (int from = start; from < end; from += WLMI_BLOCK)
            blocks[(*count)++] = (wlmi_block){start, from, end - from < WLMI_BLOCK ? end : from + WLMI_BLOCK, end};
    }
    return blocks;
}

/* One tile of `rows` x `vectors` * 16, all of it in registers. */
INLINE void tile(float *restrict c, int c_row, const float *restrict a, int a_row, int a_column,
                 const float *restrict b, int b_row, int k, int add, int rows, int vectors)
{
    v16 sum[4][2];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++)
            sum[i][j] = add ? *(const v16 *)(c + i * c_row + 16 * j) : (v16){0};
    for (int p = 0; p < k; p++) {
        for (int j = 0; j < vectors; j++) {
            const v16 bj = *(const v16 *)(b + p * b_row + 16 * j);
            for (int i = 0; i < rows; i++)
                sum[i][j] += a[i * a_row + p * a_column] * bj;
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++)
            *(v16 *)(c + i * c_row + 16 * j) = sum[i][j];
}

/* A band of `rows` rows from row i on: 32 columns at a time, then 16. */
INLINE void band(float *c, int c_row, const float *a, int a_row, int a_column, const float *b, int b_row, int i, int n,
                 int k, int add, wlmi_part part, int rows)
{
    const int columns = part == WLMI_C_LOWER && i + rows < n ? wlmi_round16(i + rows) : n;
    const int to = part == WLMI_A_LOWER && i + rows < k ? i + rows : k;
    const int from = part != WLMI_A_UPPER ? 0 : i < k ? i : k;
    int j = 0;
    c += i * c_row;
    a += i * a_row + from * a_column;
    b += from * b_row;
    for (; j + 32 <= columns; j += 32)
        tile(c + j, c_row, a, a_row, a_column, b + j, b_row, to - from, add, rows, 2);
    if (j < columns)
        tile(c + j, c_row, a, a_row, a_column, b + j, b_row, to - from, add, rows, 1);
}

void LEVEL(block_product)(float *c, int c_row, const float *a, int a_row, int a_column, const float *b, int b_row,
                          int m, int n, int k, int add, wlmi_part part)
{
    int i = 0;
    for (; i + 4 <= m; i += 4)
        band(c, c_row, a, a_row, a_column, b, b_row, i, n, k, add, part, 4);
    for (; i < m; i++)
        band(c, c_row, a, a_row, a_column, b, b_row, i, n, k, add, part, 1);
}

void LEVEL(block_copy)(float *restrict to, const float *restrict from, int from_row, int rows, int columns,
                       float factor)
{
    const int to_row = wlmi_round16(columns);
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < columns; c++)
            to[r * to_row + c] = factor * from[(size_t)r * from_row + c];
        for (int c = columns; c < to_row; c++)
            to[r * to_row + c] = 0;
    }
}

/* 4 x 4 at a time, which two rounds of two-way merges transpose in registers. */
void LEVEL(block_transpose)(float *restrict to, int to_row, const float *restrict from, int from_row, int rows,
                            int columns)
{
    const int rows4 = rows & ~3, columns4 = columns & ~3;
    for (int r = 0; r < rows4; r += 4) {
        for (int c = 0; c < columns4; c += 4) {
            const v4 a0 = *(const v4 *)(from + (size_t)(r + 0) * from_row + c);
            const v4 a1 = *(const v4 *)(from + (size_t)(r + 1) * from_row + c);
            const v4 a2 = *(const v4 *)(from + (size_t)(r + 2) * from_row + c);
            const v4 a3 = *(const v4 *)(from + (size_t)(r + 3) * from_row + c);
            const v4 b0 = __builtin_shufflevector(a0, a2, 0, 4, 1, 5), b1 = __builtin_shufflevector(a0, a2, 2, 6, 3, 7);
            const v4 b2 = __builtin_shufflevector(a1, a3, 0, 4, 1, 5), b3 = __builtin_shufflevector(a1, a3, 2, 6, 3, 7);
            *(v4 *)(to + (c + 0) * to_row + r) = __builtin_shufflevector(b0, b2, 0, 4, 1, 5);
            *(v4 *)(to + (c + 1) * to_row + r) = __builtin_shufflevector(b0, b2, 2, 6, 3, 7);
            *(v4 *)(to + (c + 2) * to_row + r) = __builtin_shufflevector(b1, b3, 0, 4, 1, 5);
            *(v4 *)(to + (c + 3) * to_row + r) = __builtin_shufflevector(b1, b3, 2, 6, 3, 7);
        }
        for (int c = columns4; c < columns; c++)
            for (int i = r; i < r + 4; i++)
                to[c * to_row + i] = from[(size_t)i * from_row + c];
    }
    for (int c = 0; c < columns; c++) {
        for (int r = rows4; r < rows; r++)
            to[c * to_row + r] = from[(size_t)r * from_row + c];
        for (int r = rows; r < wlmi_round16(rows); r++)
            to[c * to_row + r] = 0;
    }
}
