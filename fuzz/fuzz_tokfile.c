/* fuzz_tokfile.c: no token file, whatever it holds, harms who decodes it. Checksums would keep a fuzzer at the gate:
 * those of headers are made right first, and a frame that is not compressed is wrapped so that it is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cursor.h"
#include "token/transcode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static wlm_status read_memory(void *owner, void *out, size_t size, size_t *got, wlm_error *error)
{
    wlmi_cursor *c = owner;
    (void)error;
    *got = size < wlmi_left(c) ? size : wlmi_left(c);
    if (*got)
        memcpy(out, wlmi_take(c, *got), *got);
    return WLM_OK;
}

static wlm_status swallow(void *owner, const void *data, size_t size, wlm_error *error)
{
    (void)owner;
    (void)data;
    (void)size;
    (void)error;
    return WLM_OK;
}

static void decode(const uint8_t *file, size_t size)
{
    wlmi_cursor cursor = wlmi_cursor_over(file, size);
    wlmi_unpacker *unpacker;
    if (wlmi_unpacker_new(&unpacker, (wlmi_source){read_memory, &cursor, "input"}, (wlmi_sink){swallow, NULL}, NULL))
        return;
    while (wlmi_unpacker_step(unpacker, NULL) == WLM_OK)
        ;
    wlmi_unpacker_free(unpacker);
}

enum { HEAD = 124 };

static size_t head(uint8_t *file, wlm_unit unit)
{
    const wlmi_codec *codec = wlmi_codec_find("bytes");
    char hash[65];
    memset(file, 0, HEAD);
    memcpy(file, "\x89WLMTOK\n", 8);
    file[8] = 3;
    file[10] = (uint8_t)unit;
    wlmi_store_le32(file + 12, codec->version);
    memcpy(file + 16, codec->name, strlen(codec->name));
    wlmi_codec_hash(codec, hash);
    memcpy(file + 32, hash, 64);
    wlmi_store_le32(file + 104, WLM_PAYLOAD_FULL);
    wlmi_store_le32(file + 116, unit == WLM_UNIT_FLOW ? 4 : 0);
    wlmi_store_le32(file + 120, (uint32_t)crc32(0, file, 120));
    return HEAD;
}

/* Two bytes that say how many tokens there are (the highest bit: of unit flow), these in one byte each so that the
 * fuzzer finds them, then what stands beside them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file, *raw;
    size_t tokens, beside, raw_size, packed, at;
    decode(data, size);
    if (size < 2)
        return 0;
    tokens = (wlmi_load_le16(data) & 0x7fffu) % (size - 1);
    beside = size - 2 - tokens;
    raw_size = 2 * tokens + beside;
    raw = malloc(raw_size + 1);
    file = malloc(HEAD + 24 + ZSTD_compressBound(raw_size));
    if (raw && file) {
        for (size_t i = 0; i < tokens; i++) { /* 250..254 stand for the tokens that are no bytes */
            uint8_t b = data[2 + i];
            wlmi_store_le16(raw + 2 * i, (uint16_t)(b >= 250 && b < 255 ? b + 6 : b));
        }
        memcpy(raw + 2 * tokens, data + 2 + tokens, beside);
        at = head(file, data[1] >> 7 ? WLM_UNIT_FLOW : WLM_UNIT_CAPTURE);
        packed = ZSTD_compress(file + at + 24, ZSTD_compressBound(raw_size), raw, raw_size, 1);
        memcpy(file + at, "FRM1", 4);
        wlmi_store_le32(file + at + 4, (uint32_t)tokens);
        wlmi_store_le32(file + at + 8, (uint32_t)beside);
        wlmi_store_le32(file + at + 12, (uint32_t)packed);
        wlmi_store_le32(file + at + 16, (uint32_t)crc32(0, file + at + 24, (uInt)packed));
        wlmi_store_le32(file + at + 20, (uint32_t)crc32(0, file + at, 20));
        decode(file, at + 24 + packed);
    }
    free(raw);
    free(file);
    return 0;
}
