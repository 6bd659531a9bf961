/* tls.c: a segment is read as far as it is there, as dns.c reads a message. Numbers say how long things are; each leaves
 * what it is part of a way to end where it must. */
#include "token/tls.h"

#include <string.h>

#include "token/reader.h"
#include "token/tls_hello.h"

enum { HEADER = 5, RECORD_MAX = 16384 + 256, VERSION_MAJOR = 3, VERSION_MINOR_MAX = 4 };
enum { CHANGE_CIPHER = 20, ALERT = 21, HANDSHAKE = 22, DATA = 23 };
enum { ALERT_SIZE = 2, CHANGE_SIZE = 1, CIPHERED_LEAST = 16 };
enum { CLIENT = 1, SERVER = 2 }; /* as the hellos' types */
enum { TICKET = 4, CERTIFICATE = 11, DONE = 14, STATUS = 22, OPAQUE = 255 /* not understood */ };
enum { MESSAGE = 4, LENGTH = 3 /* sizes of what stands before a message, and a certificate */ };
enum { CERTIFICATE_LEAST = 200, RESPONSE_LEAST = 100, TICKET_LEAST = 16 /* shorter than any in use */ };
/* Of pushed segments shorter than this 10,114 of 10,151 in 251 training captures end with a record, of longer ones 821 of
 * 1,324; segments that are not pushed seldom do. */
enum { FULL = 1000 };
enum { SOME = 128 }; /* lengths that are tried before something is held to have no room */

/* Messages in the order in which they come, while they can be read: `stage` is their place, `after` what has to have
 * come. */
enum { HELLO_SAID = 1, CERTIFIED = 2, EXCHANGED = 3 /* by a client */, ALL_SAID = 6, TICKET_SAID = 7 };
static const struct {
    uint8_t type, sender, stage, after;
    uint32_t least, most; /* bytes */
} messages[] = {{WLMI_TLS_CLIENT_HELLO, CLIENT, HELLO_SAID, 0, WLMI_TLS_CLIENT_LEAST, UINT16_MAX},
                {CERTIFICATE, CLIENT, CERTIFIED, HELLO_SAID, LENGTH, UINT16_MAX},
                {WLMI_TLS_CLIENT_EXCHANGE, CLIENT, EXCHANGED, HELLO_SAID, 0, UINT16_MAX},
                {WLMI_TLS_CERTIFICATE_VERIFY, CLIENT, 4, EXCHANGED, 0, UINT16_MAX},
                {WLMI_TLS_SERVER_HELLO, SERVER, HELLO_SAID, 0, WLMI_TLS_SERVER_LEAST, UINT16_MAX},
                {CERTIFICATE, SERVER, CERTIFIED, HELLO_SAID, 2 * LENGTH + CERTIFICATE_LEAST, UINT16_MAX},
                {STATUS, SERVER, 3, CERTIFIED, 1 + LENGTH + RESPONSE_LEAST, UINT16_MAX},
                {WLMI_TLS_SERVER_EXCHANGE, SERVER, 4, CERTIFIED, 0, UINT16_MAX},
                {WLMI_TLS_CERTIFICATE_REQUEST, SERVER, 5, CERTIFIED, 0, UINT16_MAX},
                {DONE, SERVER, ALL_SAID, CERTIFIED, 0, 0},
                {TICKET, SERVER, TICKET_SAID, HELLO_SAID, 4 + 2 + TICKET_LEAST, UINT16_MAX}};
enum { MESSAGES = sizeof messages / sizeof *messages };

typedef struct reader {
    wlmi_reader in;
    uint32_t size;
    int goes_on; /* a record can be longer than what is left of the segment */
    int opens;   /* nothing was said before the segment */
    wlmi_tls_agreed agreed;
    wlmi_tls_side side;
    const wlmi_tls_side *other;
    uint32_t record_end, message_end, part_end; /* of the last begun; behind `size` where the segment's end cuts it off */
} reader;

typedef struct field { /* of what a number is */
    const reader *r;
    uint32_t type;
} field;

/* ---------------------------------------------------------------- messages */

/* Whether what the other side said, and this one, calls for message i: certificates and exchange of a client where the
 * server said all that it had to, a ticket instead of that or behind the client's change of cipher. */
static int is_called_for(const reader *r, int i)
{
    if (!r->side.stage)
        return 1;
    if (messages[i].sender == CLIENT)
        return r->other->stage >= ALL_SAID &&
               (messages[i].type != WLMI_TLS_CERTIFICATE_VERIFY || r->side.has_certificate);
    return messages[i].type != TICKET || r->side.stage == HELLO_SAID || r->other->ciphered;
}

