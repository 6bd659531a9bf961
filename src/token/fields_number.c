/* fields_number.c: values of the codec `fields` as a tag's bucket and digits, and back. A code without a predicted
 * value in it cannot spell that value; where it could, fields_forbidden says how. */
#include <string.h>

#include "token/fields.h"

enum { DIGIT = 1 << WLMI_DIGIT_BITS, MID = 64 /* buckets for 16 bits: 6 of them */ };

/* ---- plain numbers: `fold` bits in the bucket, the rest in digits, the first of which may be short */

static int digits_for(int bits)
{
    return (bits + WLMI_DIGIT_BITS - 1) / WLMI_DIGIT_BITS;
}

static uint32_t first_high(int bits)
{
    int rest = bits % WLMI_DIGIT_BITS;
    return (1u << (rest ? rest : WLMI_DIGIT_BITS)) - 1;
}

static void put(uint64_t value, int bits, int from, wlmi_spelled *out)
{
    int count = digits_for(bits);
    for (int i = 0; i < count; i++)
        out->digit[from + i] = (uint16_t)(value >> WLMI_DIGIT_BITS * (count - 1 - i) & (DIGIT - 1));
    out->count = (uint8_t)(from + count);
}

static uint64_t get(const wlmi_spelled *s)
{
    uint64_t value = 0;
    for (int i = 0; i < s->count; i++)
        value = value << WLMI_DIGIT_BITS | s->digit[i];
    return value;
}

static void put_folded(uint64_t value, int bits, int fold, int bucket, wlmi_spelled *out)
{
    out->bucket = (uint16_t)(bucket + (int)(value >> (bits - fold)));
    put(value & ((UINT64_C(1) << (bits - fold)) - 1), bits - fold, 0, out);
}

/* ---- bytes as digits */

typedef struct wide {
    int size, fold; /* bytes; bits in the bucket */
} wide;

static wide wide_of(int field, int shape)
{
    int is4 = (wlmi_shape_layers(shape) & WLMI_LAYER_IP4) != 0;
    if (field == WLMI_F_LINK)
        return (wide){wlmi_shape_link_bytes(shape), 0};
    return is4 ? (wide){4, 2} : (wide){16, 0};
}

static uint32_t take_bits(const uint8_t *bytes, int at, int count)
{
    uint32_t value = 0;
    for (int i = at; i < at + count; i++)
        value = value << 1 | (bytes[i / 8] >> (7 - i % 8) & 1);
    return value;
}

static void give_bits(uint8_t *bytes, int at, int count, uint32_t value)
{
    for (int i = 0; i < count; i++) {
        uint8_t mask = (uint8_t)(128 >> (at + i) % 8);
        if (value >> (count - 1 - i) & 1)
            bytes[(at + i) / 8] |= mask;
        else
            bytes[(at + i) / 8] &= (uint8_t)~mask;
    }
}

static void put_wide(wide w, const uint8_t *bytes, wlmi_spelled *out)
{
    int bits = 8 * w.size, at = w.fold;
    out->bucket = (uint16_t)take_bits(bytes, 0, w.fold);
    out->count = (uint8_t)digits_for(bits - w.fold);
    for (int i = 0; i < out->count; i++) {
        int take = (bits - at) - WLMI_DIGIT_BITS * (out->count - 1 - i);
        out->digit[i] = (uint16_t)take_bits(bytes, at, take);
        at += take;
    }
}

static void get_wide(wide w, const wlmi_spelled *s, uint8_t *bytes)
{
    int bits = 8 * w.size, at = w.fold;
    give_bits(bytes, 0, w.fold, s->bucket);
    for (int i = 0; i < s->count; i++) {
        int take = (bits - at) - WLMI_DIGIT_BITS * (s->count - 1 - i);
        give_bits(bytes, at, take, s->digit[i]);
        at += take;
    }
}

/* ---- differences: never 0, small ones first, either sign */

static uint32_t zigzag(uint32_t difference, int bits)
{
    uint32_t top = 1u << (bits - 1), mask = top | (top - 1);
    difference &= mask;
    return (difference & top ? 2 * ((0 - difference) & mask) - 1 : 2 * difference) - 1; /* of 1: 1, of -1: 0 */
}

