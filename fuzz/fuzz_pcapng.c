/* fuzz_pcapng.c: the same for blocks of pcapng, which follow a section and an interface that are right. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "token/transcode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const wlmi_coder_options whole = {0};
    static const uint8_t begin[] = {0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
                                    255, 255, 255, 255, 255, 255, 255, 255, 28, 0, 0, 0,
                                    1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 20, 0, 0, 0};
    uint8_t *file = malloc(sizeof begin + size);
    wlm_capture *capture;
    wlm_error error;
    if (!file)
        return 0;
    memcpy(file, begin, sizeof begin);
    if (size)
        memcpy(file + sizeof begin, data, size);
    if (wlm_capture_open_memory(&capture, file, sizeof begin + size, "input", &error) != WLM_OK ||
        wlmi_verify_capture(capture, "input", wlmi_codec_find(NULL), &whole, NULL, &error) != WLM_OK) {
        fprintf(stderr, "offset %llu: %s\n", (unsigned long long)error.offset, error.cause);
        abort();
    }
    free(file);
    return 0;
}
