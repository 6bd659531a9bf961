/* handle.h: what the public wlm_model is made of, for the tasks that use one. */
#ifndef WLMI_HANDLE_H
#define WLMI_HANDLE_H

#include "model/model.h"
#include "token/codec.h"

struct wlm_model {
    wlmi_net *net;
    const wlmi_codec *codec; /* the one it was trained on; its hash was checked */
    char *path;
    char id[72];             /* "sha256:..." of the checkpoint file */
};

/* The codec that a record names, if this build has the very same; path is for the error. */
wlm_status wlmi_handle_codec(const wlmi_record *record, const char *path, const wlmi_codec **codec, wlm_error *error);

/* What a preset leaves open. */
typedef struct wlmi_embeddings {
    int roles;    /* an embedding of the role of the token to come, whatever the preset says */
    int places;   /* and where the byte to come stands in its payload (model/place.h) */
    int segments; /* rows of an embedding of the packet's index in its flow; 0: as the preset has it */
    int summary;  /* a summary (model/summary.h), of a model that is there */
} wlmi_embeddings;

/* A new model of a preset for a codec, its record saying so; hide ids, full payload. */
wlm_status wlmi_handle_new_net(wlmi_net **net, const char *preset, wlmi_embeddings embeddings, const wlmi_codec *codec,
                               const wlmi_backend *backend, uint64_t seed, wlm_error *error);
/* The same for a model that is there: what it lacks of these is zero at first, so that it answers as before. */
wlm_status wlmi_handle_extend(wlmi_net *net, wlmi_embeddings embeddings, const wlmi_codec *codec, wlm_error *error);

#endif
