/* fields_measures.c: what a packet's length token says in numbers; encoder and decoder know the whole header by then. */
#include "token/fields_coder.h"

int64_t wlmi_measure_of_length(const wlmi_values *h, int raw, uint32_t length)
{
    const uint32_t layers = raw ? 0 : wlmi_shape_layers(h->shape);
    const uint32_t uncaptured = raw ? h->v[WLMI_F_WIRE] : 0;
    wlmi_measured m = {.backward = h->direction, .length = length + (uncaptured < UINT32_MAX - length ? uncaptured : 0)};
    if (layers & WLMI_LAYER_IP && !(layers & WLMI_LAYER_OTHER && h->v[WLMI_F_PROTO] == WLMI_SHAPE_PROTOCOL))
        m.ttl = h->v[WLMI_F_TTL];
    m.is_ip6 = (layers & WLMI_LAYER_IP6) != 0;
    if (layers & WLMI_LAYER_IP4) {
        m.keeps_whole = (h->v[WLMI_F_FRAG] & 0x4000) != 0;
        m.has_id = h->v[WLMI_F_ID] != 0;
    }
    if (layers & WLMI_LAYER_TCP) {
        m.flags = h->flags & 255;
        m.window = h->v[WLMI_F_WINDOW];
        m.options = h->layout.size / 4u;
        m.scale = wlmi_layout_has(&h->layout, WLMI_F_SCALE) ? 1 + h->v[WLMI_F_SCALE] : 0;
    }
    return wlmi_measure_packet(&m);
}
