/* mix.h: what training draws for each sequence: how the flow is hidden, how much of it is shown, what befalls it. One
 * model then serves all of these. As text: "ids=.6,implicit=.2,shape=.2", or one name alone, which has it all. */
#ifndef WLMI_MIX_H
#define WLMI_MIX_H

#include "model/model.h"

enum { WLMI_SHARES_MAX = 16 };
typedef struct wlmi_shares { /* count 0: nothing is drawn */
    int count;
    uint32_t value[WLMI_SHARES_MAX];
    double share[WLMI_SHARES_MAX]; /* >= 0, not all 0 */
} wlmi_shares;

/* 1 and *value where there is something of that name. */
typedef int wlmi_share_value(const void *user, const char *name, uint32_t *value);
/* option: its name on the command line, for the error. WLM_ERR_ARGUMENT where text is not such a list. */
wlm_status wlmi_shares_parse(wlmi_shares *shares, const char *option, const char *text, wlmi_share_value *value_of,
                             const void *user, wlm_error *error);
/* Index of the value that falls to u in [0, 1), by shares of `whole`; -1: to none of them. */
int wlmi_shares_at(const wlmi_shares *shares, double whole, double u);
double wlmi_shares_sum(const wlmi_shares *shares);
int wlmi_shares_have(const wlmi_shares *shares, uint32_t value);

typedef struct wlmi_mixture {
    wlmi_shares hides;    /* wlm_hide */
    wlmi_shares payloads; /* limits */
    wlmi_shares packets;  /* limits; 0: as many as fit */
    wlmi_shares alters;   /* wlmi_alteration; of all sequences: a sum below 1 leaves some unaltered */
} wlmi_mixture;

/* Writes into the record what the options ask for. A record that comes from another model keeps what is not asked. */
wlm_status wlmi_mix_ask(wlmi_record *record, const wlm_train_options *options, wlm_error *error);
/* hides, payloads and packets have at least one value, the record's own first. WLM_ERR_FORMAT: the record's text makes
 * no sense. */
wlm_status wlmi_mix_read(wlmi_mixture *mix, const wlmi_record *record, wlm_error *error);
/* Packets per flow that are shown under a policy unless asked otherwise: the primary limit, but under shape, where
 * packets are short, the most of all (0, as many as fit, is more than any). */
uint32_t wlmi_mix_packets(const wlmi_mixture *mix, wlm_hide policy);
/* The longest of the payload limits: what generate prompts show, and a model writes. */
uint32_t wlmi_mix_longest(const wlmi_record *record);

#endif
