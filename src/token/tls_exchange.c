/* tls_exchange.c: lengths, and what they are of. */
#include "token/tls_exchange.h"

#include <stddef.h>

enum { TLS_1_2 = 3 };
/* Of keys that anybody uses the shortest: 512 bits of RSA and Diffie-Hellman, 256 of elliptic curves. */
enum { NUMBER = 2 + 64, GENERATOR = 2 + 1, POINT = 1 + 32, POINT_MAX = 1 + 255 };
enum { HASH_AND_SIGNATURE = 2, SIGNATURE = 2 + 64 /* behind that */ };

typedef enum exchange { OTHER, RSA, DIFFIE_HELLMAN, ELLIPTIC } exchange;

/* Ranges of suites whose servers send keys that they sign, or none but the certificate's (IANA's registry). */
static const struct {
    uint16_t from, to;
    exchange exchange;
} suites[] = {
    {0x0001, 0x000a, RSA},             {0x0011, 0x0016, DIFFIE_HELLMAN}, {0x002f, 0x002f, RSA},
    {0x0032, 0x0033, DIFFIE_HELLMAN},  {0x0035, 0x0035, RSA},            {0x0038, 0x0039, DIFFIE_HELLMAN},
    {0x003b, 0x003d, RSA},             {0x0040, 0x0040, DIFFIE_HELLMAN}, {0x0041, 0x0041, RSA},
    {0x0044, 0x0045, DIFFIE_HELLMAN},  {0x0067, 0x0067, DIFFIE_HELLMAN}, {0x006a, 0x006b, DIFFIE_HELLMAN},
    {0x0084, 0x0084, RSA},             {0x0087, 0x0088, DIFFIE_HELLMAN}, {0x0096, 0x0096, RSA},
    {0x009c, 0x009d, RSA},             {0x009e, 0x009f, DIFFIE_HELLMAN}, {0x00a2, 0x00a3, DIFFIE_HELLMAN},
    {0xc006, 0xc00a, ELLIPTIC},        {0xc010, 0xc014, ELLIPTIC},       {0xc023, 0xc024, ELLIPTIC},
    {0xc027, 0xc028, ELLIPTIC},        {0xc02b, 0xc02c, ELLIPTIC},       {0xc02f, 0xc030, ELLIPTIC},
    {0xc09c, 0xc09d, RSA},             {0xc09e, 0xc09f, DIFFIE_HELLMAN}, {0xc0ac, 0xc0ad, ELLIPTIC},
    {0xcca8, 0xcca9, ELLIPTIC},        {0xccaa, 0xccaa, DIFFIE_HELLMAN}};

static exchange exchange_of(uint16_t suite)
{
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        if (suite >= suites[i].from && suite <= suites[i].to)
            return suites[i].exchange;
    return OTHER;
}

int wlmi_tls_ends_with_hello(const wlmi_tls_agreed *agreed)
{
    return agreed->suite >> 8 == WLMI_TLS_1_3_SUITE >> 8;
}

static uint32_t least_signature(const wlmi_tls_agreed *agreed)
{
    return SIGNATURE + (agreed->minor == TLS_1_2 ? HASH_AND_SIGNATURE : 0);
}

int wlmi_tls_exchange_fits(const wlmi_tls_agreed *agreed, unsigned type, uint32_t size)
{
    enum { CURVE = 3, REQUEST = 1 + 1 + 2 };
    const exchange e = exchange_of(agreed->suite);
    switch (type) {
    case WLMI_TLS_SERVER_EXCHANGE:
        return e == DIFFIE_HELLMAN ? size >= 2 * NUMBER + GENERATOR + least_signature(agreed)
               : e == ELLIPTIC     ? size >= CURVE + POINT + least_signature(agreed)
                                   : e == OTHER && size > 0;
    case WLMI_TLS_CLIENT_EXCHANGE:
        return e == ELLIPTIC ? size >= POINT && size <= POINT_MAX : size >= (e == OTHER ? 1 : NUMBER);
    case WLMI_TLS_CERTIFICATE_VERIFY: return size >= least_signature(agreed);
    case WLMI_TLS_CERTIFICATE_REQUEST: return size >= REQUEST + (agreed->minor == TLS_1_2 ? 2 + 2 : 0);
    }
    return 1;
}

