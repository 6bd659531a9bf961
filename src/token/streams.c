/* streams.c: the token streams of a token file. A slot keeps its coder, so that flows cost no allocation. */
#include "token/streams.h"

#include "base/alloc.h"
#include "base/rng.h"

uint32_t wlmi_streams_flows(const wlmi_codec *codec, int capture)
{
    return capture ? codec->flows : WLMI_STREAMS_MAX;
}

wlm_status wlmi_streams_make(wlmi_streams *s, const wlmi_codec *codec, const wlmi_coder_options *options,
                             uint32_t slots, wlm_error *error)
{
    s->codec = codec;
    s->options = *options;
    s->coder = wlmi_alloc_zero(slots, sizeof *s->coder);
    s->is_open = wlmi_alloc_zero(slots, 1);
    s->slots = s->coder && s->is_open ? slots : 0;
    return s->slots ? WLM_OK : WLMI_NO_MEMORY(error);
}

wlm_status wlmi_streams_open(wlmi_streams *s, uint32_t slot, int64_t start_ns, wlm_error *error)
{
    wlmi_coder_options options = s->options;
    if (!s->coder[slot])
        WLMI_TRY(s->codec->make(&s->coder[slot], error));
    options.start_ns = start_ns;
    if (s->opened)
        options.seed = wlmi_mix2(options.seed, s->opened);
    s->codec->start(s->coder[slot], &options);
    s->is_open[slot] = 1;
    s->open++;
    s->opened++;
    return WLM_OK;
}

void wlmi_streams_close(wlmi_streams *s, uint32_t slot)
{
    s->is_open[slot] = 0;
    s->open--;
}

wlmi_coder *wlmi_streams_at(const wlmi_streams *s, uint64_t slot)
{
    return slot < s->slots && s->is_open[slot] ? s->coder[slot] : NULL;
}

void wlmi_streams_free(wlmi_streams *s)
{
    for (uint32_t i = 0; i < s->slots; i++)
        if (s->coder[i])
            s->codec->drop(s->coder[i]);
    wlmi_free(s->coder);
    wlmi_free(s->is_open);
    *s = (wlmi_streams){0};
}
