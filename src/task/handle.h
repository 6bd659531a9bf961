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

#endif
