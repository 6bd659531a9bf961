/* dns.c: a message is read as far as it is there; where it breaks off, the rules for what is being read say what may
 * follow. At every point at least one way to the end is left open. */
#include "token/dns.h"

#include <string.h>

#include "base/cursor.h"

enum { CODES = 11 }; /* in the header's fourth byte (RFC 2136) */
enum { NAME_MAX = WLMI_DNS_NAME, LABEL_MAX = WLMI_DNS_LABEL, POINTER = 0xc0, POINTER_MAX = 0x4000, TARGETS = 128 };
enum { SECTIONS = 4, QUESTIONS_MAX = 15, RECORDS_MAX = 255 };
enum { QUESTION = WLMI_DNS_QUESTION, RECORD = 10 }; /* bytes behind the name, and before a record's data */
enum { TYPE_A = 1, TYPE_NS = 2, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_PTR = 12, TYPE_MX = 15, TYPE_TXT = 16, TYPE_AAAA = 28,
       TYPE_NB = 32, TYPE_SRV = 33, TYPE_DNAME = 39, TYPE_OPT = 41 };
/* Of records: those whose data is known here, and those that hold anything, NULL and one of private use (tunnels). Behind
 * them what is also asked for: HINFO, NAPTR, DS, SSHFP, RRSIG, NSEC, DNSKEY, TLSA, SVCB, HTTPS, IXFR, AXFR, ANY, CAA. */
static const uint16_t types[] = {TYPE_A, TYPE_NS, TYPE_CNAME, TYPE_SOA, TYPE_PTR, TYPE_MX, TYPE_TXT, TYPE_AAAA, TYPE_NB,
                                 TYPE_SRV, TYPE_DNAME, TYPE_OPT, 10, 65399,
                                 13, 35, 43, 44, 46, 47, 48, 52, 64, 65, 251, 252, 255, 257};
enum { TYPES = 14, ASKED_TYPES = sizeof types / sizeof *types };
/* IN, CH, and IN as multicast DNS marks it. */
static const uint16_t classes[] = {1, 3, 0x8001};
enum { CLASSES = sizeof classes / sizeof *classes };
typedef enum progress { NOT_DNS, READ, HERE } progress; /* HERE: the row says what comes next */

typedef struct target { /* of pointers: where a label begins, and how long the name is from there */
    uint16_t at, length;
} target;

typedef struct reader {
    const uint8_t *message;
    uint32_t have, size, at;
    const wlmi_dns_query *answered; /* NULL: none */
    uint32_t questions, records; /* that follow the one at hand */
    int has_opt;
    target target[TARGETS];
    uint32_t shortest; /* of the names there */
    int targets;
    uint64_t *row;
} reader;

static void permit(reader *r, unsigned from, unsigned to)
{
    for (unsigned b = from; b <= to; b++)
        r->row[b >> 6] |= UINT64_C(1) << (b & 63);
}

/* Bytes of no meaning here. */
static progress pass(reader *r, uint32_t count)
{
    if (r->have - r->at < count) {
        permit(r, 0, 255);
        return HERE;
    }
    r->at += count;
    return READ;
}

/* Whether so many questions and records can take exactly `left` bytes. The last record's data takes what there is; a
 * name has one byte, or at least three. */
static int can_fill(uint32_t questions, uint32_t records, uint32_t left)
{
    const uint32_t least = questions * (1 + QUESTION) + records * (1 + RECORD);
    if (left < least)
        return 0;
    if (records)
        return left - least <= UINT16_MAX;
    return left == least || (left - least >= 2 && left - least <= questions * (NAME_MAX - 1));
}

/* ---------------------------------------------------------------- names */

typedef enum bound { IN_QUESTION, IN_RECORD, EXACTLY, BEFORE_ANOTHER } bound;

typedef struct name {
    bound bound; /* what says where it can end: what has to follow, or its data's end */
    uint32_t end;
    uint32_t start;
} name;