static wlmi_progress read_signature(wlmi_reader *r, const wlmi_tls_agreed *agreed, uint32_t end)
{
    if (agreed->minor == TLS_1_2)
        WLMI_STEP(wlmi_read_any(r, HASH_AND_SIGNATURE));
    WLMI_STEP(wlmi_read_value(r, 2, end - r->at - 2));
    return wlmi_read_any(r, end - r->at);
}

typedef struct part {
    wlmi_room room;
    uint32_t least;
} part;

static int can_be_part(const void *context, uint32_t length)
{
    const part *p = context;
    return length >= p->least && wlmi_can_take(&p->room, length);
}

/* A part of at least so many bytes, with its length of so many; `behind` have to be left. */
static wlmi_progress read_part(wlmi_reader *r, unsigned length_bytes, uint32_t least, uint32_t end, uint32_t behind)
{
    const part p = {{end - r->at - length_bytes, behind, 0}, least - length_bytes};
    uint32_t length = 0;
    WLMI_STEP(wlmi_read_number(r, length_bytes, can_be_part, &p, p.room.left, &length));
    return wlmi_read_any(r, length);
}

static wlmi_progress read_server_exchange(wlmi_reader *r, const wlmi_tls_agreed *agreed, uint32_t end)
{
    enum { NAMED_CURVE = 3 };
    const uint32_t signature = least_signature(agreed);
    if (exchange_of(agreed->suite) == ELLIPTIC) {
        WLMI_STEP(wlmi_read_byte(r, NAMED_CURVE, NAMED_CURVE));
        WLMI_STEP(wlmi_read_byte(r, 0, 0)); /* of curves in use */
        WLMI_STEP(wlmi_read_any(r, 1));
        WLMI_STEP(read_part(r, 1, POINT, end, signature));
    } else {
        WLMI_STEP(read_part(r, 2, NUMBER, end, GENERATOR + NUMBER + signature));
        WLMI_STEP(read_part(r, 2, GENERATOR, end, NUMBER + signature));
        WLMI_STEP(read_part(r, 2, NUMBER, end, signature));
    }
    return read_signature(r, agreed, end);
}

static int is_even(const void *context, uint32_t length)
{
    const wlmi_room *room = context;
    return length % 2 == 0 && wlmi_can_take(room, length);
}

/* Which kinds of certificates, signatures and authorities will do; any authority, where the rest is as long as it says. */
static wlmi_progress read_request(wlmi_reader *r, const wlmi_tls_agreed *agreed, uint32_t end)
{
    enum { AUTHORITIES = 2, SIGNATURES = 2 + 2 };
    const int has_signatures = agreed->minor == TLS_1_2;
    uint32_t length = 0;
    WLMI_STEP(read_part(r, 1, 1 + 1, end, AUTHORITIES + (has_signatures ? SIGNATURES : 0u)));
    if (has_signatures) {
        const wlmi_room room = {end - r->at - 2, AUTHORITIES, 0};
        WLMI_STEP(wlmi_read_number(r, 2, is_even, &room, room.left, &length));
        WLMI_STEP(wlmi_read_any(r, length));
    }
    WLMI_STEP(wlmi_read_value(r, 2, end - r->at - 2));
    return wlmi_read_any(r, end - r->at);
}

wlmi_progress wlmi_tls_read_exchange(wlmi_reader *r, const wlmi_tls_agreed *agreed, unsigned type, uint32_t end)
{
    const exchange e = exchange_of(agreed->suite);
    if (type == WLMI_TLS_CERTIFICATE_VERIFY)
        return read_signature(r, agreed, end);
    if (type == WLMI_TLS_CERTIFICATE_REQUEST)
        return read_request(r, agreed, end);
    if (type == WLMI_TLS_SERVER_EXCHANGE && (e == DIFFIE_HELLMAN || e == ELLIPTIC))
        return read_server_exchange(r, agreed, end);
    if (type == WLMI_TLS_CLIENT_EXCHANGE && e != OTHER)
        WLMI_STEP(wlmi_read_value(r, e == ELLIPTIC ? 1 : 2, end - r->at - (e == ELLIPTIC ? 1 : 2)));
    return wlmi_read_any(r, end - r->at);
}
