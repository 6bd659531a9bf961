/* ref_delta.h: the scalar ops of gated delta heads: convolution, the recurrence token by token, gated norm.
 * See ref_table.h. */
enum { TAPS = 4 };

static const REAL unit_floor = (REAL)1e-6;

static REAL silu(REAL x)
{
    return x * sigmoid(x);
}

static REAL silu_slope(REAL x)
{
    return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
}

/* The sum before SiLU, of column c at token t of a segment that starts at token `start`. */
static REAL conv_sum(const REAL *x, int stride, const REAL *w, int start, int t, int c)
{
    REAL total = 0;
    for (int j = 0; j < TAPS; j++) {
        int from = t - (TAPS - 1) + j;
        if (from >= start)
            total += w[c * TAPS + j] * x[(size_t)from * stride + c];
    }
    return total;
}

static void conv_forward(wlmi_real *y_, int y_stride, const wlmi_real *x_, int x_stride, const wlmi_real *w_,
                         wlmi_segments segments, int C)
{
    REAL *y = (REAL *)y_;
    const REAL *x = (const REAL *)x_, *w = (const REAL *)w_;
    for (int s = 0; s < segments.count; s++)
        for (int t = segments.starts[s]; t < segments.starts[s + 1]; t++)
            for (int c = 0; c < C; c++)
                y[(size_t)t * y_stride + c] = silu(conv_sum(x, x_stride, w, segments.starts[s], t, c));
}

static void conv_backward(wlmi_real *dx_, wlmi_real *dw_, const wlmi_real *dy_, int y_stride, const wlmi_real *x_,
                          int x_stride, const wlmi_real *w_, wlmi_segments segments, int C)
{
    REAL *dx = (REAL *)dx_, *dw = (REAL *)dw_;
    const REAL *dy = (const REAL *)dy_, *x = (const REAL *)x_, *w = (const REAL *)w_;
    for (int t = 0; t < segments.starts[segments.count]; t++)
        for (int c = 0; c < C; c++)
            dx[(size_t)t * x_stride + c] = 0;
    for (int s = 0; s < segments.count; s++) {
        for (int t = segments.starts[s]; t < segments.starts[s + 1]; t++) {
            for (int c = 0; c < C; c++) {
                REAL sum = conv_sum(x, x_stride, w, segments.starts[s], t, c);
                REAL d = dy[(size_t)t * y_stride + c] * silu_slope(sum);
                for (int j = 0; j < TAPS; j++) {
                    int from = t - (TAPS - 1) + j;
                    if (from < segments.starts[s])
                        continue;
                    dx[(size_t)from * x_stride + c] += d * w[c * TAPS + j];
                    dw[c * TAPS + j] += d * x[(size_t)from * x_stride + c];
                }
            }
        }
    }
}

static void conv_step(wlmi_real *x_, int x_stride, wlmi_segments rows, wlmi_real *const *state, size_t at,
                      const wlmi_real *w_, int C, int keep)
{
    const REAL *w = (const REAL *)w_;
    for (int b = 0; b < rows.count; b++) {
        for (int c = 0; c < C; c++) {
            REAL *kept = (REAL *)state[b] + at, last[TAPS - 1];
            for (int j = 0; j < TAPS - 1; j++)
                last[j] = kept[j * C + c];
            for (int t = rows.starts[b]; t < rows.starts[b + 1]; t++) {
                REAL *x = (REAL *)x_ + (size_t)t * x_stride + c, total = w[c * TAPS + TAPS - 1] * *x;
                for (int j = 0; j < TAPS - 1; j++) {
                    total += w[c * TAPS + j] * last[j];
                    last[j] = j < TAPS - 2 ? last[j + 1] : *x;
                }
                *x = silu(total);
            }
            for (int j = 0; keep && j < TAPS - 1; j++)
                kept[j * C + c] = last[j];
        }
    }
}

/* One token of one head, as the recurrence sees it. */
typedef struct delta_token {
    const REAL *q, *k, *v;
    REAL q_part, k_part; /* q^ = q * q_part, k^ = k * k_part */
    REAL a, log_a, b;
    REAL slope;          /* d log_a / d forget */
} delta_token;

static delta_token delta_read(const wlmi_delta *d, int t, int h)
{
    const size_t at = (size_t)t * d->stride + h * d->K, gate = (size_t)t * d->gate_stride + h;
    const REAL rate = exp(((const REAL *)d->log_rate)[h]);
    const REAL z = ((const REAL *)d->forget)[gate] + ((const REAL *)d->bias)[h];
    delta_token x = {.q = (const REAL *)d->q + at, .k = (const REAL *)d->k + at, .v = (const REAL *)d->v + at};
    x.q_part = 1 / sqrt((dot(x.q, x.q, d->K) + unit_floor) * (REAL)d->K);
    x.k_part = 1 / sqrt(dot(x.k, x.k, d->K) + unit_floor);
    x.log_a = -rate * (z > 0 ? z + log1p(exp(-z)) : log1p(exp(z)));
    x.a = exp(x.log_a);
    x.b = sigmoid(((const REAL *)d->write)[gate]);
    x.slope = -rate * sigmoid(z);
    return x;
}

