/* dns.c: a message is read as far as it is there; where it breaks off, the rules for what is being read say what may
 * follow. At every point at least one way to the end is left open. */
#include "token/dns.h"

#include <string.h>

#include "base/cursor.h"
#include "token/reader.h"

enum { FLAGS = 2, CODES = 11 /* in the second byte of flags (RFC 2136) */ }; /* where in the header they are */
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

typedef struct target { /* of pointers: where a label begins, and how long the name is from there */
    uint16_t at, length;
} target;

typedef struct reader {
    wlmi_reader in;
    uint32_t size;
    const wlmi_dns_query *answered; /* NULL: none */
    uint32_t questions, records; /* that follow the one at hand */
    int has_opt;
    target target[TARGETS];
    uint32_t shortest; /* of the names there */
    int targets;
} reader;

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
static wlmi_progress permit_label(reader *r, const name *n)
{
    if (can_end(r, n, r->in.at + 1))
        wlmi_permit(&r->in, 0, 0);
    for (unsigned length = 1; length <= LABEL_MAX; length++)
        if (can_go_on(r, n, r->in.at + 1 + length))
            wlmi_permit(&r->in, length, length);
    for (int i = 0; can_end(r, n, r->in.at + 2) && i < r->targets; i++)
        if (can_go_to(n, r->in.at, &r->target[i]))
            wlmi_permit(&r->in, POINTER | r->target[i].at >> 8, POINTER | r->target[i].at >> 8);
    return WLMI_HERE;
}

/* length: what the name it goes to has. */
static wlmi_progress read_pointer(reader *r, const name *n, uint32_t *length)
{
    const uint32_t there = r->in.have - r->in.at;
    wlmi_progress read = there < 2 ? WLMI_HERE : WLMI_WRONG;
    for (int i = 0; i < r->targets; i++) {
        const target *to = &r->target[i];
        if ((POINTER | to->at >> 8) != r->in.bytes[r->in.at] || !can_go_to(n, r->in.at, to))
            continue;
        if (there < 2) {
            wlmi_permit(&r->in, to->at & 255, to->at & 255);
        } else if ((to->at & 255) == r->in.bytes[r->in.at + 1]) {
            *length = to->length;
            read = WLMI_READ;
        }
    }
    r->in.at += read == WLMI_READ ? 2 : 0;
    return read;
}

static void add_target(reader *r, uint16_t at, uint32_t length)
{
    r->shortest = r->targets && r->shortest < length ? r->shortest : length;
    r->target[r->targets++] = (target){at, (uint16_t)length};
}