static int can_end(const reader *r, const name *n, uint32_t end)
{
    switch (n->bound) {
    case IN_QUESTION: return end + QUESTION <= r->size && can_fill(r->questions, r->records, r->size - end - QUESTION);
    case IN_RECORD:
        return end + RECORD <= r->size && r->size - end - RECORD >= r->records * (1 + RECORD);
    case EXACTLY: return end == n->end;
    case BEFORE_ANOTHER: break; /* which ends there */
    }
    return end < n->end && n->end - end <= NAME_MAX && (n->end - end != 2 || r->targets);
}

/* Whether a pointer at `at` can go there: all labels count, wherever they stand. */
static int can_go_to(const name *n, uint32_t at, const target *to)
{
    return at - n->start + to->length <= NAME_MAX;
}

/* Whether a name that goes on at `at` can end somewhere: with one byte, zero; or two, a pointer; or three and more. */
static int can_go_on(const reader *r, const name *n, uint32_t at)
{
    const uint32_t first = n->bound == EXACTLY && n->end > at ? n->end : at + 1;
    for (uint32_t end = first; end <= n->start + NAME_MAX && end <= r->size; end++) {
        if (can_end(r, n, end) && (end != at + 2 || (r->targets && at - n->start + r->shortest <= NAME_MAX)))
            return 1;
        if (n->bound == EXACTLY)
            return 0;
    }
    return 0;
}

/* What can stand where a label's length does. */
static progress permit_label(reader *r, const name *n)
{
    if (can_end(r, n, r->at + 1))
        permit(r, 0, 0);
    for (unsigned length = 1; length <= LABEL_MAX; length++)
        if (can_go_on(r, n, r->at + 1 + length))
            permit(r, length, length);
    for (int i = 0; can_end(r, n, r->at + 2) && i < r->targets; i++)
        if (can_go_to(n, r->at, &r->target[i]))
            permit(r, POINTER | r->target[i].at >> 8, POINTER | r->target[i].at >> 8);
    return HERE;
}

/* length: what the name it goes to has. */
static progress read_pointer(reader *r, const name *n, uint32_t *length)
{
    const uint32_t there = r->have - r->at;
    progress read = there < 2 ? HERE : NOT_DNS;
    for (int i = 0; i < r->targets; i++) {
        const target *to = &r->target[i];
        if ((POINTER | to->at >> 8) != r->message[r->at] || !can_go_to(n, r->at, to))
            continue;
        if (there < 2) {
            permit(r, to->at & 255, to->at & 255);
        } else if ((to->at & 255) == r->message[r->at + 1]) {
            *length = to->length;
            read = READ;
        }
    }
    r->at += read == READ ? 2 : 0;
    return read;
}

static void add_target(reader *r, uint16_t at, uint32_t length)
{
    r->shortest = r->targets && r->shortest < length ? r->shortest : length;
    r->target[r->targets++] = (target){at, (uint16_t)length};
}

/* Pointers go to names that began before this one. */
static progress read_name(reader *r, bound where, uint32_t end)
{
    const name n = {where, end, r->at};
    uint16_t begun[NAME_MAX / 2 + 1];
    uint32_t length = 1, labels = 0;
    while (r->at < r->have && r->message[r->at] > 0 && r->message[r->at] <= LABEL_MAX) {
        if (!can_go_on(r, &n, r->at + 1 + r->message[r->at]))
            return NOT_DNS;
        begun[labels++] = (uint16_t)r->at;
        const progress read = pass(r, r->message[r->at++]);
        if (read != READ)
            return read;
    }
    if (r->at == r->have)
        return permit_label(r, &n);
    const uint32_t told = r->at - n.start;
    if (r->message[r->at] == 0) {
        r->at++;
    } else {
        const progress read = read_pointer(r, &n, &length);
        if (read != READ)
            return read;
    }
    for (uint32_t i = 0; i < labels && r->targets < TARGETS && begun[i] < POINTER_MAX; i++)
        add_target(r, begun[i], told - (begun[i] - n.start) + length);
    return can_end(r, &n, r->at) ? READ : NOT_DNS;
}

/* ---------------------------------------------------------------- what records hold */

