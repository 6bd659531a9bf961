/* bits.c: what captured packets cost a model. */
#include "task/bits.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

enum { RECORD_HEADER = 16 };

typedef struct piece { /* one segment of the batch */
    wlmi_coder_options coding;
    int goes_on; /* its first token stands inside the packet that the piece before broke off */
} piece;

typedef struct meter {
    wlmi_bits *bits;
    wlmi_net *net;
    const wlmi_view *view;
    const wlmi_bits_options *options;
    wlmi_hider *hider;
    wlmi_coder *writer, *reader;
    wlmi_coder_options coding; /* of the piece at hand */
    wlmi_tokens tokens;        /* of the piece at hand; each with the role of the token after it */
    uint8_t role;              /* of the first of them */
    int goes_on;               /* the piece at hand does */
    int64_t last_ns;           /* time of the packet before */
    wlmi_rows rows;            /* pieces that wait */
    piece *piece;              /* [rows.segments] */
    size_t piece_capacity;
    int32_t *position;         /* [scored] */
    float *logits;             /* [scored, V] */
    size_t position_capacity, logits_capacity;
} meter;

/* ---------------------------------------------------------------- scoring */

/* -log2 of the token's share of the softmax over what is allowed. */
static double cost(const float *logits, const wlmi_allowed *allowed, wlmi_token token)
{
    double max = -INFINITY, sum = 0;
    for (uint32_t t = allowed->low; t <= allowed->high; t++)
        if (wlmi_is_allowed(allowed, (wlmi_token)t) && (double)logits[t] > max)
            max = (double)logits[t];
    for (uint32_t t = allowed->low; t <= allowed->high; t++)
        if (wlmi_is_allowed(allowed, (wlmi_token)t))
            sum += exp((double)logits[t] - max);
    return (log(sum) + max - (double)logits[token]) / M_LN2;
}

/* Follows one piece's tokens with the grammar. */
static wlm_status score_piece(meter *m, int s, const float *logits, wlm_error *error)
{
    const wlmi_codec *codec = m->view->codec;
    const wlmi_rows *rows = &m->rows;
    if (!m->piece[s].goes_on)
        codec->start(m->reader, &m->piece[s].coding);
    for (int t = rows->starts[s] + 1; t < rows->starts[s + 1]; t++, logits += codec->vocabulary) {
        wlmi_token token = (wlmi_token)rows->id[t];
        wlmi_allowed allowed;
        wlmi_pushed pushed;
        wlmi_group group = codec->group(codec->role(m->reader), token);
        codec->allowed(m->reader, &allowed);
        m->bits->bits[group] += cost(logits, &allowed, token); /* a push may change the row */
        WLMI_TRY(codec->push(m->reader, token, &pushed, error));
        m->bits->tokens++;
    }
    return WLM_OK;
}

static wlm_status score(meter *m, wlm_error *error)
{
    const wlmi_batch batch = wlmi_rows_batch(&m->rows);
    size_t V = m->view->codec->vocabulary, n = 0;
    if (!m->rows.segments)
        return WLM_OK;
    if (!wlmi_grow(&m->position, &m->position_capacity, (size_t)batch.tokens, sizeof *m->position) ||
        !wlmi_grow(&m->logits, &m->logits_capacity, (size_t)batch.tokens * V, sizeof *m->logits))
        return WLMI_NO_MEMORY(error);
    for (int t = 0; t < batch.tokens; t++)
        if (batch.target[t] >= 0)
            m->position[n++] = t;
    WLMI_TRY(wlmi_net_logits(m->net, &batch, NULL, 0, m->position, (int)n, 0, (int)V, m->logits, error));
    n = 0;
    for (int s = 0; s < m->rows.segments; s++) {
        WLMI_TRY(score_piece(m, s, m->logits + n * V, error));
        n += (size_t)(m->rows.starts[s + 1] - m->rows.starts[s] - 1);
    }
    m->bits->pieces += (uint64_t)m->rows.segments;
    wlmi_rows_clear(&m->rows);
    return WLM_OK;
}

/* ---------------------------------------------------------------- pieces */

static size_t room(const meter *m)
{
    return (size_t)m->view->context - 1; /* <flow> stands before */
}

/* Moves the first n tokens of the piece at hand to the batch. */
static wlm_status emit(meter *m, size_t n, wlm_error *error)
{
    const int32_t V = (int32_t)m->view->codec->vocabulary;
    wlmi_rows *rows = &m->rows;
    if (!n)
        return WLM_OK;
    if (m->options->stop && *m->options->stop)
        return wlmi_fail(error, WLM_STOPPED, NULL, WLM_NO_OFFSET, "stopped");
    if (rows->tokens + (int)n + 1 > m->options->tokens)
        WLMI_TRY(score(m, error));
    if (!wlmi_grow(&m->piece, &m->piece_capacity, (size_t)rows->segments + 1, sizeof *m->piece))
        return WLMI_NO_MEMORY(error);
    WLMI_TRY(wlmi_rows_reserve(rows, n + 1, error));
    m->piece[rows->segments] = (piece){m->coding, m->goes_on};
    wlmi_rows_put(rows, V + WLMI_FLOW_ROW, 0, m->role);
    for (size_t i = 0; i < n; i++) {
        wlmi_rows_aim(rows, m->tokens.token[i], 0, V, 1);
        wlmi_rows_put(rows, m->tokens.token[i], (int32_t)m->tokens.packet[i], m->tokens.role[i]);
    }
    wlmi_rows_close(rows);
    m->role = m->tokens.role[n - 1];
    m->tokens.count -= n;
    memmove(m->tokens.token, m->tokens.token + n, m->tokens.count * sizeof *m->tokens.token);
    memmove(m->tokens.role, m->tokens.role + n, m->tokens.count * sizeof *m->tokens.role);
    memmove(m->tokens.packet, m->tokens.packet + n, m->tokens.count * sizeof *m->tokens.packet);
    return WLM_OK;
}

