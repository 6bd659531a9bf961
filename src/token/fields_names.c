/* fields_names.c: which tokens each role of `fields` can ever be, and what roles and tokens are called. */
#include <stdio.h>

#include "token/fields_coder.h"

/* Tokens a..b and c..d as bits, word by word. */
#define UPTO(t, i) ((t) < 64 * (i) ? 0 : (t) >= 64 * (i) + 63 ? UINT64_MAX : (UINT64_C(2) << (((t) - 64 * (i)) & 63)) - 1)
#define WORD(i, a, b) (UPTO(b, i) & ~UPTO((a) - 1, i))
#define W(i, a, b, c, d) (WORD(i, a, b) | WORD(i, c, d))
#define W5(i, ...) W(i, __VA_ARGS__), W(i + 1, __VA_ARGS__), W(i + 2, __VA_ARGS__), W(i + 3, __VA_ARGS__), \
                   W(i + 4, __VA_ARGS__)
#define W25(i, ...) W5(i, __VA_ARGS__), W5(i + 5, __VA_ARGS__), W5(i + 10, __VA_ARGS__), W5(i + 15, __VA_ARGS__), \
                    W5(i + 20, __VA_ARGS__)
#define ROWS2(a, b, c, d) {W25(0, a, b, c, d), W5(25, a, b, c, d), W5(30, a, b, c, d), W5(35, a, b, c, d), \
                           W(40, a, b, c, d), W(41, a, b, c, d), W(42, a, b, c, d), W(43, a, b, c, d)}
#define ROW(a, b) ROWS2(a, b, 1, 0)
_Static_assert(WLMI_T_WORDS == 44, "ROWS2 lists as many words as the vocabulary has");

enum { DIGIT_LAST = WLMI_T_END - 1, KIND_LAST = WLMI_T_US - 1 };

const uint64_t wlmi_fields_rows[WLMI_R_COUNT][WLMI_T_WORDS] = {
    [WLMI_R_BORDER] = ROW(WLMI_T_END, KIND_LAST),
    [WLMI_R_SLOT] = ROW(WLMI_T_DIGIT, WLMI_T_DIGIT + 3),
    [WLMI_R_SLOT + 1] = ROW(WLMI_T_DIGIT, DIGIT_LAST),
    [WLMI_R_NEW] = ROW(WLMI_T_SHAPE, WLMI_T_LINK_LONG),
    [WLMI_R_CHOSEN] = ROW(WLMI_T_SHAPE, KIND_LAST),
    [WLMI_R_LINK ... WLMI_R_LINK + 3] = ROW(WLMI_T_DIGIT, DIGIT_LAST),
    [WLMI_R_KIND] = ROW(WLMI_T_KIND, KIND_LAST),
    [WLMI_R_FLAGS] = ROW(WLMI_T_DIGIT, WLMI_T_DIGIT + 3),
    [WLMI_R_FLAGS + 1] = ROW(WLMI_T_DIGIT, DIGIT_LAST),
    [WLMI_R_TIME] = ROW(WLMI_T_US, WLMI_T_TAG - 1),
    [WLMI_R_TIME_DIGIT ... WLMI_R_TIME_DIGIT + 6] = ROW(WLMI_T_DIGIT, DIGIT_LAST),
    [WLMI_R_TAGS ... WLMI_R_TAGS + 4] = ROW(WLMI_T_TAG, WLMI_T_RUN - 1),
    [WLMI_R_FIELD ... WLMI_R_LEN + 2] = ROW(WLMI_T_DIGIT, DIGIT_LAST),
    [WLMI_R_OPTION] = ROW(WLMI_T_OPTION, WLMI_T_COUNT - 1),
    [WLMI_R_LITERAL ... WLMI_R_TRAILER] = ROW(WLMI_T_BYTE, WLMI_T_BYTE + 255),
    [WLMI_R_GENERIC] = ROWS2(WLMI_T_BYTE, WLMI_T_BYTE + 255, WLMI_T_RUN, WLMI_T_OPTION - 1),
};

