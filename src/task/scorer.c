/* scorer.c: what streams of packets cost a model. */
#include "task/scorer.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "task/recall.h"

enum { BYTES = 256 };

typedef struct piece { /* one segment of the batch */
    wlmi_coder_options coding;
    int goes_on;  /* its first token stands inside the packet that the piece before broke off */
    int begins;   /* it is its stream's first */
    double *also;
} piece;

struct wlmi_scorer {
    wlmi_net *net;
    const wlmi_view *view;
    wlmi_scorer_options options;
    wlmi_coder *writer, *reader;
    wlmi_tally tally;
    wlmi_recall *recall;       /* where the options ask for it, else NULL */
    double own_bits;           /* of the model alone */
    uint64_t paid, pieces;
    piece at_hand;             /* the piece being filled */
    int begun;                 /* it was */
    wlmi_tokens tokens;        /* of the piece at hand; each with the role of the token after it */
    wlmi_mark *mark;           /* [tokens] */
    size_t mark_room;
    uint8_t role;              /* of the first of them */
    int64_t last_ns;           /* time of the packet before */
    uint64_t *spoke;           /* [flows, 2]: the last piece, counted from 1, in which each direction has spoken */
    size_t spoke_room, spoken; /* entries of spoke that mean something */
    uint64_t started;          /* pieces begun */
    wlmi_rows rows;            /* pieces that wait, or what is fed of a long one */
    wlmi_mark *row_mark;       /* [rows]: of the token that each row predicts */
    size_t row_mark_room;
    piece *piece;              /* [rows.segments] */
    size_t piece_room;
    wlmi_stream stream;        /* of a piece longer than a batch */
    int32_t *position;         /* [scored]: those where only bytes may follow, then the others */
    float *logits;             /* of the former [bytes], of the latter [V] each */
    size_t *where;             /* [rows]: in logits, of rows that predict something */
    float *scratch;            /* [V] */
    uint8_t *bytes_only;       /* [roles] */
    size_t position_room, logits_room, where_room;
};

/* ---------------------------------------------------------------- life */

/* Finds the roles in which nothing but the first tokens may follow, where that spares most of the logits. */
static wlm_status find_narrow_roles(wlmi_scorer *m, wlm_error *error)
{
    const wlmi_codec *codec = m->view->codec;
    const uint32_t words = (codec->vocabulary + 63) / 64;
    m->bytes_only = wlmi_alloc_zero(codec->roles, sizeof *m->bytes_only);
    if (!m->bytes_only)
        return WLMI_NO_MEMORY(error);
    for (uint32_t role = 0; role < codec->roles && codec->vocabulary >= 2 * BYTES; role++) {
        uint64_t beyond = 0;
        for (uint32_t word = BYTES / 64; word < words; word++)
            beyond |= codec->rows[role * words + word];
        m->bytes_only[role] = !beyond;
    }
    return WLM_OK;
}

wlm_status wlmi_scorer_new(wlmi_scorer **scorer, wlmi_net *net, const wlmi_view *view,
                           const wlmi_scorer_options *options, wlm_error *error)
{
    wlmi_scorer *m;
    wlm_status status;
    *scorer = NULL;
    if (options->rows < WLMI_MIN_CONTEXT || view->context < WLMI_MIN_CONTEXT)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a batch of %d rows and a context of %d",
                         options->rows, view->context);
    if (view->unit == WLM_UNIT_CAPTURE && !view->codec->flows)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "codec %s does not tell flows apart: unit capture needs another one", view->codec->name);
    m = wlmi_alloc_zero(1, sizeof *m);
    if (!m)
        return WLMI_NO_MEMORY(error);
    m->net = net;
    m->view = view;
    m->options = *options;
    m->scratch = wlmi_alloc_array(view->codec->vocabulary, sizeof *m->scratch);
    status = m->scratch ? wlmi_tally_init(&m->tally, view->codec, error) : WLMI_NO_MEMORY(error);
    if (status == WLM_OK)
        status = find_narrow_roles(m, error);
    if (status == WLM_OK && options->recall)
        status = wlmi_recall_new(&m->recall, view->codec->vocabulary, error);
    if (status == WLM_OK)
        status = view->codec->make(&m->writer, error);
    if (status == WLM_OK)
        status = view->codec->make(&m->reader, error);
    if (status == WLM_OK)
        *scorer = m;
    else
        wlmi_scorer_free(m);
    return status;
}

