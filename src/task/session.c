/* session.c: wlm_session: one stream of a loaded model, for programs that feed tokens themselves. */
#include <string.h>

#include "base/alloc.h"
#include "task/query.h"
#include "task/sample.h"

struct wlm_session {
    wlm_model *model;
    wlmi_stream stream;
    float *logits;            /* [vocabulary] of the token to come */
    int has_logits;
    wlmi_rows rows;
    wlmi_candidate *scratch;  /* [vocabulary] */
    uint64_t *all;            /* bits of all tokens */
};

enum { PIECE_ROWS = 2048 };

static size_t vocabulary_of(const wlm_session *s)
{
    return (size_t)s->model->codec->vocabulary;
}

static wlm_status make(wlm_session **session, wlm_model *model, wlm_error *error)
{
    wlm_session *s = wlmi_alloc_zero(1, sizeof *s);
    size_t words;
    *session = NULL;
    if (!s)
        return WLMI_NO_MEMORY(error);
    s->model = model;
    words = (vocabulary_of(s) + 63) / 64;
    s->logits = wlmi_alloc_array(vocabulary_of(s), sizeof *s->logits);
    s->scratch = wlmi_alloc_array(vocabulary_of(s), sizeof *s->scratch);
    s->all = wlmi_alloc_array(words, sizeof *s->all);
    if (!s->logits || !s->scratch || !s->all) {
        wlm_session_free(s);
        return WLMI_NO_MEMORY(error);
    }
    memset(s->all, 0xff, words * sizeof *s->all);
    *session = s;
    return WLM_OK;
}

void wlm_session_free(wlm_session *s)
{
    if (!s)
        return;
    wlmi_stream_free(&s->stream);
    wlmi_rows_free(&s->rows);
    wlmi_free(s->logits);
    wlmi_free(s->scratch);
    wlmi_free(s->all);
    wlmi_free(s);
}

static wlm_status finish(wlm_status status, wlm_session **session)
{
    if (status != WLM_OK) {
        wlm_session_free(*session);
        *session = NULL;
    }
    return status;
}

wlm_status wlm_session_new(wlm_session **session, wlm_model *model, wlm_error *error)
{
    WLMI_TRY(make(session, model, error));
    return finish(wlmi_stream_new(&(*session)->stream, model->net, error), session);
}

wlm_status wlm_session_fork(const wlm_session *session, wlm_session **copy, wlm_error *error)
{
    WLMI_TRY(make(copy, session->model, error));
    memcpy((*copy)->logits, session->logits, vocabulary_of(session) * sizeof *session->logits);
    (*copy)->has_logits = session->has_logits;
    return finish(wlmi_stream_fork(&(*copy)->stream, &session->stream, session->model->net, error), copy);
}

wlm_status wlm_session_save(const wlm_session *s, void **bytes, size_t *size, wlm_error *error)
{
    return wlmi_stream_save(&s->stream, s->model->net, s->model->id, bytes, size, error);
}

wlm_status wlm_session_restore(wlm_session **session, wlm_model *model, const void *bytes, size_t size,
                               wlm_error *error)
{
    WLMI_TRY(make(session, model, error));
    return finish(wlmi_stream_restore(&(*session)->stream, model->net, model->id, bytes, size, error), session);
}

void wlm_bytes_free(void *bytes)
{
    wlmi_free(bytes);
}

static wlm_status check(const wlm_session *s, const wlm_input *input, size_t count, wlm_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (input[i].token < WLM_TOKEN_FLOW || input[i].token >= (int32_t)vocabulary_of(s) || input[i].packet < 0 ||
            input[i].role < 0 || input[i].role > (int32_t)s->model->codec->roles || input[i].measure < 0)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                             "input %zu: token %d, packet %d, role %d, measure %lld are not the model's", i,
                             input[i].token, input[i].packet, input[i].role, (long long)input[i].measure);
    return WLM_OK;
}