#define DIGIT_NAMES(id, name, layers, code, bits, fold, buckets, hide) \
    [WLMI_R_FIELD + 4 * WLMI_F_##id] = name "-1", name "-2", name "-3", name "-4",

const char *const wlmi_fields_role_names[WLMI_R_COUNT] = {
    [WLMI_R_BORDER] = "border", "slot-1", "slot-2", "new", "chosen", "link-type-1", "link-type-2", "link-type-3",
    "link-type-4", "kind", "flags-1", "flags-2", "time", "time-1", "time-2", "time-3", "time-4", "time-5", "time-6",
    "time-7", "tags-tcp", "tags-udp", "tags-icmp", "tags-other", "tags-raw",
    WLMI_FIELDS(DIGIT_NAMES)
    [WLMI_R_LEN] = "length-1", "length-2", "length-3", "option", "literal", "payload", "trailer", "raw", "done"};

#define FIELD_NAME(id, name, layers, code, bits, fold, buckets, hide) name,

const char *const wlmi_fields_field_names[] = {WLMI_FIELDS(FIELD_NAME) "flow", "shape", "kind", "time", "length",
                                               "end", NULL};

int wlmi_fields_field(uint8_t role, wlmi_token token)
{
    if (role >= WLMI_R_FIELD && role < WLMI_R_LEN)
        return (role - WLMI_R_FIELD) / 4;
    if (role >= WLMI_R_TAGS && role < WLMI_R_FIELD)
        return token < WLMI_T_LEN_SAME ? wlmi_field_of(token) : WLMI_F_LENGTH;
    if (role >= WLMI_R_LEN && role < WLMI_R_OPTION)
        return WLMI_F_LENGTH;
    if (role >= WLMI_R_TIME && role < WLMI_R_TAGS)
        return WLMI_F_TIME;
    if (role >= WLMI_R_OPTION)
        return role == WLMI_R_OPTION || role == WLMI_R_LITERAL ? WLMI_SAME_FIELD : WLMI_NO_FIELD;
    if (role >= WLMI_R_FLAGS || (token >= WLMI_T_KIND && token < WLMI_T_US))
        return WLMI_F_KIND;
    if (role >= WLMI_R_SLOT && role < WLMI_R_NEW)
        return WLMI_F_FLOW;
    if ((role >= WLMI_R_LINK && role < WLMI_R_KIND) || token >= WLMI_T_SHAPE)
        return WLMI_F_SHAPE;
    return token < WLMI_T_NEW ? WLMI_F_END : WLMI_F_FLOW;
}

static void shape_name(int shape, char text[32])
{
    static const char *const link[WLMI_FIELDS_LINKS] = {"eth", "vlan", "vlan2", "pppoe", "raw", "raw-12", "raw-14", "ipv4", "ipv6",
                                                        "sll", "sll2", "null", "loop"};
    static const char *const net[4] = {"tcp", "udp", "icmp", "other"};
    snprintf(text, 32, "%s/ip%c/%s", link[shape / WLMI_FIELDS_NETS],
             shape % WLMI_FIELDS_NETS < WLMI_FN_6 ? '4' : '6', net[shape % WLMI_FN_6]);
}

static void kind_name(int kind, char text[32])
{
    static const char *const names[WLMI_KINDS] = {"plain", "S", "SA", "A", "PA", "FA", "FPA", "R", "RA", "SEW", "SAE",
                                                  "none", "flags", "raw"};
    snprintf(text, 32, "%c%s", kind >= WLMI_KINDS ? '<' : '>', names[kind % WLMI_KINDS]);
}

const char *wlmi_fields_token_name(wlmi_token token, char text[32])
{
    static const char *const ends[3] = {"closed", "timeout", "cut"};
    static const char *const options[11] = {"end", "eol", "nop", "sackp", "scale", "mss", "ts", "sack1", "sack2",
                                            "sack3", "sack4"};
    int t = token, field = WLMI_F_COUNT - 1;
    if (t < WLMI_T_DIGIT)
        snprintf(text, 32, "%02x", (unsigned)t);
    else if (t < WLMI_T_END)
        snprintf(text, 32, "#%d", t - WLMI_T_DIGIT);
    else if (t < WLMI_T_NEW)
        snprintf(text, 32, "%s", ends[t - WLMI_T_END]);
    else if (t < WLMI_T_RECENT)
        snprintf(text, 32, "%s", t == WLMI_T_NEW ? "new" : "slot");
    else if (t < WLMI_T_SHAPE)
        snprintf(text, 32, "flow-%d", t - WLMI_T_RECENT + 1);
    else if (t < WLMI_T_LINK_SHORT)
        shape_name(t - WLMI_T_SHAPE, text);
    else if (t < WLMI_T_KIND)
        snprintf(text, 32, "%s", t == WLMI_T_LINK_SHORT ? "link" : "link-long");
    else if (t < WLMI_T_US)
        kind_name(t - WLMI_T_KIND, text);
    else if (t < WLMI_T_NS)
        snprintf(text, 32, "us-%d", t - WLMI_T_US);
    else if (t < WLMI_T_BACK)
        snprintf(text, 32, "ns-%d", t - WLMI_T_NS);
    else if (t < WLMI_T_TAG)
        snprintf(text, 32, "back-%d", t - WLMI_T_BACK);
    else if (t < WLMI_T_LEN_SAME) {
        while (wlmi_fields[field].tag > token)
            field--;
        snprintf(text, 32, "%s.%d", wlmi_fields[field].name, t - wlmi_fields[field].tag);
    } else if (t < WLMI_T_LEN)
        snprintf(text, 32, "length-same");
    else if (t < WLMI_T_LEN_MID)
        snprintf(text, 32, "length=%d", t - WLMI_T_LEN);
    else if (t < WLMI_T_RUN)
        snprintf(text, 32, "length.%d", t - WLMI_T_LEN_MID);
    else if (t < WLMI_T_OPTION)
        snprintf(text, 32, "run=%d", t - WLMI_T_RUN + 1);
    else if (t < WLMI_T_COUNT)
        snprintf(text, 32, "option-%s", options[t - WLMI_T_OPTION]);
    else
        snprintf(text, 32, "unknown");
    return text;
}
