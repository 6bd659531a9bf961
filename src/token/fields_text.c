/* fields_text.c: a packet's tokens of `fields` as a line for people: what was told as name=value, what was predicted as
 * name+. It goes by a decoder that reads the tokens. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "capture/flow.h"
#include "token/fields_coder.h"

typedef struct line {
    char *text;
    size_t size, used;
} line;

__attribute__((format(printf, 2, 3))) static void add(line *l, const char *format, ...)
{
    va_list list;
    if (l->used >= l->size)
        return;
    va_start(list, format);
    int n = vsnprintf(l->text + l->used, l->size - l->used, format, list);
    va_end(list);
    l->used += n > 0 ? (size_t)n : 0;
    if (l->used >= l->size)
        l->used = l->size - 1;
}

static void add_bytes(line *l, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        add(l, "%02x", bytes[i]);
}

static void add_rule(line *l, int field, uint32_t rule)
{
    static const char *const sums[] = {"right", "partial", "zero", "diff", "carried"};
    static const char *const pads[] = {"none", "to-60", "fixed"};
    static const char *const cuts[] = {"none", "payload", "frame"};
    const char *const *names = field == WLMI_F_PAD ? pads : field == WLMI_F_CUT ? cuts : sums;
    uint32_t kind = rule >> 24, plain = names == sums ? WLMI_SUM_CLASS_ZERO : 0;
    add(l, "%s", names[kind]);
    if (kind > plain && !(names == pads && kind == WLMI_PAD_60))
        add(l, ":%" PRIu32, rule & 0xffffff);
}

static void add_value(line *l, int field, const wlmi_values *h)
{
    static const char letters[] = "ENSWMT1234";
    uint32_t v = h->v[field];
    char text[64];
    switch (wlmi_fields[field].code) {
    case WLMI_CODE_WIDE:
        if (field == WLMI_F_LINK) {
            add_bytes(l, h->link, (size_t)wlmi_shape_link_bytes(h->shape));
        } else {
            int is4 = (wlmi_shape_layers(h->shape) & WLMI_LAYER_IP4) != 0;
            wlmi_address_text(h->address[field == WLMI_F_DST], is4 ? 4 : 16, text);
            add(l, "%s", text);
        }
        break;
    case WLMI_CODE_LAYOUT:
        if (h->layout.raw)
            add_bytes(l, h->layout.item, h->layout.size);
        for (int i = 0; i < h->layout.count && !h->layout.raw; i++)
            add(l, "%c", letters[h->layout.item[i]]);
        break;
    case WLMI_CODE_BYTES: add_bytes(l, h->ip_options, 4 * v); break;
    case WLMI_CODE_SUM:
    case WLMI_CODE_RULE: add_rule(l, field, v); break;
    case WLMI_CODE_FLAG: add(l, field == WLMI_F_CHECK ? (v ? "told" : "right") : "yes"); break;
    case WLMI_CODE_FRAG: add(l, "%04" PRIx32, v); break;
    default: add(l, "%" PRIu32, v);
    }
}

/* Whether the packet has the field at all, so that it can have been predicted. */
static int is_there(int field, const wlmi_values *h)
{
    if (field >= WLMI_F_MSS && field <= WLMI_F_SACK7)
        return wlmi_layout_has(&h->layout, field);
    return field != WLMI_F_IPLEN && field != WLMI_F_TRAILER && field != WLMI_F_WIRE &&
           (field != WLMI_F_IPOPT || h->v[field]) && (field != WLMI_F_URGENT || h->v[field]);
}

/* What stands before the tags of the packet: token names as they are, time in seconds. */
static void add_head(line *l, int role, wlmi_token token)
{
    char name[32];
    if (role >= WLMI_R_TIME && role < WLMI_R_TAGS)
        return; /* the step is told when it is known */
    add(l, "%s%s", l->used ? " " : "", wlmi_fields_token_name(token, name));
}

static void add_step(line *l, int64_t before, int64_t time)
{
    int back = time < before;
    uint64_t step = back ? (uint64_t)before - (uint64_t)time : (uint64_t)time - (uint64_t)before;
    add(l, " time=%s%" PRIu64 ".%09" PRIu64, back ? "-" : "", step / 1000000000, step % 1000000000);
}

void wlmi_fields_text(wlmi_coder *reader, const wlmi_tokens *tokens, char *text, size_t size)
{
    line l = {text, size, 0};
    int64_t before = reader->time_ns;
    uint64_t told = 0;
    size_t bytes = 0;
    wlmi_pushed what = WLMI_PUSHED;
    text[0] = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        int role = reader->role, tags = role >= WLMI_R_TAGS && role < WLMI_R_FIELD;
        if (wlmi_fields_push(reader, tokens->token[i], &what, NULL) != WLM_OK)
            return;
        if (role < WLMI_R_TAGS) {
            add_head(&l, role, tokens->token[i]);
            if (reader->role >= WLMI_R_TAGS && reader->role < WLMI_R_FIELD)
                add_step(&l, before, reader->values.time_ns);
        } else if (role < WLMI_R_LEN || role == WLMI_R_OPTION || role == WLMI_R_LITERAL) {
            int ended = reader->role >= WLMI_R_TAGS && reader->role < WLMI_R_FIELD;
            if (ended && (!tags || tokens->token[i] < WLMI_T_LEN_SAME)) {
                told |= UINT64_C(1) << reader->field;
                add(&l, " %s=", wlmi_fields[reader->field].name);
                add_value(&l, reader->field, &reader->values);
            }
        } else if (role >= WLMI_R_PAYLOAD) {
            bytes++;
        }
    }
    const wlmi_values *h = &reader->values;
    if (what != WLMI_PUSHED_PACKET)
        return;
    for (int f = 0; f < WLMI_F_COUNT && !reader->raw; f++)
        if (wlmi_fields[f].layers & wlmi_shape_layers(h->shape) && !(told >> f & 1) && is_there(f, h))
            add(&l, " %s+", wlmi_fields[f].name);
    add(&l, " length=%" PRIu32 " (%zu tokens, %zu of them bytes)", reader->raw ? h->captured : h->payload,
        tokens->count, bytes);
}