/* Whether data of this type can have so many bytes. */
static int fits(const reader *r, unsigned type, uint32_t length)
{
    const uint32_t before = type == TYPE_MX ? 2 : type == TYPE_SRV ? 6 : type == TYPE_SOA ? 21 : 0;
    switch (type) {
    case TYPE_A: return length == 4;
    case TYPE_AAAA: return length == 16;
    case TYPE_TXT: return length > 0;
    case TYPE_NB: return length > 0 && length % 6 == 0;
    case TYPE_OPT: return length == 0 || length >= 4;
    case TYPE_NS:
    case TYPE_CNAME:
    case TYPE_SOA:
    case TYPE_PTR:
    case TYPE_MX:
    case TYPE_SRV:
    case TYPE_DNAME:
        return length > before && length - before <= NAME_MAX && (length - before != 2 || r->targets);
    }
    return 1;
}

/* Whether a record at whose data the message has `left` bytes can have that much data. */
static int can_hold(const reader *r, unsigned type, uint32_t left, uint32_t length)
{
    return length <= left && fits(r, type, length) &&
           (r->records ? left - length >= r->records * (1 + RECORD) : length == left);
}

/* Whether a record can be of that type; OPT belongs to no name, and comes once. */
static int can_be(const reader *r, unsigned is_root, uint32_t left, uint32_t type)
{
    const uint32_t room = left - r->records * (1 + RECORD);
    const uint32_t most = room < 2 * NAME_MAX ? room : 2 * NAME_MAX;
    if (type == TYPE_OPT && (!is_root || r->has_opt))
        return 0;
    if (!r->records)
        return can_hold(r, type, left, room);
    for (uint32_t length = 0; length <= most; length++)
        if (can_hold(r, type, left, length))
            return 1;
    return 0;
}

static progress read_strings(reader *r, uint32_t end)
{
    while (r->at < end) {
        if (r->at == r->have) {
            permit(r, 0, end - r->at - 1 < 255 ? end - r->at - 1 : 255);
            return HERE;
        }
        const uint32_t length = r->message[r->at];
        if (length > end - r->at - 1)
            return NOT_DNS;
        r->at++;
        const progress read = pass(r, length);
        if (read != READ)
            return read;
    }
    return READ;
}

static int option_fits(const reader *r, unsigned type, uint32_t left, uint32_t length)
{
    (void)r;
    (void)type;
    return length == left || (length < left && left - length >= 4);
}

typedef int (*allowed)(const reader *r, unsigned type, uint32_t left, uint32_t number);

/* Two bytes, each permitted where a number that is allowed, none above `most`, has it. */
static progress read_number(reader *r, allowed is_allowed, unsigned type, uint32_t left, uint32_t most,
                            uint32_t *number)
{
    const uint32_t there = r->have - r->at;
    const uint32_t first = there == 1 ? (uint32_t)r->message[r->at] << 8 : 0;
    const uint32_t last = there == 1 ? first | 255 : UINT16_MAX;
    if (there >= 2) {
        *number = wlmi_load_be16(r->message + r->at);
        r->at += 2;
        return is_allowed(r, type, left, *number) ? READ : NOT_DNS;
    }
    for (uint32_t n = first; n <= last && n <= most; n++)
        if (is_allowed(r, type, left, n)) {
            permit(r, there ? n & 255 : n >> 8, there ? n & 255 : n >> 8);
            n |= there ? 0 : 255; /* one is enough for a first byte */
        }
    return HERE;
}

/* Two bytes that are one of a list, and allowed. */
static progress read_listed(reader *r, const uint16_t *list, int count, allowed is_allowed, unsigned type, uint32_t left,
                            uint32_t *number)
{
    const uint32_t there = r->have - r->at;
    progress read = there < 2 ? HERE : NOT_DNS;
    for (int i = 0; i < count; i++) {
        const unsigned first = list[i] >> 8, last = list[i] & 255;
        if ((there && first != r->message[r->at]) || !is_allowed(r, type, left, list[i]))
            continue;
        if (there < 2) {
            permit(r, there ? last : first, there ? last : first);
        } else if (last == r->message[r->at + 1]) {
            *number = list[i];
            read = READ;
        }
    }
    r->at += read == READ ? 2 : 0;
    return read;
}

