/* beside.c: what stands beside the tokens of a frame while it is written. */
#include "token/beside.h"

#include <string.h>

#include "base/alloc.h"
#include "token/transcode.h"

wlm_status wlmi_beside_bytes(wlmi_beside *b, const uint8_t *bytes, size_t size, wlm_error *error)
{
    if (!wlmi_grow(&b->bytes, &b->capacity, b->size + size, 1))
        return WLMI_NO_MEMORY(error);
    if (size)
        memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
    return WLM_OK;
}

wlm_status wlmi_beside_number(wlmi_beside *b, uint64_t n, wlm_error *error)
{
    uint8_t digits[10];
    size_t size = 0;
    for (; n > 127; n >>= 7)
        digits[size++] = (uint8_t)(n | 128);
    digits[size++] = (uint8_t)n;
    return wlmi_beside_bytes(b, digits, size, error);
}

wlm_status wlmi_beside_run(wlmi_beside *b, wlm_error *error)
{
    uint64_t n = b->run;
    b->run = 0;
    if (n == 0)
        return WLM_OK;
    WLMI_TRY(wlmi_beside_number(b, WLMI_BESIDE_RUN, error));
    return wlmi_beside_number(b, n, error);
}

wlm_status wlmi_beside_operation(wlmi_beside *b, int operation, uint64_t n, wlm_error *error)
{
    WLMI_TRY(wlmi_beside_run(b, error));
    WLMI_TRY(wlmi_beside_number(b, (uint64_t)operation, error));
    return wlmi_beside_number(b, n, error);
}

wlm_status wlmi_beside_literal(wlmi_beside *b, int operation, const uint8_t *bytes, size_t size, wlm_error *error)
{
    WLMI_TRY(wlmi_beside_operation(b, operation, size, error));
    return wlmi_beside_bytes(b, bytes, size, error);
}

void wlmi_beside_free(wlmi_beside *b)
{
    wlmi_free(b->bytes);
    *b = (wlmi_beside){0};
}
