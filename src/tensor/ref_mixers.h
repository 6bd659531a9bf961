/* ref_mixers.h: the scalar ops that mix tokens of a segment: rotary positions and the kinds of heads. See ref_table.h.
 * Linear heads are the plain recurrence here, never chunked. */
static void rotary(wlmi_real *x_, wlmi_segments segments, int stride, int heads, int K, int sign)
{
    REAL *x = (REAL *)x_;
    for (int s = 0; s < segments.count; s++) {
        for (int t = segments.starts[s]; t < segments.starts[s + 1]; t++) {
            uint64_t position = (uint64_t)(t - segments.starts[s]);
            for (int h = 0; h < heads; h++) {
                for (int i = 0; i < K / 2; i++) {
                    REAL *a = x + (size_t)t * stride + h * K + i, *b = a + K / 2;
                    double angle = sign * wlmi_turn_radians(position * wlmi_turn_speed(i, K));
                    REAL c = (REAL)cos(angle), z = (REAL)sin(angle), u = *a, w = *b;
                    *a = u * c - w * z;
                    *b = u * z + w * c;
                }
            }
        }
    }
}

static void rotary_angles(wlmi_real *angles_, const uint64_t *position, int T, int K)
{
    REAL *angles = (REAL *)angles_;
    for (int t = 0; t < T; t++, angles += K) {
        for (int i = 0; i < K / 2; i++) {
            double angle = wlmi_turn_radians(position[t] * wlmi_turn_speed(i, K));
            angles[i] = (REAL)cos(angle);
            angles[K / 2 + i] = (REAL)sin(angle);
        }
    }
}

static void rotary_turn(wlmi_real *x_, const wlmi_real *angles_, int T, int stride, int heads, int K)
{
    const REAL *angles = (const REAL *)angles_;
    for (int t = 0; t < T; t++, angles += K) {
        for (int h = 0; h < heads; h++) {
            for (int i = 0; i < K / 2; i++) {
                REAL *a = (REAL *)x_ + (size_t)t * stride + h * K + i, *b = a + K / 2, u = *a, w = *b;
                *a = u * angles[i] - w * angles[K / 2 + i];
                *b = u * angles[K / 2 + i] + w * angles[i];
            }
        }
    }
}