static uint32_t unzigzag(uint32_t x, int bits)
{
    uint32_t top = 1u << (bits - 1), mask = top | (top - 1);
    return (x & 1 ? x / 2 + 1 : 0 - (x / 2 + 1)) & mask;
}

static void put_difference(uint32_t x, int small, int bits, int bucket, wlmi_spelled *out)
{
    if (x < (uint32_t)small) {
        out->bucket = (uint16_t)(bucket + (int)x);
        out->count = 0;
    } else if (x <= UINT16_MAX) {
        put_folded(x, 16, 6, bucket + small, out);
    } else {
        put_folded(x, bits, 2, bucket + small + MID, out);
    }
}

static uint32_t get_difference(const wlmi_spelled *s, int small, int bucket)
{
    int b = s->bucket - bucket;
    if (b < small)
        return (uint32_t)b;
    b -= small;
    if (b < MID)
        return (uint32_t)b << 10 | (uint32_t)get(s);
    return (uint32_t)(b - MID) << 30 | (uint32_t)get(s);
}

/* ---- ports */

static int known_port(uint32_t port)
{
    int low = 0, high = WLMI_KNOWN_PORTS - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (wlmi_known_ports[middle] < port)
            low = middle + 1;
        else
            high = middle;
    }
    return wlmi_known_ports[low] == port ? low : -1;
}

/* ---- rules: a class in the bucket, for some a number */

static int rule_bits(int field, int bucket)
{
    if (wlmi_fields[field].code == WLMI_CODE_SUM)
        return bucket >= WLMI_SUM_CLASS_DIFF ? 16 : 0;
    return (field == WLMI_F_PAD ? bucket == WLMI_PAD_FIXED : bucket >= WLMI_CUT_PAYLOAD) ? wlmi_fields[field].bits : 0;
}

/* Bits in the digits after the tag. */
static int bits_after(int field, int shape, int bucket)
{
    const wlmi_field *f = &wlmi_fields[field];
    wide w;
    switch (f->code) {
    case WLMI_CODE_FIX: return f->bits - f->fold;
    case WLMI_CODE_WIDE: w = wide_of(field, shape); return 8 * w.size - w.fold;
    case WLMI_CODE_D16: return bucket < f->fold ? 0 : 10;
    case WLMI_CODE_ACK: return bucket == 0 ? 0 : bucket - 1 < MID ? 10 : 30;
    case WLMI_CODE_D32: return bucket < f->fold ? 0 : bucket - f->fold < MID ? 10 : 30;
    case WLMI_CODE_PORT: return bucket < WLMI_KNOWN_PORTS ? 0 : 10;
    case WLMI_CODE_FRAG: return bucket == 0 ? 0 : 16;
    case WLMI_CODE_SUM:
    case WLMI_CODE_RULE: return rule_bits(field, bucket);
    case WLMI_CODE_SACK: return bucket == 0 ? 20 : 32;
    }
    return 0;
}

int wlmi_fields_digits(int field, int shape, int bucket)
{
    return digits_for(bits_after(field, shape, bucket));
}

uint32_t wlmi_fields_first_high(int field, int shape, int bucket)
{
    return first_high(bits_after(field, shape, bucket));
}

uint32_t wlmi_fields_first_low(int field, int bucket)
{
    const wlmi_field *f = &wlmi_fields[field];
    return (f->code == WLMI_CODE_D16 || f->code == WLMI_CODE_D32) && bucket == f->fold ? f->fold : 0;
}

