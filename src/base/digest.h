/* digest.h: SHA-256 and SHA-1 (libmd behind one boundary). */
#ifndef WLMI_DIGEST_H
#define WLMI_DIGEST_H

#include "base/status.h"

typedef struct wlmi_sha256 {
    uint64_t opaque[32];
} wlmi_sha256;

void wlmi_sha256_init(wlmi_sha256 *state);
void wlmi_sha256_update(wlmi_sha256 *state, const void *data, size_t size);
void wlmi_sha256_final(wlmi_sha256 *state, char hex[65]);
void wlmi_sha256_of(const void *data, size_t size, char hex[65]);
void wlmi_sha1_of(const void *data, size_t size, uint8_t digest[20]);

#endif