/* s [K,K] takes the token in, u [K] = b (v - k^ P), and o [K] (NULL: not wanted), where u may
 * stand too, is read out. */
static void delta_token_step(REAL *o, REAL *s, REAL *u, const delta_token *x, int K)
{
    for (int j = 0; j < K; j++) {
        REAL found = 0;
        for (int i = 0; i < K; i++)
            found += x->k_part * x->k[i] * x->a * s[i * K + j];
        u[j] = x->b * (x->v[j] - found);
    }
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++)
            s[i * K + j] = x->a * s[i * K + j] + x->k_part * x->k[i] * u[j];
    for (int j = 0; o && j < K; j++) {
        o[j] = 0;
        for (int i = 0; i < K; i++)
            o[j] += x->q_part * x->q[i] * s[i * K + j];
    }
}

/* Room for one head: S [K,K] before each token of a segment and after its last, then dS [K,K], and u, du, dq^, dk^. */
static size_t delta_kept_size(int T, int segments, int heads, int K)
{
    (void)segments, (void)heads;
    return (size_t)(T + 2) * K * K + 4 * (size_t)K;
}

static void delta_forward(const wlmi_delta *d, wlmi_real *kept)
{
    const int K = d->K;
    REAL *s = (REAL *)kept;
    for (int segment = 0; segment < d->segments.count; segment++) {
        for (int h = 0; h < d->heads; h++) {
            memset(s, 0, (size_t)K * K * sizeof *s);
            for (int t = d->segments.starts[segment]; t < d->segments.starts[segment + 1]; t++) {
                REAL *o = (REAL *)d->o + (size_t)t * d->o_stride + h * K;
                delta_token x = delta_read(d, t, h);
                delta_token_step(o, s, o, &x, K);
            }
        }
    }
}

/* Columns of S do not see each other. */
static void delta_step(const wlmi_delta *d, wlmi_real *const *state, int keep)
{
    const int K = d->K;
    REAL column[WLMI_MAX_HEAD_WIDTH];
    for (int b = 0; b < d->segments.count; b++) {
        for (int h = 0; h < d->heads; h++) {
            REAL *s = (REAL *)state[b] + (size_t)h * K * K;
            for (int j = 0; j < K; j++) {
                for (int i = 0; i < K; i++)
                    column[i] = s[i * K + j];
                for (int t = d->segments.starts[b]; t < d->segments.starts[b + 1]; t++) {
                    const delta_token x = delta_read(d, t, h);
                    REAL found = 0, u, read = 0;
                    for (int i = 0; i < K; i++)
                        found += x.k_part * x.k[i] * x.a * column[i];
                    u = x.b * (x.v[j] - found);
                    for (int i = 0; i < K; i++) {
                        column[i] = x.a * column[i] + x.k_part * x.k[i] * u;
                        read += x.q_part * x.q[i] * column[i];
                    }
                    ((REAL *)d->o)[(size_t)t * d->o_stride + h * K + j] = read;
                }
                for (int i = 0; keep && i < K; i++)
                    s[i * K + j] = column[i];
            }
        }
    }
}

/* Through x^ = x * part, with part falling as |x| grows; scale = K^1/2 for q, 1 for k. */
static void delta_unit_backward(REAL *dx, const REAL *dunit, const REAL *x, REAL part, REAL scale, int K)
{
    REAL along = dot(dunit, x, K) * part * part * part * scale * scale;
    for (int i = 0; i < K; i++)
        dx[i] = part * dunit[i] - along * x[i];
}

/* One token backward. s: S before it, then S after it; ds [K,K]: gradient of S after it, which becomes that of S
 * before it. Returns d_log_a; db is b's gradient. room [4K]. */
static REAL delta_token_backward(const wlmi_delta_gradient *g, size_t at, const REAL *d_o, const delta_token *x,
                                 const REAL *s, REAL *ds, REAL *db, REAL *room, int K)
{
    const REAL *after = s + K * K;
    REAL *u = room, *du = u + K, *dq = du + K, *dk = dq + K, da = 0;
    for (int i = 0; i < K; i++) {
        dq[i] = dot(after + i * K, d_o, K);
        for (int j = 0; j < K; j++)
            ds[i * K + j] += x->q_part * x->q[i] * d_o[j];
    }
    *db = 0;
    for (int j = 0; j < K; j++) {
        REAL found = 0;
        du[j] = 0;
        for (int i = 0; i < K; i++) {
            found += x->k_part * x->k[i] * x->a * s[i * K + j];
            du[j] += x->k_part * x->k[i] * ds[i * K + j];
        }
        u[j] = x->b * (x->v[j] - found);
        *db += du[j] * (x->v[j] - found);
    }
    for (int i = 0; i < K; i++) {
        dk[i] = dot(ds + i * K, u, K) - x->b * x->a * dot(s + i * K, du, K);
        for (int j = 0; j < K; j++) {
            REAL dp = ds[i * K + j] - x->k_part * x->k[i] * x->b * du[j];
            da += dp * s[i * K + j];
            ds[i * K + j] = x->a * dp;
        }
    }
    delta_unit_backward((REAL *)g->dq + at, dq, x->q, x->q_part, sqrt((REAL)K), K);
    delta_unit_backward((REAL *)g->dk + at, dk, x->k, x->k_part, 1, K);
    for (int j = 0; j < K; j++)
        ((REAL *)g->dv)[at + j] = x->b * du[j];
    return da * x->a;
}