/* Pointers go to names that began before this one. */
static wlmi_progress read_name(reader *r, bound where, uint32_t end)
{
    const name n = {where, end, r->in.at};
    uint16_t begun[NAME_MAX / 2 + 1];
    uint32_t length = 1, labels = 0;
    while (r->in.at < r->in.have && r->in.bytes[r->in.at] > 0 && r->in.bytes[r->in.at] <= LABEL_MAX) {
        if (!can_go_on(r, &n, r->in.at + 1 + r->in.bytes[r->in.at]))
            return WLMI_WRONG;
        begun[labels++] = (uint16_t)r->in.at;
        WLMI_STEP(wlmi_read_any(&r->in, r->in.bytes[r->in.at++]));
    }
    if (r->in.at == r->in.have)
        return permit_label(r, &n);
    const uint32_t told = r->in.at - n.start;
    if (r->in.bytes[r->in.at] == 0)
        r->in.at++;
    else
        WLMI_STEP(read_pointer(r, &n, &length));
    for (uint32_t i = 0; i < labels && r->targets < TARGETS && begun[i] < POINTER_MAX; i++)
        add_target(r, begun[i], told - (begun[i] - n.start) + length);
    return can_end(r, &n, r->in.at) ? WLMI_READ : WLMI_WRONG;
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

/* Of what a number is: what it has to fit, beside what the reader knows. */
typedef struct field {
    const reader *r;
    unsigned type; /* of the record; or the section */
    int is_root;
    uint32_t left; /* bytes of the message that follow, or of the options */
} field;

/* Whether a record at whose data the message has `left` bytes can have that much data. */
static int can_hold(const void *context, uint32_t length)
{
    const field *f = context;
    const uint32_t others = f->r->records * (1 + RECORD);
    return length <= f->left && fits(f->r, f->type, length) &&
           (others ? f->left - length >= others : length == f->left);
}

/* Whether a record can be of that type; OPT belongs to no name, and comes once. */
static int can_be_type(const void *context, uint32_t type)
{
    const field *f = context, of_type = {f->r, type, 0, f->left};
    const uint32_t room = f->left - f->r->records * (1 + RECORD);
    const uint32_t most = room < 2 * NAME_MAX ? room : 2 * NAME_MAX;
    if (type == TYPE_OPT && (!f->is_root || f->r->has_opt))
        return 0;
    if (!f->r->records)
        return can_hold(&of_type, room);
    for (uint32_t length = 0; length <= most; length++)
        if (can_hold(&of_type, length))
            return 1;
    return 0;
}

static wlmi_progress read_strings(reader *r, uint32_t end)
{
    while (r->in.at < end) {
        if (r->in.at == r->in.have) {
            wlmi_permit(&r->in, 0, end - r->in.at - 1 < 255 ? end - r->in.at - 1 : 255);
            return WLMI_HERE;
        }
        const uint32_t length = r->in.bytes[r->in.at];
        if (length > end - r->in.at - 1)
            return WLMI_WRONG;
        r->in.at++;
        WLMI_STEP(wlmi_read_any(&r->in, length));
    }
    return WLMI_READ;
}

static int option_fits(const void *context, uint32_t length)
{
    const uint32_t left = *(const uint32_t *)context;
    return length == left || (length < left && left - length >= 4);
}

static int can_be_any(const void *context, uint32_t number)
{
    (void)context;
    (void)number;
    return 1;
}

static wlmi_progress read_options(reader *r, uint32_t end)
{
    while (r->in.at < end) {
        uint32_t length = 0;
        WLMI_STEP(wlmi_read_any(&r->in, 2));
        const uint32_t left = end - r->in.at - 2;
        WLMI_STEP(wlmi_read_number(&r->in, 2, option_fits, &left, left, &length));
        WLMI_STEP(wlmi_read_any(&r->in, length));
    }
    return WLMI_READ;
}

static wlmi_progress read_data(reader *r, unsigned type, uint32_t end)
{
    switch (type) {
    case TYPE_TXT: return read_strings(r, end);
    case TYPE_OPT: return read_options(r, end);
    case TYPE_SOA:
        WLMI_STEP(read_name(r, BEFORE_ANOTHER, end - 20));
        WLMI_STEP(read_name(r, EXACTLY, end - 20));
        return wlmi_read_any(&r->in, 20);
    case TYPE_MX: WLMI_STEP(wlmi_read_any(&r->in, 2)); break;
    case TYPE_SRV: WLMI_STEP(wlmi_read_any(&r->in, 6)); break;
    case TYPE_NS:
    case TYPE_CNAME:
    case TYPE_PTR:
    case TYPE_DNAME: break;
    default: return wlmi_read_any(&r->in, end - r->in.at);
    }
    return read_name(r, EXACTLY, end);
}

/* ---------------------------------------------------------------- the message */

/* Of OPT, between type and length (RFC 6891): the size of messages; the upper bits of a code that are 0 of all codes in
 * use, and the only version; flags. */
static wlmi_progress read_edns(reader *r)
{
    WLMI_STEP(wlmi_read_any(&r->in, 2));
    WLMI_STEP(wlmi_read_value(&r->in, 2, 0));
    return wlmi_read_any(&r->in, 2);
}

static wlmi_progress read_question(reader *r)
{
    uint32_t ignored;
    WLMI_STEP(read_name(r, IN_QUESTION, 0));
    WLMI_STEP(wlmi_read_listed(&r->in, types, ASKED_TYPES, can_be_any, NULL, &ignored));
    return wlmi_read_listed(&r->in, classes, CLASSES, can_be_any, NULL, &ignored);
}

static wlmi_progress read_record(reader *r)
{
    uint32_t type = 0, length = 0, ignored;
    const uint32_t begin = r->in.at;
    WLMI_STEP(read_name(r, IN_RECORD, 0));
    field f = {r, 0, r->in.at == begin + 1, r->size - r->in.at - RECORD};
    WLMI_STEP(wlmi_read_listed(&r->in, types, TYPES, can_be_type, &f, &type));
    if (type == TYPE_OPT) {
        WLMI_STEP(read_edns(r));
    } else {
        WLMI_STEP(wlmi_read_listed(&r->in, classes, CLASSES, can_be_any, NULL, &ignored));
        WLMI_STEP(wlmi_read_any(&r->in, 4)); /* time to live */
    }
    r->has_opt |= type == TYPE_OPT;
    f.type = type;
    WLMI_STEP(wlmi_read_number(&r->in, 2, can_hold, &f, f.left, &length));
    return read_data(r, type, r->in.at + length);
}

static int is_answer(const reader *r)
{
    return (r->in.bytes[2] & WLMI_DNS_ANSWER) != 0;
}

/* Whether so many questions (section 0), or records of a section, can be announced, the ones before being known. */
static int can_announce(const void *context, uint32_t count)
{
    const field *f = context;
    const reader *r = f->r;
    const unsigned section = f->type;
    uint32_t left = f->left;
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
            !memcmp(r->in.bytes, q->id, r->in.have < sizeof q->id ? r->in.have : sizeof q->id))
            found = q;
    }
    return found;
}