/* Index of a message that can come behind those so far, or -1. The first is a hello. */
static int index_of(const reader *r, uint32_t type)
{
    const wlmi_tls_side *side = &r->side;
    if (side->stage && wlmi_tls_ends_with_hello(&r->agreed))
        return -1;
    for (int i = 0; i < MESSAGES; i++)
        if (messages[i].type == type && messages[i].stage > side->stage && messages[i].after <= side->stage &&
            (!side->sender || messages[i].sender == side->sender) && is_called_for(r, i))
            return i;
    return -1;
}

static int can_be_so_long(const reader *r, int i, uint32_t length)
{
    return length >= messages[i].least && length <= messages[i].most &&
           (messages[i].type != CERTIFICATE || length == LENGTH || length >= 2 * LENGTH + CERTIFICATE_LEAST) &&
           wlmi_tls_exchange_fits(&r->agreed, messages[i].type, length);
}

static reader behind_message(const reader *r, int i)
{
    reader then = *r;
    then.side.sender = messages[i].sender;
    then.side.stage = messages[i].stage;
    then.side.has_certificate |= messages[i].type == CERTIFICATE;
    return then;
}

static int can_follow(const reader *r, uint32_t left);

/* Whether records can take exactly the `rest` of the segment behind message i of that length. */
static int can_follow_message(const reader *r, int i, uint32_t length, uint32_t rest)
{
    reader then = behind_message(r, i);
    if (can_follow(&then, rest))
        return 1;
    then.agreed.suite = WLMI_TLS_1_3_SUITE; /* which a server may still agree to */
    return messages[i].type == WLMI_TLS_SERVER_HELLO && length >= WLMI_TLS_SERVER_1_3 && can_follow(&then, rest);
}

/* Whether one message behind those so far can take exactly `left` bytes, and records the `rest` of the segment. */
static int can_fill(const reader *r, uint32_t left, uint32_t rest)
{
    for (int i = 0; left >= MESSAGE && i < MESSAGES; i++)
        if (index_of(r, messages[i].type) == i && can_be_so_long(r, i, left - MESSAGE) &&
            can_follow_message(r, i, left - MESSAGE, rest))
            return 1;
    return 0;
}

static uint32_t rest_behind(const reader *r)
{
    return r->record_end < r->size ? r->size - r->record_end : 0;
}

/* Whether message i can be so long in a record with `left` bytes behind its head. A client's hello is alone there; a
 * server's that is not is of a time when they were short. */
static int fits(const reader *r, int i, uint32_t left, uint32_t length)
{
    enum { SHORT = 255 };
    const int is_hello = messages[i].stage == HELLO_SAID;
    const reader then = behind_message(r, i);
    if (length > left || !can_be_so_long(r, i, length))
        return 0;
    if (length == left)
        return can_follow_message(r, i, length, rest_behind(r));
    return !(is_hello && (messages[i].sender == CLIENT || length > SHORT)) &&
           can_fill(&then, left - length, rest_behind(r));
}

static int can_be_message(const void *context, uint32_t type)
{
    const reader *r = context;
    const int i = index_of(r, type);
    const uint32_t left = r->record_end - r->in.at - MESSAGE;
    if (i < 0)
        return 0;
    if (fits(r, i, left, left))
        return 1;
    for (uint32_t length = messages[i].least; length < (uint32_t)messages[i].least + SOME && length < left; length++)
        if (fits(r, i, left, length))
            return 1;
    return 0;
}

static int can_be_message_length(const void *context, uint32_t length)
{
    const field *f = context;
    return fits(f->r, index_of(f->r, f->type), f->r->record_end - f->r->in.at - 2, length);
}

static int can_be_certificate(const void *context, uint32_t length)
{
    return length >= CERTIFICATE_LEAST && wlmi_can_take(context, length);
}

