/* fields_shape.c: the tables of the codec `fields`: fields, shapes, flag combinations, ports and option layouts that
 * have tokens of their own. */
#include "token/fields.h"

#include <string.h>

#include "capture/decode.h"

#define FIELD_ROW(id, name, layers, code, bits, fold, buckets, hide) \
    {name, layers, WLMI_CODE_##code, bits, fold, hide, buckets, WLMI_T_##id},
const wlmi_field wlmi_fields[WLMI_F_COUNT] = {WLMI_FIELDS(FIELD_ROW)};

int wlmi_field_of(wlmi_token token)
{
    int low = 0, high = WLMI_F_COUNT - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (wlmi_fields[middle].tag <= token)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static const struct {
    uint16_t link_type;
    uint8_t size, told; /* the rest of the header says that IP follows */
} links[WLMI_FIELDS_LINKS] = {
    [WLMI_FL_ETHERNET] = {WLMI_LINK_ETHERNET, 14, 12},
    [WLMI_FL_VLAN] = {WLMI_LINK_ETHERNET, 18, 12},
    [WLMI_FL_VLANS] = {WLMI_LINK_ETHERNET, 22, 20},
    [WLMI_FL_PPPOE] = {WLMI_LINK_ETHERNET, 22, 16},
    [WLMI_FL_RAW] = {WLMI_LINK_RAW, 0, 0},
    [WLMI_FL_RAW_BSD] = {WLMI_LINK_RAW_BSD, 0, 0},
    [WLMI_FL_RAW_OPENBSD] = {WLMI_LINK_RAW_OPENBSD, 0, 0},
    [WLMI_FL_IPV4] = {WLMI_LINK_IPV4, 0, 0},
    [WLMI_FL_IPV6] = {WLMI_LINK_IPV6, 0, 0},
    [WLMI_FL_SLL] = {WLMI_LINK_SLL, 16, 14},
    [WLMI_FL_SLL2] = {WLMI_LINK_SLL2, 20, 18},
    [WLMI_FL_NULL] = {WLMI_LINK_NULL, 4, 4},
    [WLMI_FL_LOOP] = {WLMI_LINK_LOOP, 4, 4},
};

uint32_t wlmi_shape_layers(int shape)
{
    static const uint16_t transport[4] = {WLMI_LAYER_TCP, WLMI_LAYER_UDP, WLMI_LAYER_ICMP, WLMI_LAYER_OTHER};
    if (shape == WLMI_SHAPE_GENERIC)
        return WLMI_LAYER_GENERIC;
    int link = shape / WLMI_FIELDS_NETS, net = shape % WLMI_FIELDS_NETS;
    return (links[link].told ? WLMI_LAYER_LINK : 0u) | (link == WLMI_FL_VLAN ? WLMI_LAYER_VLAN : 0u) |
           (net < WLMI_FN_6 ? WLMI_LAYER_IP4 : WLMI_LAYER_IP6) | transport[net % WLMI_FN_6];
}

uint32_t wlmi_shape_link_type(int shape)
{
    return links[shape / WLMI_FIELDS_NETS].link_type;
}

int wlmi_shape_link_size(int shape)
{
    return links[shape / WLMI_FIELDS_NETS].size;
}

int wlmi_shape_link_bytes(int shape)
{
    return links[shape / WLMI_FIELDS_NETS].told;
}

const uint16_t wlmi_kind_flags[WLMI_KIND_OTHER - WLMI_KIND_TCP] = {
    0x002, 0x012, 0x010, 0x018, 0x011, 0x019, 0x004, 0x014, 0x0c2, 0x052, 0x000};

/* Ports of services that captures are full of (IANA's registry), ascending. */
const uint16_t wlmi_known_ports[WLMI_KNOWN_PORTS] = {
    21,  22,  25,  53,  67,  68,  80,   110,  123,  137,  138,  139,  143,  161,  389,  443,
    445, 500, 514, 546, 547, 993, 995, 1883, 1900, 3389, 3478, 5060, 5222, 5353, 5355, 8080};

const uint8_t wlmi_option_length[WLMI_OPTIONS] = {1, 1, 2, 3, 4, 10, 10, 18, 26, 34};

/* Layouts seen often: E end of list, N no operation, S SACK permitted, W window scale, M maximum segment size,
 * T timestamps, 1..4 SACK blocks. */
static const char *const layouts[WLMI_KNOWN_LAYOUTS] = {
    "",        "NNT",     "MSTNW",   "MNWNNS", "MNNS",   "MNWNNTSEE", "M",     "MNNSNW", "NN1",   "NN2",
    "NN3",     "NNTNN1",  "NNTNN2",  "NNTNN3", "MNNTNW", "MNW",       "NN4",   "MNWNNT", "MNWSTEEE", "MNNTSNW",
    "MNWNNTNNS", "MNNTNNS", "MSTE",  "NNS1E",  "MNNSNWNNT", "MNNT",   "MNWSEE", "MSNWNNT", "MWSEEE", "MNWNNTSNN",
    "NNTNN4",  "TNN",     "MNWNNSNNT", "MSNN", "MNWSNN", "MSNW",      "MWNSNN", "MNSNWNNT", "MWNTSEE", "NNTN"};

static const char letters[WLMI_OPTIONS + 1] = "ENSWMT1234";

void wlmi_layout_known(int index, wlmi_tcp_layout *layout)
{
    memset(layout, 0, sizeof *layout);
    for (const char *c = layouts[index]; *c; c++) {
        uint8_t option = (uint8_t)(strchr(letters, *c) - letters);
        layout->item[layout->count++] = option;
        layout->size = (uint8_t)(layout->size + wlmi_option_length[option]);
    }
}

int wlmi_known_layout(const wlmi_tcp_layout *layout)
{
    if (layout->raw)
        return -1;
    for (int i = 0; i < WLMI_KNOWN_LAYOUTS; i++) {
        int at = 0;
        while (at < layout->count && layouts[i][at] == letters[layout->item[at]])
            at++;
        if (at == layout->count && !layouts[i][at])
            return i;
    }
    return -1;
}

int wlmi_layout_has(const wlmi_tcp_layout *layout, int field)
{
    int want = field == WLMI_F_MSS ? WLMI_OPTION_MSS : field == WLMI_F_SCALE ? WLMI_OPTION_SCALE : WLMI_OPTION_TS;
    for (int i = 0; i < layout->count && !layout->raw; i++) {
        int option = layout->item[i];
        if (field >= WLMI_F_SACK0 && field <= WLMI_F_SACK7) {
            if (option >= WLMI_OPTION_SACK && field - WLMI_F_SACK0 < 2 * (option - WLMI_OPTION_SACK + 1))
                return 1;
        } else if (option == want) {
            return 1;
        }
    }
    return 0;
}