static int is_any(const reader *r, unsigned type, uint32_t left, uint32_t number)
{
    (void)r;
    (void)type;
    (void)left;
    (void)number;
    return 1;
}

static progress read_options(reader *r, uint32_t end)
{
    while (r->at < end) {
        uint32_t length;
        progress read = pass(r, 2);
        if (read != READ)
            return read;
        read = read_number(r, option_fits, 0, end - r->at - 2, end - r->at - 2, &length);
        read = read == READ ? pass(r, length) : read;
        if (read != READ)
            return read;
    }
    return READ;
}

static progress read_data(reader *r, unsigned type, uint32_t end)
{
    progress read = READ;
    switch (type) {
    case TYPE_TXT: return read_strings(r, end);
    case TYPE_OPT: return read_options(r, end);
    case TYPE_SOA:
        read = read_name(r, BEFORE_ANOTHER, end - 20);
        read = read == READ ? read_name(r, EXACTLY, end - 20) : read;
        return read == READ ? pass(r, 20) : read;
    case TYPE_MX: read = pass(r, 2); break;
    case TYPE_SRV: read = pass(r, 6); break;
    case TYPE_NS:
    case TYPE_CNAME:
    case TYPE_PTR:
    case TYPE_DNAME: break;
    default: return pass(r, end - r->at);
    }
    return read == READ ? read_name(r, EXACTLY, end) : read;
}

/* ---------------------------------------------------------------- the message */

/* Of OPT, between type and length (RFC 6891): the size of messages; the upper bits of a code that are 0 of all codes in
 * use, and the only version; flags. */
static progress read_edns(reader *r)
{
    progress read = pass(r, 2);
    for (int i = 0; read == READ && i < 2; i++) {
        if (r->at == r->have) {
            permit(r, 0, 0);
            return HERE;
        }
        read = r->message[r->at++] ? NOT_DNS : READ;
    }
    return read == READ ? pass(r, 2) : read;
}

static progress read_question(reader *r)
{
    uint32_t ignored;
    progress read = read_name(r, IN_QUESTION, 0);
    read = read == READ ? read_listed(r, types, ASKED_TYPES, is_any, 0, 0, &ignored) : read;
    return read == READ ? read_listed(r, classes, CLASSES, is_any, 0, 0, &ignored) : read;
}

static progress read_record(reader *r)
{
    uint32_t type = 0, length = 0, ignored;
    const uint32_t begin = r->at;
    progress read = read_name(r, IN_RECORD, 0);
    const uint32_t left = r->size - r->at - RECORD, is_root = r->at == begin + 1;
    read = read == READ ? read_listed(r, types, TYPES, can_be, is_root, left, &type) : read;
    if (read == READ)
        read = type == TYPE_OPT ? read_edns(r) : read_listed(r, classes, CLASSES, is_any, 0, 0, &ignored);
    if (read == READ && type != TYPE_OPT)
        read = pass(r, 4); /* time to live */
    r->has_opt |= type == TYPE_OPT;
    read = read == READ ? read_number(r, can_hold, type, left, left, &length) : read;
    return read == READ ? read_data(r, type, r->at + length) : read;
}

static int is_answer(const reader *r)
{
    return (r->message[2] & WLMI_DNS_ANSWER) != 0;
}

/* Whether so many questions (section 0), or records of a section, can be announced, the ones before being known. */
static int can_announce(const reader *r, unsigned section, uint32_t left, uint32_t count)
{
    uint32_t questions = section ? r->questions : count, records = section ? r->records + count : 0;
    if (questions > QUESTIONS_MAX || records > RECORDS_MAX || (r->answered && questions != 1) ||
        (!questions && !is_answer(r)))
        return 0;
    if (r->answered) {
        questions = 0;
        left -= r->answered->size;
        if (!left && !records)
            return 1;
    }
    return (questions + records > 0 && can_fill(questions, records, left)) ||
           (section < SECTIONS - 1 && records < RECORDS_MAX && can_fill(questions, records + 1, left));
}