/* Each is a sequence as DER has it (X.690), where it is as long as most are. */
static wlmi_progress read_certificates(reader *r)
{
    enum { SEQUENCE = 0x30, TWO_BYTES = 0x82, BEFORE = 4, LONG = BEFORE + 256 };
    while (r->in.at < r->message_end) {
        uint32_t length = 0;
        if (r->message_end - r->in.at <= LENGTH)
            return WLMI_WRONG;
        const wlmi_room room = {r->message_end - r->in.at - LENGTH, LENGTH + CERTIFICATE_LEAST, 1};
        WLMI_STEP(wlmi_read_byte(&r->in, 0, 0));
        WLMI_STEP(wlmi_read_number(&r->in, 2, can_be_certificate, &room, room.left, &length));
        r->part_end = r->in.at + length;
        if (length >= LONG) {
            WLMI_STEP(wlmi_read_byte(&r->in, SEQUENCE, SEQUENCE));
            WLMI_STEP(wlmi_read_byte(&r->in, TWO_BYTES, TWO_BYTES));
            WLMI_STEP(wlmi_read_value(&r->in, 2, length - BEFORE));
        }
        WLMI_STEP(wlmi_read_any(&r->in, r->part_end - r->in.at));
    }
    return WLMI_READ;
}

/* A suite that leaves what follows the hello a way to fit. */
static int can_agree(const void *context, uint32_t suite)
{
    reader then = *(const reader *)context;
    then.agreed = (wlmi_tls_agreed){.suite = (uint16_t)suite};
    if (then.message_end < then.record_end)
        return !wlmi_tls_ends_with_hello(&then.agreed);
    return can_follow(&then, rest_behind(&then));
}

static wlmi_progress read_server_hello(reader *r)
{
    const uint32_t body = r->in.at;
    const wlmi_progress read = wlmi_tls_read_server_hello(&r->in, can_agree, r, r->message_end);
    r->agreed = wlmi_tls_agreed_by(&r->in, body);
    return read;
}

static wlmi_progress read_body(reader *r, uint32_t type)
{
    enum { OCSP = 1, LIFETIME = 4 };
    wlmi_reader *in = &r->in;
    switch (type) {
    case WLMI_TLS_CLIENT_HELLO: return wlmi_tls_read_client_hello(in, r->message_end);
    case WLMI_TLS_SERVER_HELLO: return read_server_hello(r);
    case CERTIFICATE: WLMI_STEP(wlmi_read_value(in, 3, r->message_end - in->at - 3)); return read_certificates(r);
    case STATUS:
        WLMI_STEP(wlmi_read_byte(in, OCSP, OCSP));
        WLMI_STEP(wlmi_read_value(in, 3, r->message_end - in->at - 3));
        break;
    case TICKET:
        WLMI_STEP(wlmi_read_any(in, LIFETIME));
        WLMI_STEP(wlmi_read_value(in, 2, r->message_end - in->at - 2));
        break;
    default: return wlmi_tls_read_exchange(in, &r->agreed, type, r->message_end);
    }
    return wlmi_read_any(in, r->message_end - in->at);
}

static wlmi_progress read_messages(reader *r)
{
    while (r->in.at < r->record_end) {
        uint32_t type = 0, length = 0;
        r->side.message = OPAQUE; /* until its length is known */
        if (r->record_end - r->in.at < MESSAGE)
            return WLMI_WRONG;
        WLMI_STEP(wlmi_read_number(&r->in, 1, can_be_message, r, UINT8_MAX, &type));
        WLMI_STEP(wlmi_read_byte(&r->in, 0, 0));
        const field f = {r, type};
        WLMI_STEP(wlmi_read_number(&r->in, 2, can_be_message_length, &f, UINT16_MAX, &length));
        r->side = behind_message(r, index_of(r, type)).side;
        r->side.message = (uint8_t)type;
        r->message_end = r->in.at + length;
        WLMI_STEP(read_body(r, type));
    }
    return WLMI_READ;
}

/* ---------------------------------------------------------------- records */

static int is_plain_handshake(const reader *r, uint32_t type)
{
    return type == HANDSHAKE && !r->side.ciphered;
}

/* A client changes its cipher behind its exchange, where there has to be one; a server behind its hello, where there need
 * be none, behind the client, or a ticket. */
static int can_change(const reader *r)
{
    const wlmi_tls_side *side = &r->side;
    if (!side->sender)
        return 1;
    if (side->sender == CLIENT)
        return side->stage >= (r->other->stage >= ALL_SAID ? EXCHANGED : HELLO_SAID);
    return side->stage == HELLO_SAID || side->stage == TICKET_SAID || (side->stage == ALL_SAID && r->other->ciphered);
}

/* What a side begins with that is known to be client or server is a handshake, or an alert. Behind a change of cipher comes
 * one more message of the handshake, then data; with TLS 1.3 data at once, and a server need not change. */