static void delta_backward(const wlmi_delta *d, const wlmi_delta_gradient *g, wlmi_real *kept)
{
    const int K = d->K;
    for (int segment = 0; segment < d->segments.count; segment++) {
        const int start = d->segments.starts[segment], n = d->segments.starts[segment + 1] - start;
        REAL *s = (REAL *)kept, *ds = s + (size_t)(n + 1) * K * K, *room = ds + K * K;
        for (int h = 0; h < d->heads; h++) {
            memset(s, 0, (size_t)K * K * sizeof *s);
            for (int t = 0; t < n; t++) {
                REAL *before = s + (size_t)t * K * K, *after = before + K * K;
                delta_token x = delta_read(d, start + t, h);
                memcpy(after, before, (size_t)K * K * sizeof *s);
                delta_token_step(NULL, after, room, &x, K);
            }
            memset(ds, 0, (size_t)K * K * sizeof *ds);
            for (int t = n - 1; t >= 0; t--) {
                const size_t gate = (size_t)(start + t) * d->gate_stride + h;
                const REAL *d_o = (const REAL *)g->d_o + (size_t)(start + t) * g->o_stride + h * K;
                delta_token x = delta_read(d, start + t, h);
                REAL db, d_log_a = delta_token_backward(g, (size_t)(start + t) * d->stride + h * K, d_o, &x,
                                                        s + (size_t)t * K * K, ds, &db, room, K);
                ((REAL *)g->d_forget)[gate] = d_log_a * x.slope;
                ((REAL *)g->d_write)[gate] = db * x.b * (1 - x.b);
                ((REAL *)g->d_bias)[h] += d_log_a * x.slope;
                ((REAL *)g->d_log_rate)[h] += d_log_a * x.log_a;
            }
        }
    }
}

static REAL head_rstd(const REAL *x, int K)
{
    return 1 / sqrt(dot(x, x, K) / (REAL)K + (REAL)1e-6);
}

static void gate_norm_forward(wlmi_real *y_, int y_stride, const wlmi_real *x_, int x_stride, const wlmi_real *gate_,
                              int gate_stride, const wlmi_real *g_, int T, int heads, int K)
{
    const REAL *g = (const REAL *)g_;
    for (int t = 0; t < T; t++) {
        for (int h = 0; h < heads; h++) {
            REAL *y = (REAL *)y_ + (size_t)t * y_stride + h * K;
            const REAL *x = (const REAL *)x_ + (size_t)t * x_stride + h * K;
            const REAL *gate = (const REAL *)gate_ + (size_t)t * gate_stride + h * K;
            REAL rstd = head_rstd(x, K);
            for (int i = 0; i < K; i++)
                y[i] = x[i] * rstd * g[i] * silu(gate[i]);
        }
    }
}

/* With e = dy g silu(gate), the gradient of x * rstd: dx = rstd (e - x rstd^2 mean(e x)). */
static void gate_norm_backward(wlmi_real *dx_, int dx_stride, wlmi_real *d_gate_, wlmi_real *dg_, const wlmi_real *dy_,
                               int y_stride, const wlmi_real *x_, int x_stride, const wlmi_real *gate_,
                               int gate_stride, const wlmi_real *g_, int T, int heads, int K)
{
    const REAL *g = (const REAL *)g_;
    REAL *dg = (REAL *)dg_;
    for (int t = 0; t < T; t++) {
        for (int h = 0; h < heads; h++) {
            REAL *dx = (REAL *)dx_ + (size_t)t * dx_stride + h * K;
            REAL *d_gate = (REAL *)d_gate_ + (size_t)t * gate_stride + h * K;
            const REAL *dy = (const REAL *)dy_ + (size_t)t * y_stride + h * K;
            const REAL *x = (const REAL *)x_ + (size_t)t * x_stride + h * K;
            const REAL *gate = (const REAL *)gate_ + (size_t)t * gate_stride + h * K;
            REAL rstd = head_rstd(x, K), mean = 0;
            for (int i = 0; i < K; i++)
                mean += dy[i] * g[i] * silu(gate[i]) * x[i] / (REAL)K;
            for (int i = 0; i < K; i++) {
                REAL e = dy[i] * g[i] * silu(gate[i]);
                dg[i] += dy[i] * x[i] * rstd * silu(gate[i]);
                d_gate[i] = dy[i] * x[i] * rstd * g[i] * silu_slope(gate[i]);
                dx[i] = rstd * (e - x[i] * rstd * rstd * mean);
            }
        }
    }
}
