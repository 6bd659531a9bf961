/* delta.h: what the forward and backward passes of gated delta heads share: one head of one segment, chunk by chunk.
 *
 * With g = cumsum(log a) inside a chunk, e = exp(g), L_ij = exp(g_i - g_j) for i >= j and else 0, all exponents <= 0,
 * and S the state before the chunk, the writes u of a chunk's tokens solve a triangular system:
 *   (I - N) U = R, N = -diag(b) (K K^T . L) below the diagonal, R = b (V - e K S),
 * and then O = e Q S + P U with P = (Q K^T) . L, and S becomes e_last S + (exp(g_last - g) K)^T U
 * (Yang et al., 2024; the inverse of I - N is never formed). */
#ifndef WLMI_DELTA_H
#define WLMI_DELTA_H

#include "tensor/cpu/block.h"

/* Pointers at the head's first value of the segment's first token. */
typedef struct wlmi_delta_head {
    const float *q, *k, *v, *forget, *write;
    float *o;
    const float *d_o;
    float *dq, *dk, *dv, *d_forget, *d_write;
    float *states;     /* S [K, width] before each chunk, state_step apart */
    float *sums;       /* gradients of log_rate and bias */
    size_t state_step;
    float rate, bias;  /* rate = exp(log_rate) */
    int stride, gate_stride, o_stride, d_stride, K, n;
} wlmi_delta_head;

/* One chunk's room. Rows of keys and the like have width = round16(K) values, zeros from K on; squares have rows of
 * WLMI_BLOCK values. */
typedef struct wlmi_delta_chunk {
    int rows;
    float *queries, *keys, *values; /* q^, k^, v [rows, width] */
    float *turned;                  /* [width, WLMI_BLOCK] */
    float *writes;                  /* R, then U [rows, width] */
    float *decay, *below, *scores;  /* L, N, P [rows, WLMI_BLOCK] */
    float *g, *e, *rest, *write;    /* g, exp(g), exp(g_last - g), b [rows] */
    float *log_a, *slope;           /* log a and its derivative by `forget` [rows] */
    float *q_part, *k_part;         /* q^ = q q_part, k^ = k k_part [rows] */
} wlmi_delta_chunk;

size_t LEVEL(delta_chunk_room)(int K);
/* Lays the chunk out; returns the room behind it. */
float *LEVEL(delta_chunk_place)(wlmi_delta_chunk *c, float *room, int K);
/* Starts loading what the chunk from token `from` on reads, if there is one. */
void LEVEL(delta_fetch)(const wlmi_delta_head *h, int from);
/* Fills all of *c but writes, from the tokens from `from` on. */
void LEVEL(delta_chunk_read)(wlmi_delta_chunk *c, const wlmi_delta_head *h, int from);
/* writes = U. */
void LEVEL(delta_chunk_solve)(wlmi_delta_chunk *c, const float *state, int K);
/* x [rows, width] = (I - N)^-1 x, or (I - N^T)^-1 x with transposed. */
void LEVEL(delta_solve)(float *x, const float *below, int rows, int width, int transposed);
/* to [rows, width] = factor * part[row] * from, which may be the same. */
void LEVEL(delta_scale_rows)(float *to, const float *from, const float *part, float factor, int rows, int width);
/* Runs a task for every head of every segment; every value is written by one task: any schedule gives the same bits. */
void LEVEL(delta_run)(void (*task)(const wlmi_delta_head *, float *), size_t room, const wlmi_delta *d,
                      const wlmi_delta_gradient *gradient, wlmi_real *kept);

#endif
