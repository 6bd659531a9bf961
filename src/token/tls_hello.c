/* tls_hello.c: each length permits what leaves the rest of the hello, or of its extensions, a way to end where it must. */
#include "token/tls_hello.h"

#include <stddef.h>

#include "base/cursor.h"

enum { RANDOM = 32, SESSION_MAX = 32, VERSION_MAJOR = 3, VERSION_MINOR_MAX = 3, EXTENSION = 4 };

typedef enum form { /* of what an extension holds */
    ANY,
    EMPTY,
    ONE,     /* byte */
    TWO,
    BYTES,   /* at least one, behind a length of one byte */
    INFO,    /* the same, or none */
    COOKIE,  /* at least one, behind a length of two */
    PAIRS,   /* of bytes, behind a length of two */
    FEW_PAIRS, /* behind a length of one */
    STRINGS, /* behind a length of two, each behind one of its own */
    BARE_STRINGS,
    NAME,    /* a list of one server name */
    STATUS,  /* a request by OCSP that names nobody */
    SHARES,  /* of keys: behind a length, each of a group and a length */
    SHARE,   /* one of them */
    NEVER,
    FORMS
} form;

typedef enum where { CLIENT, SERVER, SERVER_1_3, WHERES } where;

/* Extensions in use whose contents are known here: type; form in hellos of clients, of servers, and of those that agree to
 * TLS 1.3. IANA's registry, with NPN, ALPS in two numbers, channel id and its predecessor's, renegotiation. */
#define EXTENSIONS \
    X(0, NAME, EMPTY, NEVER) X(1, ONE, ONE, NEVER) X(5, STATUS, EMPTY, NEVER) X(10, PAIRS, PAIRS, NEVER) \
    X(11, BYTES, BYTES, NEVER) X(13, PAIRS, NEVER, NEVER) X(15, ONE, ONE, NEVER) \
    X(16, STRINGS, STRINGS, NEVER) X(18, EMPTY, NEVER, NEVER) X(21, ANY, NEVER, NEVER) \
    X(22, EMPTY, EMPTY, NEVER) X(23, EMPTY, EMPTY, NEVER) X(27, FEW_PAIRS, NEVER, NEVER) \
    X(28, TWO, TWO, NEVER) X(34, PAIRS, NEVER, NEVER) X(35, ANY, EMPTY, NEVER) X(42, EMPTY, NEVER, NEVER) \
    X(43, FEW_PAIRS, NEVER, TWO) X(44, COOKIE, COOKIE, NEVER) X(45, BYTES, NEVER, NEVER) \
    X(49, EMPTY, NEVER, NEVER) X(50, PAIRS, NEVER, NEVER) X(51, SHARES, NEVER, SHARE) \
    X(13172, EMPTY, BARE_STRINGS, NEVER) X(17513, STRINGS, NEVER, NEVER) X(17613, STRINGS, NEVER, NEVER) \
    X(30031, EMPTY, EMPTY, NEVER) X(30032, EMPTY, EMPTY, NEVER) X(65281, INFO, INFO, NEVER)
#define X(type, ...) {__VA_ARGS__},
static const uint8_t forms[][WHERES] = {EXTENSIONS};
#undef X
#define X(type, ...) type,
/* The same, and those of no meaning (RFC 8701), which from a client may hold anything. */
static const uint16_t types[] = {EXTENSIONS 0x0a0a, 0x1a1a, 0x2a2a, 0x3a3a, 0x4a4a, 0x5a5a, 0x6a6a, 0x7a7a, 0x8a8a,
                                 0x9a9a, 0xaaaa, 0xbaba, 0xcaca, 0xdada, 0xeaea, 0xfafa};
#undef X
enum { KNOWN = sizeof forms / sizeof *forms, TYPES = sizeof types / sizeof *types };

/* The shortest of a form, and the longest. */
static const struct {
    uint16_t least, most;
} sizes[FORMS] = {[ANY] = {0, UINT16_MAX}, [EMPTY] = {0, 0},  [ONE] = {1, 1}, [TWO] = {2, 2}, [BYTES] = {2, 256},
                  [INFO] = {1, 256}, [COOKIE] = {3, UINT16_MAX},
                  [PAIRS] = {4, UINT16_MAX}, [FEW_PAIRS] = {3, 255}, [STRINGS] = {4, UINT16_MAX},
                  [BARE_STRINGS] = {0, UINT16_MAX}, [NAME] = {6, 260}, [STATUS] = {5, 5}, [SHARES] = {7, UINT16_MAX},
                  [SHARE] = {5, UINT16_MAX}, [NEVER] = {1, 0}};

static int index_of(uint32_t type)
{
    int i = 0;
    while (i < TYPES && types[i] != type)
        i++;
    return i;
}

static form form_of(int i, where w)
{
    return i < KNOWN ? (form)forms[i][w] : w == CLIENT ? ANY : NEVER;
}