static int can_be_record_type(const reader *r, uint32_t type)
{
    const wlmi_tls_side *side = &r->side;
    switch (type) {
    case HANDSHAKE: return !side->has_finished && !(side->ciphered && wlmi_tls_ends_with_hello(&r->agreed));
    case ALERT: return 1;
    case CHANGE_CIPHER: return !side->ciphered && can_change(r);
    case DATA: return side->has_finished || !side->sender || (side->stage && wlmi_tls_ends_with_hello(&r->agreed));
    }
    return 0;
}

static reader behind_record(const reader *r, uint32_t type)
{
    reader then = *r;
    then.side.ciphered |= type == CHANGE_CIPHER;
    then.side.has_finished |= type == CHANGE_CIPHER ? wlmi_tls_ends_with_hello(&r->agreed) : type == HANDSHAKE;
    return then;
}

/* Whether a record can be so long, and others take the `rest` of the segment. What comes behind an alert that can be read
 * is not known. */
static int can_hold(const reader *r, uint32_t type, uint32_t length, uint32_t rest)
{
    if (is_plain_handshake(r, type))
        return can_fill(r, length, rest);
    if (type == ALERT && !r->side.ciphered)
        return length == ALERT_SIZE && !rest;
    const reader then = behind_record(r, type);
    return (type == CHANGE_CIPHER ? length == CHANGE_SIZE : length >= (type == DATA ? 1 : CIPHERED_LEAST)) &&
           can_follow(&then, rest);
}

/* Whether a record can take exactly the `left` bytes that are left of the segment, or go on behind them; or a change of
 * cipher and one more. */
static int can_follow(const reader *r, uint32_t left)
{
    enum { CHANGE = HEADER + CHANGE_SIZE };
    if (left >= CHANGE && can_be_record_type(r, CHANGE_CIPHER) &&
        can_hold(r, CHANGE_CIPHER, CHANGE_SIZE, left - CHANGE))
        return 1;
    for (uint32_t type = ALERT; left > HEADER && type <= DATA; type++)
        if (can_be_record_type(r, type) &&
            (can_hold(r, type, left - HEADER, 0) || (r->goes_on && can_hold(r, type, RECORD_MAX, 0))))
            return 1;
    return left == 0;
}

/* Whether a record with `room` bytes of the segment behind its head can be so long. A connection's first one, a hello, is
 * alone in it. */
static int can_be_record_length(const reader *r, uint32_t type, uint32_t room, uint32_t length)
{
    if (length > RECORD_MAX || (length > room && !r->goes_on) || (length < room && r->opens))
        return 0;
    return can_hold(r, type, length, length < room ? room - length : 0);
}

static int can_be_length(const void *context, uint32_t length)
{
    const field *f = context;
    return can_be_record_length(f->r, f->type, f->r->size - f->r->in.at - 2, length);
}

static int can_be_record(const void *context, uint32_t type)
{
    const reader *r = context;
    const uint32_t room = r->size - r->in.at - HEADER;
    if (!can_be_record_type(r, type))
        return 0;
    if (can_be_record_length(r, type, room, room) || can_be_record_length(r, type, room, RECORD_MAX))
        return 1;
    for (uint32_t length = 1; length < SOME && length < room; length++)
        if (can_be_record_length(r, type, room, length))
            return 1;
    return 0;
}

/* In use (RFC 8446, 6; RFC 5246, 7.2). */
static int can_be_description(const void *context, uint32_t n)
{
    (void)context;
    return n == 0 || n == 10 || (n >= 20 && n <= 22) || n == 30 || (n >= 40 && n <= 51) || n == 60 || n == 70 ||
           n == 71 || n == 80 || n == 86 || n == 90 || n == 100 || (n >= 109 && n <= 116) || n == 120;
}

static wlmi_progress read_content(reader *r, uint32_t type)
{
    enum { CHANGE = 1, WARNING = 1, FATAL = 2 };
    if (is_plain_handshake(r, type))
        return read_messages(r);
    if (type == CHANGE_CIPHER) {
        WLMI_STEP(wlmi_read_byte(&r->in, CHANGE, CHANGE));
    } else if (type == ALERT && !r->side.ciphered) {
        uint32_t ignored;
        WLMI_STEP(wlmi_read_byte(&r->in, WARNING, FATAL));
        WLMI_STEP(wlmi_read_number(&r->in, 1, can_be_description, NULL, UINT8_MAX, &ignored));
    }
    r->side = behind_record(r, type).side;
    return wlmi_read_any(&r->in, r->record_end - r->in.at);
}