/* Emits what is too long for one piece, but its last part. */
static wlm_status break_up(meter *m, wlm_error *error)
{
    while (m->tokens.count > room(m)) {
        WLMI_TRY(emit(m, room(m), error));
        m->goes_on = 1;
    }
    return WLM_OK;
}

static void start_piece(meter *m, int64_t start_ns)
{
    m->coding = (wlmi_coder_options){.start_ns = start_ns};
    wlmi_codec_limit(m->view->codec, m->view->payload, &m->coding);
    m->view->codec->start(m->writer, &m->coding);
    m->role = m->view->codec->role(m->writer);
    m->goes_on = 0;
}

static wlm_status add_packet(meter *m, const wlm_packet *packet, wlm_error *error)
{
    size_t before = m->tokens.count;
    WLMI_TRY(m->view->codec->encode(m->writer, packet, &m->tokens, error));
    wlmi_tokens_look_ahead(m->view->codec, m->writer, &m->tokens, before);
    if (m->tokens.count > room(m) && before) {
        m->tokens.count = before;
        WLMI_TRY(emit(m, before, error));
        start_piece(m, m->last_ns); /* so that the time between pieces is told too */
        WLMI_TRY(m->view->codec->encode(m->writer, packet, &m->tokens, error));
        wlmi_tokens_look_ahead(m->view->codec, m->writer, &m->tokens, 0);
    }
    return break_up(m, error);
}

static wlm_status add_flow(meter *m, const wlmi_dataset *data, uint64_t i, wlm_error *error)
{
    const uint64_t most = m->options->flow_bytes ? m->options->flow_bytes : UINT64_MAX, before = m->bits->bytes;
    wlmi_shard_flow flow;
    uint64_t j;
    wlmi_dataset_flow(data, i, &flow);
    for (j = 0; j < flow.packets && m->bits->bytes - before < most; j++) {
        wlm_packet packet, hidden;
        WLMI_TRY(wlmi_dataset_packet(data, i, j, &packet, error));
        if (j == 0)
            wlmi_hider_start(m->hider, &flow.key, wlmi_mix2(flow.file, flow.first_packet), packet.time_ns);
        WLMI_TRY(wlmi_hide_packet(m->hider, &packet, &hidden, error));
        if (j == 0)
            start_piece(m, hidden.time_ns);
        WLMI_TRY(add_packet(m, &hidden, error));
        m->last_ns = hidden.time_ns;
        m->bits->packets++;
        m->bits->bytes += packet.captured + RECORD_HEADER;
    }
    if (j == flow.packets) {
        size_t count = m->tokens.count;
        WLMI_TRY(m->view->codec->encode_end(m->writer, wlmi_end_of(flow.end), &m->tokens, error));
        wlmi_tokens_look_ahead(m->view->codec, m->writer, &m->tokens, count);
    }
    WLMI_TRY(break_up(m, error));
    m->bits->flows++;
    return emit(m, m->tokens.count, error);
}

/* ---------------------------------------------------------------- flows */

static wlm_status sweep(meter *m, const wlmi_dataset *const *data, size_t count, wlm_error *error)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++)
        all += wlmi_dataset_flows(data[i]);
    for (uint64_t n = 0; n < all && !(m->options->bytes && m->bits->bytes >= m->options->bytes); n++) {
        uint64_t flow = wlmi_permute(m->options->seed, n, all);
        wlmi_shard_flow facts;
        size_t i = 0;
        for (; flow >= wlmi_dataset_flows(data[i]); i++)
            flow -= wlmi_dataset_flows(data[i]);
        wlmi_dataset_flow(data[i], flow, &facts);
        if (facts.part == m->options->part)
            WLMI_TRY(add_flow(m, data[i], flow, error));
    }
    if (!m->bits->flows)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no flows in the %s part",
                         wlm_part_name(m->options->part));
    return score(m, error);
}

static wlm_status measure(meter *m, const wlmi_dataset *const *data, size_t count, wlm_error *error)
{
    const wlmi_view *view = m->view;
    if (m->options->tokens < view->context || view->context < WLMI_MIN_CONTEXT)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a batch of %d rows and a context of %d",
                         m->options->tokens, view->context);
    WLMI_TRY(wlmi_hider_new(&m->hider, view->hide, wlmi_codec_cut(view->codec, view->payload), error));
    WLMI_TRY(view->codec->make(&m->writer, error));
    WLMI_TRY(view->codec->make(&m->reader, error));
    return sweep(m, data, count, error);
}

wlm_status wlmi_bits_measure(wlmi_bits *bits, wlmi_net *net, const wlmi_view *view, const wlmi_dataset *const *data,
                             size_t count, const wlmi_bits_options *options, wlm_error *error)
{
    meter m = {.bits = bits, .net = net, .view = view, .options = options};
    wlm_status status;
    memset(bits, 0, sizeof *bits);
    status = measure(&m, data, count, error);
    if (m.writer)
        view->codec->drop(m.writer);
    if (m.reader)
        view->codec->drop(m.reader);
    wlmi_hider_free(m.hider);
    wlmi_tokens_free(&m.tokens);
    wlmi_rows_free(&m.rows);
    wlmi_free(m.piece);
    wlmi_free(m.position);
    wlmi_free(m.logits);
    return status;
}

double wlmi_bits_total(const wlmi_bits *bits)
{
    double total = 0;
    for (int g = 0; g < WLMI_GROUPS; g++)
        total += bits->bits[g];
    return total;
}
