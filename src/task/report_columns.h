/* report_columns.h: what is read off flows for comparing distributions: fields of packet headers, a value for each
 * packet, and features of flows, a value for each flow. docs/EVALUATE.md defines each. */
#ifndef WLMI_REPORT_COLUMNS_H
#define WLMI_REPORT_COLUMNS_H

#include "task/report_bins.h"
#include "task/report_flows.h"

enum {
    WLMI_FIELD_SPORT, WLMI_FIELD_DPORT, WLMI_FIELD_SRC, WLMI_FIELD_DST, WLMI_FIELD_LENGTH, WLMI_FIELD_TTL,
    WLMI_FIELD_FLAGS, WLMI_FIELD_WINDOW, WLMI_FIELDS
};

enum {
    WLMI_FEATURE_PACKETS, WLMI_FEATURE_BYTES, WLMI_FEATURE_DURATION, WLMI_FEATURE_GAP, WLMI_FEATURE_TURNS,
    WLMI_FEATURE_KFP, /* six of k-fingerprinting's */
    WLMI_FEATURES = WLMI_FEATURE_KFP + 6
};

typedef struct wlmi_column {
    const char *name;
    wlmi_bin_kind kind;
} wlmi_column;

extern const wlmi_column wlmi_field_column[WLMI_FIELDS];
extern const wlmi_column wlmi_feature_column[WLMI_FEATURES];

typedef struct wlmi_columns {      /* of one set of flows; zero-initialise */
    double *field[WLMI_FIELDS];    /* [packets], by place; NaN: the packet has none */
    double *feature[WLMI_FEATURES]; /* [flows]; NaN: the flow has none */
} wlmi_columns;

/* addresses: a table that gives equal addresses of several sets the same value. */
wlm_status wlmi_columns_read(wlmi_columns *columns, const wlmi_flow_set *set, wlmi_strings *addresses,
                             wlm_error *error);
void wlmi_columns_free(wlmi_columns *columns);

/* Bytes of the packet from its IP header on, by its own length. */
uint32_t wlmi_ip_length(const wlmi_headers *headers);

#endif