void wlmi_fields_spell(int field, const wlmi_values *p, const wlmi_values *h, wlmi_spelled *out)
{
    const wlmi_field *f = &wlmi_fields[field];
    uint32_t value = h->v[field], difference = value - p->v[field];
    out->bucket = 0;
    out->count = 0;
    switch (f->code) {
    case WLMI_CODE_FIX: put_folded(value, f->bits, f->fold, 0, out); break;
    case WLMI_CODE_WIDE:
        put_wide(wide_of(field, p->shape), field == WLMI_F_LINK ? h->link : h->address[field == WLMI_F_DST], out);
        break;
    case WLMI_CODE_D16: put_difference(zigzag(difference, 16), f->fold, 16, 0, out); break;
    case WLMI_CODE_D32: put_difference(zigzag(difference, 32), f->fold, 32, 0, out); break;
    case WLMI_CODE_ACK: put_difference(zigzag(difference, 32), 0, 32, 1, out); break;
    case WLMI_CODE_PORT:
        if (known_port(value) >= 0)
            out->bucket = (uint16_t)known_port(value);
        else
            put_folded(value, 16, 6, WLMI_KNOWN_PORTS, out);
        break;
    case WLMI_CODE_FRAG:
        if ((value ^ p->v[field]) != 0x4000) {
            out->bucket = 1;
            put(value, 16, 0, out);
        }
        break;
    case WLMI_CODE_SUM:
    case WLMI_CODE_RULE:
        out->bucket = (uint16_t)(value >> 24);
        put(value & 0xffffff, rule_bits(field, out->bucket), 0, out);
        break;
    case WLMI_CODE_SACK:
        out->bucket = zigzag(difference, 32) >> 20 != 0;
        put(zigzag(difference, 32), out->bucket ? 32 : 20, 0, out);
        break;
    case WLMI_CODE_BYTES: out->bucket = (uint16_t)value; break;
    }
}

int wlmi_fields_forbidden(int field, const wlmi_values *p, wlmi_spelled *out)
{
    const wlmi_field *f = &wlmi_fields[field];
    switch (f->code) {
    case WLMI_CODE_FIX:
    case WLMI_CODE_WIDE:
    case WLMI_CODE_SUM:
    case WLMI_CODE_RULE: wlmi_fields_spell(field, p, p, out); return 1;
    case WLMI_CODE_PORT: put_folded(p->v[field], 16, 6, WLMI_KNOWN_PORTS, out); return 1;
    case WLMI_CODE_FRAG:
        out->bucket = 1;
        put(p->v[field], 16, 0, out);
        return 1;
    case WLMI_CODE_D16: /* the greatest number would come round to no difference */
        put_folded(UINT16_MAX, 16, 6, f->fold, out);
        return 1;
    case WLMI_CODE_D32:
    case WLMI_CODE_ACK:
        put_folded(UINT32_MAX, 32, 2, (f->code == WLMI_CODE_ACK ? 1 : f->fold) + MID, out);
        return 1;
    case WLMI_CODE_SACK:
        out->bucket = 1;
        put(UINT32_MAX, 32, 0, out);
        return 1;
    }
    return 0;
}

void wlmi_fields_read(int field, const wlmi_values *p, const wlmi_spelled *s, wlmi_values *h)
{
    const wlmi_field *f = &wlmi_fields[field];
    uint32_t predicted = p->v[field];
    switch (f->code) {
    case WLMI_CODE_FIX: h->v[field] = (uint32_t)((uint64_t)s->bucket << (f->bits - f->fold) | get(s)); break;
    case WLMI_CODE_WIDE:
        get_wide(wide_of(field, p->shape), s, field == WLMI_F_LINK ? h->link : h->address[field == WLMI_F_DST]);
        break;
    case WLMI_CODE_D16:
        h->v[field] = (predicted + unzigzag(get_difference(s, f->fold, 0), 16)) & 0xffff;
        break;
    case WLMI_CODE_D32: h->v[field] = predicted + unzigzag(get_difference(s, f->fold, 0), 32); break;
    case WLMI_CODE_ACK: h->v[field] = predicted + unzigzag(get_difference(s, 0, 1), 32); break;
    case WLMI_CODE_PORT:
        h->v[field] = s->bucket < WLMI_KNOWN_PORTS ? wlmi_known_ports[s->bucket]
                                                   : (uint32_t)(s->bucket - WLMI_KNOWN_PORTS) << 10 | (uint32_t)get(s);
        break;
    case WLMI_CODE_FRAG: h->v[field] = s->bucket ? (uint32_t)get(s) : predicted ^ 0x4000; break;
    case WLMI_CODE_SUM:
    case WLMI_CODE_RULE: h->v[field] = WLMI_RULE(s->bucket, (uint32_t)get(s)); break;
    case WLMI_CODE_SACK: h->v[field] = predicted + unzigzag((uint32_t)get(s), 32); break;
    case WLMI_CODE_FLAG: h->v[field] = !predicted; break;
    }
}