void wlmi_scorer_free(wlmi_scorer *m)
{
    if (!m)
        return;
    if (m->writer)
        m->view->codec->drop(m->writer);
    if (m->reader)
        m->view->codec->drop(m->reader);
    wlmi_tally_free(&m->tally);
    wlmi_recall_free(m->recall);
    wlmi_tokens_free(&m->tokens);
    wlmi_rows_free(&m->rows);
    wlmi_stream_free(&m->stream);
    wlmi_free(m->mark);
    wlmi_free(m->row_mark);
    wlmi_free(m->spoke);
    wlmi_free(m->piece);
    wlmi_free(m->position);
    wlmi_free(m->logits);
    wlmi_free(m->where);
    wlmi_free(m->bytes_only);
    wlmi_free(m->scratch);
    wlmi_free(m);
}

const wlmi_tally *wlmi_scorer_tally(const wlmi_scorer *m)
{
    return &m->tally;
}

double wlmi_scorer_own_bits(const wlmi_scorer *m)
{
    return m->own_bits;
}

uint64_t wlmi_scorer_tokens(const wlmi_scorer *m)
{
    return m->paid;
}

uint64_t wlmi_scorer_pieces(const wlmi_scorer *m)
{
    return m->pieces;
}

/* ---------------------------------------------------------------- paying */

double wlmi_token_bits(const float *logits, const wlmi_allowed *allowed, wlmi_token token, float *scratch,
                       wlmi_token *best)
{
    float max = -INFINITY;
    double sum = 0;
    size_t n = 0;
    *best = token;
    for (uint32_t word = allowed->low / 64u; word <= allowed->high / 64u; word++)
        for (uint64_t left = allowed->row[word]; left; left &= left - 1) {
            wlmi_token t = (wlmi_token)(64 * word + (uint32_t)__builtin_ctzll(left));
            if (!wlmi_is_allowed(allowed, t))
                continue;
            if (logits[t] > max) {
                max = logits[t];
                *best = t;
            }
            scratch[n++] = logits[t];
        }
    for (size_t i = 0; i < n; i++)
        sum += (double)expf(scratch[i] - max);
    return (log(sum) + (double)max - (double)logits[token]) / M_LN2;
}

/* Follows the tokens that the n rows from `first` on predict with the grammar. */
static wlm_status pay(wlmi_scorer *m, size_t first, size_t n, double *also, wlm_error *error)
{
    const wlmi_codec *codec = m->view->codec;
    for (size_t i = first; i < first + n; i++) {
        const float *logits = m->logits + m->where[i];
        wlmi_token t = (wlmi_token)m->rows.target[i], best;
        wlmi_allowed allowed;
        wlmi_pushed pushed;
        double bits;
        codec->allowed(m->reader, &allowed);
        bits = wlmi_token_bits(logits, &allowed, t, m->scratch, &best);
        m->own_bits += bits;
        if (m->recall)
            WLMI_TRY(wlmi_recall_take(m->recall, logits, &allowed, codec->role(m->reader), t, &bits, error));
        wlmi_tally_add(&m->tally, &m->row_mark[i], codec->role(m->reader), t, &allowed, best, bits);
        if (also)
            *also += bits;
        WLMI_TRY(codec->push(m->reader, t, &pushed, error));
        if (m->recall && pushed == WLMI_PUSHED_PACKET)
            wlmi_recall_border(m->recall);
    }
    m->paid += n;
    return WLM_OK;
}

static void begin_reading(wlmi_scorer *m, const piece *p)
{
    if (!p->goes_on)
        m->view->codec->start(m->reader, &p->coding);
    if (m->recall && p->begins)
        wlmi_recall_start(m->recall);
    m->pieces++;
}

/* Logits of the rows that predict something. */
static wlm_status run_rows(wlmi_scorer *m, wlmi_stream *stream, wlm_error *error)
{
    const wlmi_batch batch = wlmi_rows_batch(&m->rows);
    const size_t V = m->view->codec->vocabulary, rows = (size_t)batch.tokens;
    wlmi_logits part[2] = {{.last = BYTES}, {.last = (int)V}};
    size_t scored = 0, narrow = 0;
    if (m->options.stop && *m->options.stop)
        return wlmi_fail(error, WLM_STOPPED, NULL, WLM_NO_OFFSET, "stopped");
    for (size_t t = 0; t < rows; t++)
        if (batch.target[t] >= 0)
            part[!m->bytes_only[batch.role[t]]].n++;
    narrow = (size_t)part[0].n * BYTES;
    if (!wlmi_grow(&m->position, &m->position_room, rows, sizeof *m->position) ||
        !wlmi_grow(&m->where, &m->where_room, rows, sizeof *m->where) ||
        !wlmi_grow(&m->logits, &m->logits_room, narrow + (size_t)part[1].n * V, sizeof *m->logits))
        return WLMI_NO_MEMORY(error);
    for (int wide = 0; wide < 2; wide++)
        for (size_t t = 0, at = wide ? narrow : 0; t < rows; t++)
            if (batch.target[t] >= 0 && m->bytes_only[batch.role[t]] == !wide) {
                m->position[scored++] = (int32_t)t;
                m->where[t] = at;
                at += wide ? V : BYTES;
            }
    part[0].out = m->logits;
    part[1].out = m->logits + narrow;
    return wlmi_net_logits_parts(m->net, &batch, stream ? &stream : NULL, stream != NULL, m->position, part, 2, error);
}

