/* model_handle.c: makes models, and opens checkpoints for use. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/io.h"
#include "model/summary.h"
#include "model/place.h"
#include "task/handle.h"

wlm_status wlmi_handle_codec(const wlmi_record *record, const char *path, const wlmi_codec **codec, wlm_error *error)
{
    char hash[65];
    *codec = record->codec[0] ? wlmi_codec_find(record->codec) : NULL;
    if (!*codec)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, path, WLM_NO_OFFSET,
                         "made with codec '%s', which this build does not know", record->codec);
    wlmi_codec_hash(*codec, hash);
    if (strcmp(hash, record->codec_hash))
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, path, WLM_NO_OFFSET,
                         "made with another version of codec '%s' than this build has", record->codec);
    return WLM_OK;
}

static wlm_status check_measures(wlmi_embeddings embeddings, const wlmi_codec *codec, wlm_error *error)
{
    if ((embeddings.summary || embeddings.places) && !codec->measure)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "codec %s gives no sizes, times and places that %s could be made of", codec->name,
                         embeddings.summary ? "a summary" : "their embedding");
    return WLM_OK;
}

wlm_status wlmi_handle_new_net(wlmi_net **net, const char *preset, wlmi_embeddings embeddings, const wlmi_codec *codec,
                               const wlmi_backend *backend, uint64_t seed, wlm_error *error)
{
    wlmi_config config;
    wlmi_record *record;
    WLMI_TRY(check_measures(embeddings, codec, error));
    WLMI_TRY(wlmi_config_preset(&config, preset, error));
    config.vocabulary = (int)codec->vocabulary;
    if (embeddings.segments)
        config.packet_rows = embeddings.segments;
    if (config.role_rows || embeddings.roles)
        config.role_rows = (int)codec->roles + 1; /* the last for rows that are no tokens of the codec */
    config.place_rows = embeddings.places ? WLMI_PLACE_ROWS : 0;
    WLMI_TRY(wlmi_net_new(net, &config, backend, seed, error));
    record = &(*net)->record;
    snprintf(record->codec, sizeof record->codec, "%s", codec->name);
    wlmi_codec_hash(codec, record->codec_hash);
    record->hide = WLM_HIDE_IDS;
    record->payload = WLM_PAYLOAD_FULL;
    return WLM_OK;
}

wlm_status wlmi_handle_extend(wlmi_net *net, wlmi_embeddings embeddings, const wlmi_codec *codec, wlm_error *error)
{
    if (!embeddings.segments && !embeddings.roles && !embeddings.places && !embeddings.summary)
        return WLM_OK;
    WLMI_TRY(check_measures(embeddings, codec, error));
    return wlmi_net_extend(net, embeddings.segments, embeddings.roles ? (int)codec->roles + 1 : 0,
                           embeddings.places ? WLMI_PLACE_ROWS : 0, embeddings.summary ? WLMI_SUMMARY_TREES : 0, error);
}

static wlm_status load(wlm_model *model, const char *path, int threads, wlm_error *error)
{
    const wlmi_backend *backend = wlmi_backend_find(NULL);
    char hash[65];
    wlmi_map map;
    wlm_status status;
    backend->set_threads(threads);
    model->path = wlmi_strdup(path);
    if (!model->path)
        return WLMI_NO_MEMORY(error);
    WLMI_TRY(wlmi_map_open(&map, path, error));
    status = wlmi_checkpoint_load_memory(&model->net, map.data, map.size, path, backend, error);
    if (status == WLM_OK) {
        wlmi_sha256_of(map.data, map.size, hash);
        snprintf(model->id, sizeof model->id, "sha256:%s", hash);
    }
    wlmi_map_close(&map);
    if (status == WLM_OK)
        status = wlmi_handle_codec(&model->net->record, path, &model->codec, error);
    if (status == WLM_OK && (uint32_t)model->net->config.vocabulary != model->codec->vocabulary)
        status = wlmi_fail(error, WLM_ERR_FORMAT, path, WLM_NO_OFFSET, "%d rows for the %u tokens of its codec",
                           model->net->config.vocabulary, model->codec->vocabulary);
    return status;
}

wlm_status wlm_model_load(wlm_model **out, const char *path, int threads, wlm_error *error)
{
    wlm_model *model = wlmi_alloc_zero(1, sizeof *model);
    wlm_status status = model ? load(model, path, threads, error) : WLMI_NO_MEMORY(error);
    *out = NULL;
    if (status == WLM_OK)
        *out = model;
    else
        wlm_model_free(model);
    return status;
}

wlm_status wlm_model_quantise(wlm_model *model, int on, wlm_error *error)
{
    return wlmi_net_quantise(model->net, on, error);
}

wlm_status wlm_model_average(wlm_model *model, const wlm_model *other, double share, wlm_error *error)
{
    return wlmi_in_file(error, wlmi_net_average(model->net, other->net, share, error), other->path);
}

wlm_status wlm_model_save(const wlm_model *model, const char *path, wlm_dtype dtype, wlm_error *error)
{
    return wlmi_checkpoint_save_as(model->net, path, dtype, error);
}

void wlm_model_free(wlm_model *model)
{
    if (!model)
        return;
    wlmi_net_free(model->net);
    wlmi_free(model->path);
    wlmi_free(model);
}