/* Of an answer, the number of any query that it can be the answer to. */
static wlmi_progress read_id(reader *r, const wlmi_dns_asked *asked, int direction)
{
    r->answered = find_answered(r, asked, direction);
    if (!r->answered || r->in.have >= 2)
        return wlmi_read_any(&r->in, 2);
    for (int i = 0; i < asked->count; i++) {
        const wlmi_dns_asked one = {{asked->query[i]}, 1};
        const wlmi_dns_query *q = find_answered(r, &one, direction);
        if (q)
            wlmi_permit(&r->in, q->id[r->in.have], q->id[r->in.have]);
    }
    return WLMI_HERE;
}

/* Of an answer: as it was asked. */
static wlmi_progress repeat_question(reader *r)
{
    const uint32_t there = r->in.have - r->in.at;
    if (!r->answered)
        return WLMI_READ;
    if (memcmp(r->in.bytes + r->in.at, r->answered->question,
               there < r->answered->size ? there : r->answered->size))
        return WLMI_WRONG;
    if (there < r->answered->size) {
        wlmi_permit(&r->in, r->answered->question[there], r->answered->question[there]);
        return WLMI_HERE;
    }
    return WLMI_READ;
}

/* The header's third byte and its fourth: a standard operation, no reserved bit, a code in use, of answers alone. */
static int can_be_flags(const void *context, uint32_t byte)
{
    const reader *r = context;
    if (r->in.at == FLAGS)
        return !(byte & 0x78) && (!r->answered || byte & WLMI_DNS_ANSWER);
    return !(byte & 0x40) && (byte & 15) <= (is_answer(r) ? CODES - 1u : 0);
}

/* A standard query or its answer, with room for all that it announces. */
static wlmi_progress read_header(reader *r, const wlmi_dns_asked *asked, int direction)
{
    uint32_t count = 0;
    WLMI_STEP(read_id(r, asked, direction));
    for (int i = 0; i < 2; i++)
        WLMI_STEP(wlmi_read_number(&r->in, 1, can_be_flags, r, UINT8_MAX, &count));
    for (unsigned section = 0; section < SECTIONS; section++) {
        const field f = {r, section, 0, r->size - WLMI_DNS_HEADER};
        WLMI_STEP(wlmi_read_number(&r->in, 2, can_announce, &f, RECORDS_MAX, &count));
        *(section ? &r->records : &r->questions) += count;
    }
    return WLMI_READ;
}

static wlmi_progress read_all(reader *r, const wlmi_dns_asked *asked, int direction)
{
    WLMI_STEP(read_header(r, asked, direction));
    WLMI_STEP(repeat_question(r));
    while (r->questions) {
        r->questions--;
        WLMI_STEP(read_question(r));
    }
    while (r->records) {
        r->records--;
        WLMI_STEP(read_record(r));
    }
    return WLMI_READ;
}

int wlmi_dns_next(const uint8_t *message, uint32_t have, uint32_t size, const wlmi_dns_asked *asked, int direction,
                  uint64_t row[4])
{
    reader r = {.in = {.bytes = message, .have = have}, .size = size};
    if (have >= size || size < WLMI_DNS_HEADER || read_all(&r, asked, direction) != WLMI_HERE ||
        !(r.in.row[0] | r.in.row[1] | r.in.row[2] | r.in.row[3]))
        return 0;
    memcpy(row, r.in.row, sizeof r.in.row);
    return 1;
}

int wlmi_dns_begins(const uint8_t *message, uint32_t have)
{
    enum { RECURSION = 1, ONE_QUESTION = 1 };
    return have >= WLMI_DNS_HEADER ||
           (have >= 6 && message[2] & (WLMI_DNS_ANSWER | RECURSION) && wlmi_load_be16(message + 4) == ONE_QUESTION);
}