static int fits(form f, uint32_t size)
{
    if (size < sizes[f].least || size > sizes[f].most)
        return 0;
    switch (f) {
    case PAIRS: return size % 2 == 0;
    case FEW_PAIRS: return size % 2 == 1;
    case BARE_STRINGS: return size != 1;
    default: return 1;
    }
}

/* ---------------------------------------------------------------- what extensions hold */

/* Pieces up to `end`: `before` bytes, a length of so many, as many bytes. */
static wlmi_progress read_pieces(wlmi_reader *r, uint32_t end, uint32_t before, unsigned length_bytes)
{
    while (r->at < end) {
        const wlmi_room room = {end - r->at - before - length_bytes, before + length_bytes + 1, 1};
        uint32_t length = 0;
        if (end - r->at < room.least)
            return WLMI_WRONG;
        WLMI_STEP(wlmi_read_any(r, before));
        WLMI_STEP(wlmi_read_number(r, length_bytes, wlmi_can_take, &room, room.left, &length));
        WLMI_STEP(wlmi_read_any(r, length));
    }
    return WLMI_READ;
}

static int can_be_in_name(const void *context, uint32_t byte)
{
    (void)context;
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '.' || byte == '_';
}

static wlmi_progress read_name(wlmi_reader *r, uint32_t end)
{
    enum { HOST = 0 };
    uint32_t ignored;
    WLMI_STEP(wlmi_read_value(r, 2, end - r->at - 2));
    WLMI_STEP(wlmi_read_byte(r, HOST, HOST));
    WLMI_STEP(wlmi_read_value(r, 2, end - r->at - 2));
    while (r->at < end)
        WLMI_STEP(wlmi_read_number(r, 1, can_be_in_name, NULL, UINT8_MAX, &ignored));
    return WLMI_READ;
}

static wlmi_progress read_held(wlmi_reader *r, form f, uint32_t end)
{
    enum { OCSP = 1 };
    const uint32_t size = end - r->at;
    switch (f) {
    case BYTES:
    case INFO:
    case FEW_PAIRS: WLMI_STEP(wlmi_read_value(r, 1, size - 1)); break;
    case COOKIE:
    case PAIRS: WLMI_STEP(wlmi_read_value(r, 2, size - 2)); break;
    case STRINGS: WLMI_STEP(wlmi_read_value(r, 2, size - 2)); return read_pieces(r, end, 0, 1);
    case BARE_STRINGS: return read_pieces(r, end, 0, 1);
    case NAME: return read_name(r, end);
    case STATUS: WLMI_STEP(wlmi_read_byte(r, OCSP, OCSP)); return wlmi_read_value(r, 4, 0);
    case SHARES: WLMI_STEP(wlmi_read_value(r, 2, size - 2)); return read_pieces(r, end, 2, 2);
    case SHARE:
        WLMI_STEP(wlmi_read_any(r, 2));
        WLMI_STEP(wlmi_read_value(r, 2, size - 4));
        break;
    default: break;
    }
    return wlmi_read_any(r, end - r->at);
}

/* ---------------------------------------------------------------- extensions */

typedef struct extension {
    uint32_t left; /* bytes behind its length */
    where where;
    uint64_t seen; /* by index */
    form form;
} extension;

/* Whether one more can take exactly the bytes that are left. */
static int can_end_list(const extension *e, uint32_t left)
{
    for (int i = 0; left >= EXTENSION && i < TYPES; i++)
        if (!(e->seen >> i & 1) && fits(form_of(i, e->where), left - EXTENSION))
            return 1;
    return left == 0;
}

static int can_hold(const void *context, uint32_t length)
{
    const extension *e = context;
    return length <= e->left && fits(e->form, length) && can_end_list(e, e->left - length);
}

/* Once each; the shortest there is, or all that is left, lets the others fit. */
static int can_be_type(const void *context, uint32_t type)
{
    const int i = index_of(type);
    extension e = *(const extension *)context;
    e.form = form_of(i, e.where);
    if (e.seen >> i & 1)
        return 0;
    e.seen |= UINT64_C(1) << i;
    for (uint32_t more = 0; more <= EXTENSION; more++)
        if (can_hold(&e, sizes[e.form].least + more))
            return 1;
    return can_hold(&e, e.left);
}

static wlmi_progress read_extensions(wlmi_reader *r, where w, uint32_t end)
{
    extension e = {.where = w};
    while (r->at < end) {
        uint32_t type = 0, length = 0;
        if (end - r->at < EXTENSION)
            return WLMI_WRONG;
        e.left = end - r->at - EXTENSION;
        WLMI_STEP(wlmi_read_listed(r, types, TYPES, can_be_type, &e, &type));
        e.form = form_of(index_of(type), w);
        e.seen |= UINT64_C(1) << index_of(type);
        WLMI_STEP(wlmi_read_number(r, 2, can_hold, &e, e.left, &length));
        WLMI_STEP(read_held(r, e.form, r->at + length));
    }
    return WLMI_READ;
}

/* ---------------------------------------------------------------- hellos */

/* Whether so many bytes can be the end of a hello: none, or a length and extensions. */
static int can_end(uint32_t left)
{
    return left == 0 || left == 2 || left >= 2 + EXTENSION;
}