wlm_status wlm_session_feed(wlm_session *s, const wlm_input *input, size_t count, wlm_error *error)
{
    const int32_t vocabulary = (int32_t)vocabulary_of(s);
    wlmi_stream *stream = &s->stream;
    WLMI_TRY(check(s, input, count, error));
    for (size_t from = 0, n; from < count; from += n) {
        int32_t last;
        wlmi_batch batch;
        n = count - from < PIECE_ROWS ? count - from : PIECE_ROWS;
        wlmi_rows_clear(&s->rows);
        WLMI_TRY(wlmi_rows_reserve(&s->rows, n, error));
        for (size_t i = from; i < from + n; i++) {
            wlmi_rows_put(&s->rows, input[i].token < 0 ? vocabulary + WLMI_FLOW_ROW : input[i].token, input[i].packet,
                          input[i].role);
            wlmi_rows_measure(&s->rows, input[i].measure);
        }
        wlmi_rows_close(&s->rows);
        batch = wlmi_rows_batch(&s->rows);
        last = (int32_t)n - 1;
        s->has_logits = 0;
        WLMI_TRY(wlmi_net_logits(s->model->net, &batch, &stream, 1, &last, from + n == count, 0, vocabulary, s->logits,
                                 error));
        s->has_logits = from + n == count;
    }
    return WLM_OK;
}

wlm_status wlm_session_logits(const wlm_session *s, const float **logits, size_t *count, wlm_error *error)
{
    if (!s->has_logits)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "nothing was fed yet that logits could follow");
    *logits = s->logits;
    *count = vocabulary_of(s);
    return WLM_OK;
}

wlm_status wlm_session_sample(const wlm_session *s, double temperature, uint32_t top_k, double top_p,
                              const uint64_t *allowed, uint64_t seed, int32_t *token, wlm_error *error)
{
    const wlmi_sampling sampling = {temperature, top_k, top_p};
    const wlmi_allowed which = {allowed ? allowed : s->all, 0, (wlmi_token)(vocabulary_of(s) - 1), -1};
    const float *logits;
    size_t count;
    wlmi_rng rng;
    WLMI_TRY(wlmi_sampling_check(&sampling, error));
    WLMI_TRY(wlm_session_logits(s, &logits, &count, error));
    wlmi_rng_seed(&rng, wlmi_mix2(seed, s->stream.position));
    *token = wlmi_sample(&sampling, logits, (uint32_t)count, &which, NULL, s->scratch, &rng);
    if (*token < 0)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no token is allowed");
    return WLM_OK;
}

wlm_status wlm_session_ask(wlm_session *s, const char *task, uint32_t packets, wlm_label *top, size_t *count,
                           wlm_error *error)
{
    wlmi_stream *stream = &s->stream;
    float *share = NULL;
    size_t room = 0;
    wlmi_batch batch;
    wlm_status status;
    int which;
    WLMI_TRY(wlmi_query_task(s->model, task, &which, error));
    wlmi_rows_clear(&s->rows);
    WLMI_TRY(wlmi_query_rows(s->model, which, (int32_t)(packets < INT32_MAX ? packets : INT32_MAX), &s->rows, error));
    if (!wlmi_grow(&share, &room, (size_t)s->model->net->task[which].labels, sizeof *share))
        return WLMI_NO_MEMORY(error);
    batch = wlmi_rows_batch(&s->rows);
    status = wlmi_query_run(s->model, &batch, &stream, which, s->model->net->record.hide, share, error);
    if (status == WLM_OK)
        wlmi_query_rank(&s->model->net->task[which], share, top, count);
    wlmi_free(share);
    return status;
}

uint64_t wlm_session_position(const wlm_session *s)
{
    return s->stream.position;
}

size_t wlm_session_state_bytes(const wlm_session *s)
{
    return wlmi_stream_bytes(&s->stream, s->model->net);
}