static REAL dot(const REAL *a, const REAL *b, int n)
{
    REAL s = 0;
    for (int i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

/* First token of the segment that token t sees. */
static int window_start(int segment_start, int t, int window)
{
    return t - segment_start < window ? segment_start : t - window + 1;
}

static void attention_forward(wlmi_real *o_, int o_stride, wlmi_real *lse_, const wlmi_real *q_, const wlmi_real *k_,
                              const wlmi_real *v_, int stride, wlmi_segments segments, int heads, int K, int window)
{
    REAL *o = (REAL *)o_, *lse = (REAL *)lse_;
    const REAL *q = (const REAL *)q_, *k = (const REAL *)k_, *v = (const REAL *)v_;
    const REAL factor = 1 / sqrt((REAL)K);
    for (int s = 0; s < segments.count; s++) {
        for (int t = segments.starts[s]; t < segments.starts[s + 1]; t++) {
            int from = window_start(segments.starts[s], t, window);
            for (int h = 0; h < heads; h++) {
                const REAL *qt = q + (size_t)t * stride + h * K;
                REAL *ot = o + (size_t)t * o_stride + h * K, top = 0, total = 0;
                for (int u = from; u <= t; u++) {
                    REAL score = factor * dot(qt, k + (size_t)u * stride + h * K, K);
                    top = u == from || score > top ? score : top;
                }
                for (int u = from; u <= t; u++)
                    total += exp(factor * dot(qt, k + (size_t)u * stride + h * K, K) - top);
                lse[(size_t)t * heads + h] = top + log(total);
                for (int i = 0; i < K; i++)
                    ot[i] = 0;
                for (int u = from; u <= t; u++) {
                    REAL p = exp(factor * dot(qt, k + (size_t)u * stride + h * K, K) - top) / total;
                    for (int i = 0; i < K; i++)
                        ot[i] += p * v[(size_t)u * stride + h * K + i];
                }
            }
        }
    }
}

/* p = exp(score - lse); dp = d_o . v; dscore = p * (dp - d_o . o), as the rows of p sum to 1. */
static void attention_backward(wlmi_real *dq_, wlmi_real *dk_, wlmi_real *dv_, const wlmi_real *d_o_,
                               const wlmi_real *o_, int o_stride, const wlmi_real *lse_, const wlmi_real *q_,
                               const wlmi_real *k_, const wlmi_real *v_, int stride, wlmi_segments segments, int heads,
                               int K, int window)
{
    REAL *dq = (REAL *)dq_, *dk = (REAL *)dk_, *dv = (REAL *)dv_;
    const REAL *d_o = (const REAL *)d_o_, *o = (const REAL *)o_, *lse = (const REAL *)lse_;
    const REAL *q = (const REAL *)q_, *k = (const REAL *)k_, *v = (const REAL *)v_;
    const REAL factor = 1 / sqrt((REAL)K);
    for (int t = 0; t < segments.starts[segments.count]; t++)
        for (int i = 0; i < heads * K; i++)
            dq[(size_t)t * stride + i] = dk[(size_t)t * stride + i] = dv[(size_t)t * stride + i] = 0;
    for (int s = 0; s < segments.count; s++) {
        for (int t = segments.starts[s]; t < segments.starts[s + 1]; t++) {
            for (int h = 0; h < heads; h++) {
                size_t qi = (size_t)t * stride + h * K, oi = (size_t)t * o_stride + h * K;
                REAL delta = dot(d_o + oi, o + oi, K);
                for (int u = window_start(segments.starts[s], t, window); u <= t; u++) {
                    size_t ki = (size_t)u * stride + h * K;
                    REAL p = exp(factor * dot(q + qi, k + ki, K) - lse[(size_t)t * heads + h]);
                    REAL dscore = p * (dot(d_o + oi, v + ki, K) - delta);
                    for (int i = 0; i < K; i++) {
                        dq[qi + i] += factor * dscore * k[ki + i];
                        dk[ki + i] += factor * dscore * q[qi + i];
                        dv[ki + i] += p * d_o[oi + i];
                    }
                }
            }
        }
    }
}

/* Where the value of head h at stream position p stands, or the key with value 0. */
static REAL *in_ring(const wlmi_ring *ring, uint64_t p, int value, int h, int heads, int K)
{
    return (REAL *)ring->slot + ((2 * (size_t)(p % (uint64_t)ring->slots) + (size_t)value) * heads + h) * K;
}

static void attention_step(wlmi_real *o_, int o_stride, const wlmi_real *q_, const wlmi_real *k_, const wlmi_real *v_,
                           int stride, wlmi_segments rows, const wlmi_ring *ring, int heads, int K, int window,
                           int keep)
{
    REAL *o = (REAL *)o_;
    const REAL *q = (const REAL *)q_, *k = (const REAL *)k_, *v = (const REAL *)v_;
    const REAL factor = 1 / sqrt((REAL)K);
    for (int s = 0; s < rows.count; s++, ring++) {
        const int start = rows.starts[s], n = rows.starts[s + 1] - start;
        for (int t = 0; t < n; t++) {
            const uint64_t now = ring->held + (uint64_t)t, far = (uint64_t)window - 1, from = now < far ? 0 : now - far;
            for (int h = 0; h < heads; h++) {
                const REAL *qt = q + (size_t)(start + t) * stride + h * K;
                REAL *ot = o + (size_t)(start + t) * o_stride + h * K, top = 0, total = 0;
                for (int pass = 0; pass < 2; pass++) {
                    for (uint64_t p = from; p <= now; p++) {
                        size_t at = p < ring->held ? 0 : (size_t)(start + (int)(p - ring->held)) * stride + h * K;
                        const REAL *key = p < ring->held ? in_ring(ring, p, 0, h, heads, K) : k + at;
                        const REAL *value = p < ring->held ? in_ring(ring, p, 1, h, heads, K) : v + at;
                        REAL score = factor * dot(qt, key, K);
                        if (pass == 0) {
                            top = p == from || score > top ? score : top;
                            continue;
                        }
                        total += exp(score - top);
                        for (int i = 0; i < K; i++)
                            ot[i] = (p == from ? 0 : ot[i]) + exp(score - top) * value[i];
                    }
                }
                for (int i = 0; i < K; i++)
                    ot[i] /= total;
            }
        }
        for (int t = n < ring->slots ? 0 : n - ring->slots; keep && t < n; t++) {
            const size_t at = (size_t)(start + t) * stride;
            memcpy(in_ring(ring, ring->held + (uint64_t)t, 0, 0, heads, K), k + at, (size_t)(heads * K) * sizeof *k);
            memcpy(in_ring(ring, ring->held + (uint64_t)t, 1, 0, heads, K), v + at, (size_t)(heads * K) * sizeof *v);
        }
    }
}

static const REAL linear_cap = 8, linear_floor = (REAL)1e-3;

/* phi(q)_i = exp(q_i - query_shift(q)): the softmax, scaled by K^-1/2. */
static REAL query_shift(const REAL *q, int K)
{
    return log_sum_exp(q, 0, K) + log((REAL)K) / 2;
}

static REAL map_key(REAL k)
{
    return exp(linear_cap * tanh(k / linear_cap));
}

/* One token of one head: s [K,K] and z [K] take it in, o [K] (NULL: not wanted) is read out.
 * Returns phi(q) . z before the floor. */
static REAL linear_token(REAL *o, REAL *s, REAL *z, const REAL *q, const REAL *k, const REAL *v, int K)
{
    REAL shift = query_shift(q, K), norm = 0, floored;
    for (int i = 0; i < K; i++) {
        REAL f = map_key(k[i]);
        z[i] += f;
        for (int j = 0; j < K; j++)
            s[i * K + j] += f * v[j];
    }
    for (int i = 0; i < K; i++)
        norm += exp(q[i] - shift) * z[i];
    floored = norm > linear_floor ? norm : linear_floor;
    for (int j = 0; o && j < K; j++) {
        REAL total = 0;
        for (int i = 0; i < K; i++)
            total += exp(q[i] - shift) * s[i * K + j];
        o[j] = total / floored;
    }
    return norm;
}

/* state: norm [T,heads] is kept for backward; s [K,K] and z [K] are working room. */
static size_t linear_state_size(int T, int segments, int heads, int K)
{
    (void)segments;
    return (size_t)T * heads + (size_t)K * K + (size_t)K;
}

static void linear_forward(wlmi_real *o_, int o_stride, wlmi_real *state_, const wlmi_real *q_, const wlmi_real *k_,
                           const wlmi_real *v_, int stride, wlmi_segments segments, int heads, int K)
{
    REAL *o = (REAL *)o_, *norm = (REAL *)state_;
    const REAL *q = (const REAL *)q_, *k = (const REAL *)k_, *v = (const REAL *)v_;
    REAL *s = norm + (size_t)segments.starts[segments.count] * heads, *z = s + K * K;
    for (int segment = 0; segment < segments.count; segment++) {
        for (int h = 0; h < heads; h++) {
            memset(s, 0, (size_t)K * (K + 1) * sizeof *s);
            for (int t = segments.starts[segment]; t < segments.starts[segment + 1]; t++) {
                size_t at = (size_t)t * stride + h * K;
                norm[(size_t)t * heads + h] =
                    linear_token(o + (size_t)t * o_stride + h * K, s, z, q + at, k + at, v + at, K);
            }
        }
    }
}

/* With n = phi(q) S, c = phi(q) z and o = n / max(c, floor): dn = d_o / max(c, floor), and
 * dc = -(d_o . o) / c, or 0 where c is at the floor. Then phi(q) gets S dn + z dc while S and z are built up again;
 * from the last token back, dS += phi(q)^T dn and dz += phi(q) dc, and phi(k) gets dS v + dz, v gets dS^T phi(k). */
static void linear_backward(wlmi_real *dq_, wlmi_real *dk_, wlmi_real *dv_, const wlmi_real *d_o_, const wlmi_real *o_,
                            int o_stride, wlmi_real *state_, const wlmi_real *q_, const wlmi_real *k_,
                            const wlmi_real *v_, int stride, wlmi_segments segments, int heads, int K)
{
    REAL *dq = (REAL *)dq_, *dk = (REAL *)dk_, *dv = (REAL *)dv_, *norm = (REAL *)state_;
    const REAL *d_o = (const REAL *)d_o_, *o = (const REAL *)o_;
    const REAL *q = (const REAL *)q_, *k = (const REAL *)k_, *v = (const REAL *)v_;
    REAL *s = norm + (size_t)segments.starts[segments.count] * heads, *z = s + K * K;
    for (int segment = 0; segment < segments.count; segment++) {
        for (int h = 0; h < heads; h++) {
            memset(s, 0, (size_t)K * (K + 1) * sizeof *s);
            for (int t = segments.starts[segment]; t < segments.starts[segment + 1]; t++) {
                size_t at = (size_t)t * stride + h * K, oi = (size_t)t * o_stride + h * K;
                REAL c = norm[(size_t)t * heads + h], floored = c > linear_floor ? c : linear_floor, mean = 0;
                REAL dc = c > linear_floor ? -dot(d_o + oi, o + oi, K) / c : 0;
                REAL shift = query_shift(q + at, K);
                linear_token(NULL, s, z, q + at, k + at, v + at, K);
                for (int i = 0; i < K; i++) {
                    dq[at + i] = dot(s + i * K, d_o + oi, K) / floored + z[i] * dc;
                    mean += dq[at + i] * exp(q[at + i] - shift) * sqrt((REAL)K);
                }
                for (int i = 0; i < K; i++)
                    dq[at + i] = exp(q[at + i] - shift) * (dq[at + i] - mean);
            }
            memset(s, 0, (size_t)K * (K + 1) * sizeof *s);
            for (int t = segments.starts[segment + 1] - 1; t >= segments.starts[segment]; t--) {
                size_t at = (size_t)t * stride + h * K, oi = (size_t)t * o_stride + h * K;
                REAL c = norm[(size_t)t * heads + h], floored = c > linear_floor ? c : linear_floor;
                REAL dc = c > linear_floor ? -dot(d_o + oi, o + oi, K) / c : 0;
                REAL shift = query_shift(q + at, K);
                for (int i = 0; i < K; i++) {
                    REAL f = exp(q[at + i] - shift);
                    z[i] += f * dc;
                    for (int j = 0; j < K; j++)
                        s[i * K + j] += f * d_o[oi + j] / floored;
                }
                for (int j = 0; j < K; j++) {
                    dv[at + j] = 0;
                    for (int i = 0; i < K; i++)
                        dv[at + j] += s[i * K + j] * map_key(k[at + i]);
                }
                for (int i = 0; i < K; i++) {
                    REAL bend = tanh(k[at + i] / linear_cap);
                    dk[at + i] = (dot(s + i * K, v + at, K) + z[i]) * map_key(k[at + i]) * (1 - bend * bend);
                }
            }
        }
    }
}

/* Column j of S and z of one head of one stream take in n tokens; o gets its j-th value. */
static void linear_column(REAL *o, int o_stride, REAL *column, REAL *z, const REAL *q, const REAL *k, const REAL *v,
                          int stride, int n, int K)
{
    for (int t = 0; t < n; t++, o += o_stride, q += stride, k += stride, v += stride) {
        REAL shift = query_shift(q, K), norm = 0, total = 0;
        for (int i = 0; i < K; i++) {
            z[i] += map_key(k[i]);
            column[i] += map_key(k[i]) * *v;
            norm += exp(q[i] - shift) * z[i];
            total += exp(q[i] - shift) * column[i];
        }
        *o = total / (norm > linear_floor ? norm : linear_floor);
    }
}

static void linear_step(wlmi_real *o_, int o_stride, const wlmi_real *q_, const wlmi_real *k_, const wlmi_real *v_,
                        int stride, wlmi_segments rows, wlmi_real *const *state, int heads, int K, int keep)
{
    REAL column[WLMI_MAX_HEAD_WIDTH], z[WLMI_MAX_HEAD_WIDTH];
    for (int b = 0; b < rows.count; b++) {
        const int start = rows.starts[b], n = rows.starts[b + 1] - start;
        for (int h = 0; h < heads; h++) {
            REAL *s = (REAL *)state[b] + (size_t)h * K * K, *z_kept = (REAL *)state[b] + (size_t)(heads * K + h) * K;
            const size_t at = (size_t)start * stride + h * K;
            for (int j = 0; j < K; j++) {
                for (int i = 0; i < K; i++)
                    column[i] = s[i * K + j];
                memcpy(z, z_kept, (size_t)K * sizeof *z);
                linear_column((REAL *)o_ + (size_t)start * o_stride + h * K + j, o_stride, column, z,
                              (const REAL *)q_ + at, (const REAL *)k_ + at, (const REAL *)v_ + at + j, stride, n, K);
                for (int i = 0; keep && i < K; i++)
                    s[i * K + j] = column[i];
            }
            if (keep)
                memcpy(z_kept, z, (size_t)K * sizeof *z);
        }
    }
}