static wlmi_progress read_end(wlmi_reader *r, where w, uint32_t end)
{
    if (r->at == end)
        return WLMI_READ;
    WLMI_STEP(wlmi_read_value(r, 2, end - r->at - 2));
    return read_extensions(r, w, end);
}

/* Behind a client's session: at least one cipher suite, and one or two methods of compression. */
enum { SUITES_LEAST = 2 + 2, METHODS_LEAST = 1 + 1, METHODS_MAX = 2 };

static int can_be_client_session(const void *context, uint32_t length)
{
    const uint32_t left = *(const uint32_t *)context;
    return length <= SESSION_MAX && left >= length + SUITES_LEAST + METHODS_LEAST;
}

static int can_be_server_session(const void *context, uint32_t length)
{
    enum { BEHIND = 3 }; /* suite and method */
    const uint32_t left = *(const uint32_t *)context;
    return length <= SESSION_MAX && left >= length + BEHIND && can_end(left - length - BEHIND);
}

static int can_be_methods(const void *context, uint32_t length)
{
    const uint32_t left = *(const uint32_t *)context;
    return length && length <= METHODS_MAX && length <= left && can_end(left - length);
}

static int can_be_suites(const void *context, uint32_t length)
{
    const uint32_t left = *(const uint32_t *)context;
    if (!length || length % 2 || left < length + METHODS_LEAST)
        return 0;
    const uint32_t behind = left - length - 1;
    return can_be_methods(&behind, 1) || can_be_methods(&behind, 2);
}

static wlmi_progress read_begin(wlmi_reader *r)
{
    WLMI_STEP(wlmi_read_byte(r, VERSION_MAJOR, VERSION_MAJOR));
    WLMI_STEP(wlmi_read_byte(r, 0, VERSION_MINOR_MAX));
    return wlmi_read_any(r, RANDOM);
}

wlmi_progress wlmi_tls_read_client_hello(wlmi_reader *r, uint32_t end)
{
    uint32_t length = 0, left;
    WLMI_STEP(read_begin(r));
    left = end - r->at - 1;
    WLMI_STEP(wlmi_read_number(r, 1, can_be_client_session, &left, UINT8_MAX, &length));
    WLMI_STEP(wlmi_read_any(r, length));
    left = end - r->at - 2;
    WLMI_STEP(wlmi_read_number(r, 2, can_be_suites, &left, left, &length));
    WLMI_STEP(wlmi_read_any(r, length));
    left = end - r->at - 1;
    WLMI_STEP(wlmi_read_number(r, 1, can_be_methods, &left, UINT8_MAX, &length));
    while (length--)
        WLMI_STEP(wlmi_read_byte(r, 0, length)); /* the last is no compression */
    return read_end(r, CLIENT, end);
}

typedef struct choice { /* of a suite */
    wlmi_can_be can_agree;
    const void *context;
    uint32_t left; /* bytes behind it */
} choice;

/* TLS 1.3 has its own extensions, and needs them. */
static int can_choose(const void *context, uint32_t suite)
{
    enum { METHOD = 1, LENGTH = 2 };
    const choice *c = context;
    const wlmi_tls_agreed agreed = {.suite = (uint16_t)suite};
    const extension e = {.where = SERVER_1_3};
    return (!wlmi_tls_ends_with_hello(&agreed) ||
            (c->left > METHOD + LENGTH && can_end_list(&e, c->left - METHOD - LENGTH))) &&
           c->can_agree(c->context, suite);
}

wlmi_progress wlmi_tls_read_server_hello(wlmi_reader *r, wlmi_can_be can_agree, const void *context, uint32_t end)
{
    uint32_t length = 0, left, suite = 0;
    WLMI_STEP(read_begin(r));
    left = end - r->at - 1;
    WLMI_STEP(wlmi_read_number(r, 1, can_be_server_session, &left, UINT8_MAX, &length));
    WLMI_STEP(wlmi_read_any(r, length));
    const choice c = {can_agree, context, end - r->at - 2};
    WLMI_STEP(wlmi_read_number(r, 2, can_choose, &c, UINT16_MAX, &suite));
    WLMI_STEP(wlmi_read_byte(r, 0, 1)); /* compression */
    const wlmi_tls_agreed agreed = {.suite = (uint16_t)suite};
    return read_end(r, wlmi_tls_ends_with_hello(&agreed) ? SERVER_1_3 : SERVER, end);
}

wlmi_tls_agreed wlmi_tls_agreed_by(const wlmi_reader *r, uint32_t body)
{
    enum { MINOR = 1, SESSION = 2 + RANDOM };
    const wlmi_tls_agreed nothing = {0};
    const uint32_t session = body + SESSION;
    if (session >= r->have || session + 1 + r->bytes[session] + 2 > r->have)
        return nothing;
    return (wlmi_tls_agreed){wlmi_load_be16(r->bytes + session + 1 + r->bytes[session]), r->bytes[body + MINOR]};
}