/* The query that this message answers, as far as it is there: of several with that number the latest. */
static const wlmi_dns_query *find_answered(const reader *r, const wlmi_dns_asked *asked, int direction)
{
    const wlmi_dns_query *found = NULL;
    for (int i = 0; asked && i < asked->count; i++) {
        const wlmi_dns_query *q = &asked->query[i];
        const uint32_t whole = WLMI_DNS_HEADER + (uint32_t)q->size;
        if (q->direction != direction && (r->size == whole || r->size > whole + RECORD) &&
            !memcmp(r->message, q->id, r->have < sizeof q->id ? r->have : sizeof q->id))
            found = q;
    }
    return found;
}

/* Of an answer, the number of any query that it can be the answer to. */
static progress read_id(reader *r, const wlmi_dns_asked *asked, int direction)
{
    r->answered = find_answered(r, asked, direction);
    if (!r->answered || r->have >= 2)
        return pass(r, 2);
    for (int i = 0; i < asked->count; i++) {
        const wlmi_dns_asked one = {{asked->query[i]}, 1};
        const wlmi_dns_query *q = find_answered(r, &one, direction);
        if (q)
            permit(r, q->id[r->have], q->id[r->have]);
    }
    return HERE;
}

/* Of an answer: as it was asked. */
static progress repeat_question(reader *r)
{
    const uint32_t there = r->have - r->at;
    if (!r->answered)
        return READ;
    if (memcmp(r->message + r->at, r->answered->question,
               there < r->answered->size ? there : r->answered->size))
        return NOT_DNS;
    if (there < r->answered->size) {
        permit(r, r->answered->question[there], r->answered->question[there]);
        return HERE;
    }
    return READ;
}

/* The header's third byte and its fourth: a standard operation, no reserved bit, a code in use, of answers alone. */
static int can_be_flags(const reader *r, int fourth, unsigned byte)
{
    if (!fourth)
        return !(byte & 0x78) && (!r->answered || byte & WLMI_DNS_ANSWER);
    return !(byte & 0x40) && (byte & 15) <= (is_answer(r) ? CODES - 1u : 0);
}

/* A standard query or its answer, with room for all that it announces. */
static progress read_header(reader *r, const wlmi_dns_asked *asked, int direction)
{
    progress read = read_id(r, asked, direction);
    for (int i = 0; read == READ && i < 2; i++) {
        if (r->at == r->have) {
            for (unsigned b = 0; b < 256; b++)
                if (can_be_flags(r, i, b))
                    permit(r, b, b);
            return HERE;
        }
        read = can_be_flags(r, i, r->message[r->at++]) ? READ : NOT_DNS;
    }
    for (unsigned section = 0; read == READ && section < SECTIONS; section++) {
        uint32_t count = 0;
        read = read_number(r, can_announce, section, r->size - WLMI_DNS_HEADER, RECORDS_MAX, &count);
        *(section ? &r->records : &r->questions) += count;
    }
    return read;
}

static progress read_all(reader *r, const wlmi_dns_asked *asked, int direction)
{
    progress read = read_header(r, asked, direction);
    read = read == READ ? repeat_question(r) : read;
    while (read == READ && r->questions) {
        r->questions--;
        read = read_question(r);
    }
    while (read == READ && r->records) {
        r->records--;
        read = read_record(r);
    }
    return read;
}

int wlmi_dns_next(const uint8_t *message, uint32_t have, uint32_t size, const wlmi_dns_asked *asked, int direction,
                  uint64_t row[4])
{
    uint64_t permitted[4] = {0};
    reader r = {.message = message, .have = have, .size = size, .row = permitted};
    if (have >= size || size < WLMI_DNS_HEADER || read_all(&r, asked, direction) != HERE ||
        !(permitted[0] | permitted[1] | permitted[2] | permitted[3]))
        return 0;
    memcpy(row, permitted, sizeof permitted);
    return 1;
}

int wlmi_dns_begins(const uint8_t *message, uint32_t have)
{
    enum { RECURSION = 1, ONE_QUESTION = 1 };
    return have >= WLMI_DNS_HEADER ||
           (have >= 6 && message[2] & (WLMI_DNS_ANSWER | RECURSION) && wlmi_load_be16(message + 4) == ONE_QUESTION);
}