static wlmi_progress read_records(reader *r)
{
    while (r->in.at < r->size) {
        uint32_t type = 0, length = 0;
        if (r->size - r->in.at <= HEADER)
            return WLMI_WRONG;
        WLMI_STEP(wlmi_read_number(&r->in, 1, can_be_record, r, UINT8_MAX, &type));
        WLMI_STEP(wlmi_read_byte(&r->in, VERSION_MAJOR, VERSION_MAJOR));
        WLMI_STEP(wlmi_read_byte(&r->in, 0, VERSION_MINOR_MAX));
        const field f = {r, type};
        WLMI_STEP(wlmi_read_number(&r->in, 2, can_be_length, &f, RECORD_MAX, &length));
        r->side.record = (uint8_t)type;
        r->record_end = r->message_end = r->part_end = r->in.at + length;
        WLMI_STEP(read_content(r, type));
    }
    return WLMI_READ;
}

/* What the last segment's end cut off. */
static wlmi_progress read_rest(reader *r)
{
    const wlmi_tls_side *side = &r->side;
    r->record_end = side->record_left;
    r->message_end = side->message_left;
    r->part_end = side->part_left;
    if (is_plain_handshake(r, side->record)) {
        WLMI_STEP(wlmi_read_any(&r->in, side->message == CERTIFICATE ? r->part_end : r->message_end));
        if (side->message == CERTIFICATE)
            WLMI_STEP(read_certificates(r));
        return read_messages(r);
    }
    return wlmi_read_any(&r->in, r->record_end);
}

/* ---------------------------------------------------------------- segments */

static reader reader_of(const wlmi_tls *tls, const wlmi_tls_segment *segment, uint32_t have)
{
    const wlmi_tls_side *other = &tls->side[!segment->from];
    const wlmi_tls_side *side = &tls->side[segment->from];
    const int has_room = segment->size >= HEADER + MESSAGE + WLMI_TLS_CLIENT_LEAST;
    reader r = {.in = {.bytes = segment->payload, .have = have}, .size = segment->size, .other = other,
                .goes_on = !segment->pushed || segment->size >= FULL || (!side->stage && !has_room),
                .opens = !tls->side[0].begun && !tls->side[1].begun, .agreed = tls->agreed,
                .side = *side};
    if (!r.side.sender && other->is_tls && other->sender)
        r.side.sender = other->sender == CLIENT ? SERVER : CLIENT;
    return r;
}

static wlmi_progress read_segment(reader *r)
{
    WLMI_STEP(read_rest(r));
    return read_records(r);
}

int wlmi_tls_next(const wlmi_tls *tls, const wlmi_tls_segment *segment, uint32_t have, uint64_t row[4])
{
    enum { CLEAR = 3 }; /* type and version */
    reader r = reader_of(tls, segment, have);
    if (have >= segment->size || (have < CLEAR && !r.side.is_tls && (r.side.stage || !r.side.sender)) ||
        read_segment(&r) != WLMI_HERE || !(r.in.row[0] | r.in.row[1] | r.in.row[2] | r.in.row[3]))
        return 0;
    memcpy(row, r.in.row, sizeof r.in.row);
    return 1;
}

static uint32_t behind(const reader *r, uint32_t end)
{
    return end > r->size ? end - r->size : 0;
}

/* What the next segment begins with. Where a number was cut off, what it is part of is not understood. */
static void keep_rest(reader *r)
{
    wlmi_tls_side *side = &r->side;
    side->record_left = behind(r, r->record_end);
    side->message_left = behind(r, r->message_end);
    side->part_left = behind(r, r->part_end);
    if (side->message == CERTIFICATE && !side->part_left && side->message_left)
        side->message = OPAQUE;
    if (side->message == OPAQUE && !side->message_left)
        side->message_left = side->record_left;
}

void wlmi_tls_said(wlmi_tls *tls, const wlmi_tls_segment *segment, uint32_t have)
{
    reader r = reader_of(tls, segment, have);
    wlmi_tls_side *side = &tls->side[segment->from];
    const wlmi_progress read = read_segment(&r);
    keep_rest(&r);
    side->begun |= segment->size > 0;
    side->is_tls = have == segment->size && (read == WLMI_READ || (read == WLMI_HERE && r.side.record_left));
    side->record_left = side->message_left = side->part_left = 0;
    if (side->is_tls) {
        r.side.is_tls = r.side.begun = 1;
        *side = r.side;
        tls->agreed = r.agreed;
    }
}
