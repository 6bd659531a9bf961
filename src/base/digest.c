/* digest.c: SHA-256 and SHA-1 from libmd. */
#include "base/digest.h"

#include <sha1.h>
#include <sha2.h>
#include <string.h>

_Static_assert(sizeof(SHA2_CTX) <= sizeof(wlmi_sha256), "wlmi_sha256 must hold libmd's context");

void wlmi_sha256_init(wlmi_sha256 *state)
{
    SHA256Init((SHA2_CTX *)state);
}

void wlmi_sha256_update(wlmi_sha256 *state, const void *data, size_t size)
{
    if (size)
        SHA256Update((SHA2_CTX *)state, data, size);
}

void wlmi_sha256_final(wlmi_sha256 *state, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256Final(digest, (SHA2_CTX *)state);
    for (size_t i = 0; i < sizeof digest; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = 0;
}

void wlmi_sha256_of(const void *data, size_t size, char hex[65])
{
    wlmi_sha256 state;
    wlmi_sha256_init(&state);
    wlmi_sha256_update(&state, data, size);
    wlmi_sha256_final(&state, hex);
}

void wlmi_sha1_of(const void *data, size_t size, uint8_t digest[20])
{
    SHA1_CTX state;
    SHA1Init(&state);
    SHA1Update(&state, data, size);
    SHA1Final(digest, &state);
}