static wlm_status pay_batch(wlmi_scorer *m, wlm_error *error)
{
    const wlmi_rows *rows = &m->rows;
    if (!rows->segments)
        return WLM_OK;
    WLMI_TRY(run_rows(m, NULL, error));
    for (int s = 0; s < rows->segments; s++) {
        const size_t first = (size_t)rows->starts[s], n = (size_t)(rows->starts[s + 1] - rows->starts[s]) - 1;
        begin_reading(m, &m->piece[s]);
        WLMI_TRY(pay(m, first, n, m->piece[s].also, error));
    }
    wlmi_rows_clear(&m->rows);
    return WLM_OK;
}

/* ---------------------------------------------------------------- pieces */

static size_t room(const wlmi_scorer *m)
{
    return (size_t)m->view->context - 1; /* <flow> stands before */
}

/* Row i of the piece at hand, which predicts its token i. */
static void put_row(wlmi_scorer *m, size_t i)
{
    const int32_t V = (int32_t)m->view->codec->vocabulary;
    const wlmi_tokens *t = &m->tokens;
    m->row_mark[m->rows.tokens] = m->mark[i];
    if (i == 0)
        wlmi_rows_put(&m->rows, V + WLMI_FLOW_ROW, 0, m->role);
    else
        wlmi_rows_put_token(&m->rows, t, i - 1);
    wlmi_rows_aim(&m->rows, t->token[i], 0, V, 1);
}

static wlm_status reserve(wlmi_scorer *m, size_t rows, wlm_error *error)
{
    if (!wlmi_grow(&m->row_mark, &m->row_mark_room, (size_t)m->rows.tokens + rows, sizeof *m->row_mark))
        return WLMI_NO_MEMORY(error);
    return wlmi_rows_reserve(&m->rows, rows, error);
}

/* The first n tokens of the piece at hand join the batch. */
static wlm_status wait_in_batch(wlmi_scorer *m, size_t n, wlm_error *error)
{
    if (m->rows.tokens + (int)n + 1 > m->options.rows)
        WLMI_TRY(pay_batch(m, error));
    if (!wlmi_grow(&m->piece, &m->piece_room, (size_t)m->rows.segments + 1, sizeof *m->piece))
        return WLMI_NO_MEMORY(error);
    WLMI_TRY(reserve(m, n + 1, error));
    m->piece[m->rows.segments] = m->at_hand;
    for (size_t i = 0; i < n; i++)
        put_row(m, i);
    wlmi_rows_put_token(&m->rows, &m->tokens, n - 1);
    wlmi_rows_close(&m->rows);
    return WLM_OK;
}

/* The first n tokens of the piece at hand, a batch at a time. */
static wlm_status pay_long(wlmi_scorer *m, size_t n, wlm_error *error)
{
    const size_t step = (size_t)m->options.rows;
    WLMI_TRY(pay_batch(m, error));
    if (m->stream.block)
        wlmi_stream_reset(&m->stream, m->net);
    else
        WLMI_TRY(wlmi_stream_new(&m->stream, m->net, error));
    begin_reading(m, &m->at_hand);
    for (size_t from = 0, count; from < n; from += count) {
        count = n - from < step ? n - from : step;
        WLMI_TRY(reserve(m, count, error));
        for (size_t i = from; i < from + count; i++)
            put_row(m, i);
        wlmi_rows_close(&m->rows);
        WLMI_TRY(run_rows(m, &m->stream, error));
        WLMI_TRY(pay(m, 0, count, m->at_hand.also, error));
        wlmi_rows_clear(&m->rows);
    }
    return WLM_OK;
}

/* Takes the first n tokens from the piece at hand. */
static wlm_status emit(wlmi_scorer *m, size_t n, wlm_error *error)
{
    wlmi_tokens *t = &m->tokens;
    if (!n)
        return WLM_OK;
    WLMI_TRY(n + 1 > (size_t)m->options.rows ? pay_long(m, n, error) : wait_in_batch(m, n, error));
    m->at_hand.begins = 0;
    m->role = t->role[n - 1];
    t->count -= n;
    memmove(t->token, t->token + n, t->count * sizeof *t->token);
    memmove(t->role, t->role + n, t->count * sizeof *t->role);
    memmove(t->packet, t->packet + n, t->count * sizeof *t->packet);
    memmove(t->measure, t->measure + n, t->count * sizeof *t->measure);
    memmove(m->mark, m->mark + n, t->count * sizeof *m->mark);
    return WLM_OK;
}

