/* info_capture.h: what captures and token files hold, as JSON. */
#ifndef WLMI_INFO_CAPTURE_H
#define WLMI_INFO_CAPTURE_H

#include "base/status.h"

/* A token file is read up to its trailer, a capture to its end or damage; anything else is WLM_ERR_UNSUPPORTED. */
wlm_status wlmi_describe_packets(const char *path, char **json, wlm_error *error);

#endif