/* Emits what is too long for one piece, but its last part. */
static wlm_status break_up(wlmi_scorer *m, wlm_error *error)
{
    while (m->tokens.count > room(m)) {
        WLMI_TRY(emit(m, room(m), error));
        m->at_hand.goes_on = 1;
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- streams */

static void start_piece(wlmi_scorer *m, int64_t start_ns)
{
    wlmi_coder_options coding = {.start_ns = start_ns, .capture = m->view->unit == WLM_UNIT_CAPTURE};
    wlmi_codec_limit(m->view->codec, m->view->payload, &coding);
    m->view->codec->start(m->writer, &coding);
    m->role = m->view->codec->role(m->writer);
    m->at_hand.coding = coding;
    m->at_hand.goes_on = 0;
    m->started++;
    m->begun = 1;
}

void wlmi_scorer_start(wlmi_scorer *m, double *also)
{
    m->at_hand = (piece){.also = also, .begins = 1};
    m->begun = 0;
    m->tokens.count = 0;
}

/* Marks the tokens from `from` on, and gives them the roles of those behind them. */
static wlm_status finish_tokens(wlmi_scorer *m, const wlm_packet *packet, int opening, size_t from, wlm_error *error)
{
    wlmi_tokens *t = &m->tokens;
    if (!wlmi_grow(&m->mark, &m->mark_room, t->count, sizeof *m->mark))
        return WLMI_NO_MEMORY(error);
    wlmi_tally_mark(&m->tally, packet, opening, t->token + from, t->role + from, t->count - from, m->mark + from);
    wlmi_tokens_look_ahead(m->view->codec, m->writer, t, from);
    return WLM_OK;
}

/* Whether the direction has not spoken yet in the piece at hand. */
static wlm_status take_turn(wlmi_scorer *m, size_t flow, int backward, int *opening, wlm_error *error)
{
    const size_t at = 2 * flow + (backward != 0);
    if (!wlmi_grow(&m->spoke, &m->spoke_room, at + 1, sizeof *m->spoke))
        return WLMI_NO_MEMORY(error);
    while (m->spoken <= at)
        m->spoke[m->spoken++] = 0;
    *opening = m->spoke[at] != m->started;
    m->spoke[at] = m->started;
    return WLM_OK;
}

static wlm_status encode(wlmi_scorer *m, const wlm_packet *packet, size_t flow, int backward, wlm_error *error)
{
    const wlmi_codec *codec = m->view->codec;
    const size_t before = m->tokens.count;
    int opening = 0;
    WLMI_TRY(take_turn(m, flow, backward, &opening, error));
    if (m->view->unit == WLM_UNIT_CAPTURE)
        codec->set_flow(m->writer, flow);
    WLMI_TRY(codec->encode(m->writer, packet, &m->tokens, error));
    return finish_tokens(m, packet, opening, before, error);
}

wlm_status wlmi_scorer_packet(wlmi_scorer *m, const wlm_packet *packet, size_t flow, int backward, wlm_error *error)
{
    size_t before;
    WLMI_TRY(wlmi_tally_packet(&m->tally, packet, error));
    if (!m->begun)
        start_piece(m, packet->time_ns);
    before = m->tokens.count;
    WLMI_TRY(encode(m, packet, flow, backward, error));
    if (m->tokens.count > room(m) && before) {
        if (!m->options.same_tokens)
            m->tokens.count = before;
        WLMI_TRY(emit(m, before, error));
        m->at_hand.goes_on = 1;
        if (!m->options.same_tokens) {
            start_piece(m, m->last_ns); /* so that the time between pieces is told too */
            WLMI_TRY(encode(m, packet, flow, backward, error));
        }
    }
    m->last_ns = packet->time_ns;
    return break_up(m, error);
}

wlm_status wlmi_scorer_end(wlmi_scorer *m, const wlmi_end *end, wlm_error *error)
{
    const size_t before = m->tokens.count;
    if (!m->begun)
        return WLM_OK;
    if (end) {
        WLMI_TRY(m->view->codec->encode_end(m->writer, *end, &m->tokens, error));
        WLMI_TRY(finish_tokens(m, NULL, 0, before, error));
    }
    WLMI_TRY(break_up(m, error));
    m->begun = 0;
    return emit(m, m->tokens.count, error);
}

wlm_status wlmi_scorer_flush(wlmi_scorer *m, wlm_error *error)
{
    WLMI_TRY(pay_batch(m, error));
    wlmi_tally_close(&m->tally);
    return WLM_OK;
}
