/* mix.c: shares by name, and what a record and the options of a run say with them. */
#include "task/mix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/alter.h"

/* ---------------------------------------------------------------- shares */

/* Reads "name=share" or "name" at *text, which moves behind the comma. */
static int read_one(wlmi_shares *s, const char **text, wlmi_share_value *value_of, const void *user)
{
    char name[128], *end;
    const char *at = *text + strcspn(*text, "=,");
    size_t length = (size_t)(at - *text);
    double share = 1;
    if (s->count == WLMI_SHARES_MAX || !length || length >= sizeof name)
        return 0;
    memcpy(name, *text, length);
    name[length] = 0;
    if (*at == '=') {
        share = strtod(at + 1, &end);
        if (end == at + 1 || (*end && *end != ','))
            return 0;
        at = end;
    } else if (s->count || *at) {
        return 0; /* a name alone is all there is */
    }
    if (!isfinite(share) || share < 0 || !value_of(user, name, &s->value[s->count]) ||
        wlmi_shares_have(s, s->value[s->count]))
        return 0;
    s->share[s->count++] = share;
    *text = *at ? at + 1 : at;
    return !*at || at[1];
}

wlm_status wlmi_shares_parse(wlmi_shares *s, const char *option, const char *text, wlmi_share_value *value_of,
                             const void *user, wlm_error *error)
{
    const char *at = text;
    memset(s, 0, sizeof *s);
    do
        if (!read_one(s, &at, value_of, user))
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "option '--%s' cannot be '%.200s'", option,
                             text);
    while (*at);
    if (!(wlmi_shares_sum(s) > 0))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "option '--%s': shares must not all be 0", option);
    return WLM_OK;
}

double wlmi_shares_sum(const wlmi_shares *s)
{
    double sum = 0;
    for (int i = 0; i < s->count; i++)
        sum += s->share[i];
    return sum;
}

int wlmi_shares_at(const wlmi_shares *s, double whole, double u)
{
    double below = 0;
    for (int i = 0; i < s->count; i++)
        if (u * whole < (below += s->share[i]))
            return i;
    return -1;
}

int wlmi_shares_have(const wlmi_shares *s, uint32_t value)
{
    for (int i = 0; i < s->count; i++)
        if (s->value[i] == value)
            return 1;
    return 0;
}

/* ---------------------------------------------------------------- names and values */

static int hide_of(const void *user, const char *name, uint32_t *value)
{
    wlm_hide hide;
    (void)user;
    if (wlm_hide_parse(name, &hide) != WLM_OK)
        return 0;
    *value = hide;
    return 1;
}

static int number_of(const void *user, const char *name, uint32_t *value)
{
    char *end;
    unsigned long long number = strtoull(name, &end, 10);
    (void)user;
    *value = (uint32_t)number;
    return name[0] >= '0' && name[0] <= '9' && !*end && number < WLM_PAYLOAD_INHERIT;
}

static int payload_of(const void *user, const char *name, uint32_t *value)
{
    *value = !strcmp(name, "full") ? WLM_PAYLOAD_FULL : 0;
    return !strcmp(name, "full") || !strcmp(name, "none") || number_of(user, name, value);
}

static int alteration_of(const void *user, const char *name, uint32_t *value)
{
    int kind = wlmi_alter_find(name);
    (void)user;
    *value = (uint32_t)kind;
    return kind >= 0;
}

/* ---------------------------------------------------------------- records */

/* The options' text for the record's; empty where it names one value alone. *first: that, or the first of several. */
static wlm_status ask(char text[WLMI_SHARES_TEXT], uint32_t *first, const char *option, const char *asked,
                      wlmi_share_value *value_of, wlm_error *error)
{
    wlmi_shares s;
    WLMI_TRY(wlmi_shares_parse(&s, option, asked, value_of, NULL, error));
    if (strlen(asked) >= WLMI_SHARES_TEXT)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "option '--%s' is too long", option);
    *first = s.value[0];
    snprintf(text, WLMI_SHARES_TEXT, "%s", s.count > 1 ? asked : "");
    return WLM_OK;
}

static wlm_status ask_alterations(wlmi_record *record, const char *asked, wlm_error *error)
{
    wlmi_shares s;
    WLMI_TRY(wlmi_shares_parse(&s, "alter", asked, alteration_of, NULL, error));
    if (wlmi_shares_sum(&s) > 1 + 1e-9)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "option '--alter': shares of all sequences sum to at most 1");
    if (strlen(asked) >= sizeof record->alter)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "option '--alter' is too long");
    snprintf(record->alter, sizeof record->alter, "%s", asked);
    return WLM_OK;
}

wlm_status wlmi_mix_ask(wlmi_record *record, const wlm_train_options *o, wlm_error *error)
{
    uint32_t hide;
    if (o->hide_shares) {
        WLMI_TRY(ask(record->hide_shares, &hide, "hide", o->hide_shares, hide_of, error));
        record->hide = (wlm_hide)hide;
    } else if (o->hide != WLM_HIDE_INHERIT) {
        record->hide = o->hide;
        record->hide_shares[0] = 0;
    }
    if (o->payload_shares) {
        WLMI_TRY(ask(record->payload_shares, &record->payload, "payload", o->payload_shares, payload_of, error));
    } else if (o->payload != WLM_PAYLOAD_INHERIT) {
        record->payload = o->payload;
        record->payload_shares[0] = 0;
    }
    if (o->max_packets_shares) {
        WLMI_TRY(ask(record->max_packets_shares, &record->max_packets, "max-packets", o->max_packets_shares, number_of,
                     error));
    } else if (o->max_packets) {
        record->max_packets = o->max_packets;
        record->max_packets_shares[0] = 0;
    }
    return o->alter ? ask_alterations(record, o->alter, error) : WLM_OK;
}

/* A record's text, or the one value that it has without. */
static wlm_status read_shares(wlmi_shares *s, const char *text, const char *option, wlmi_share_value *value_of,
                              uint32_t own, wlm_error *error)
{
    *s = (wlmi_shares){.count = 1, .value = {own}, .share = {1}};
    if (!text[0])
        return WLM_OK;
    if (wlmi_shares_parse(s, option, text, value_of, NULL, error) != WLM_OK || s->value[0] != own)
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "the record's shares of '%s' make no sense", option);
    return WLM_OK;
}

wlm_status wlmi_mix_read(wlmi_mixture *mix, const wlmi_record *r, wlm_error *error)
{
    WLMI_TRY(read_shares(&mix->hides, r->hide_shares, "hide", hide_of, r->hide, error));
    WLMI_TRY(read_shares(&mix->payloads, r->payload_shares, "payload", payload_of, r->payload, error));
    WLMI_TRY(read_shares(&mix->packets, r->max_packets_shares, "max-packets", number_of, r->max_packets, error));
    memset(&mix->alters, 0, sizeof mix->alters);
    if (r->alter[0] && (wlmi_shares_parse(&mix->alters, "alter", r->alter, alteration_of, NULL, error) != WLM_OK ||
                        wlmi_shares_sum(&mix->alters) > 1 + 1e-9))
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "the record's shares of 'alter' make no sense");
    return WLM_OK;
}

uint32_t wlmi_mix_packets(const wlmi_mixture *mix, wlm_hide policy)
{
    uint32_t most = mix->packets.value[0];
    if (policy == WLM_HIDE_SHAPE)
        for (int i = 0; i < mix->packets.count; i++)
            if (most && (!mix->packets.value[i] || mix->packets.value[i] > most))
                most = mix->packets.value[i];
    return most;
}

uint32_t wlmi_mix_longest(const wlmi_record *record)
{
    uint32_t longest = record->payload;
    wlmi_mixture mix;
    if (wlmi_mix_read(&mix, record, NULL) == WLM_OK)
        for (int i = 0; i < mix.payloads.count; i++)
            longest = mix.payloads.value[i] > longest ? mix.payloads.value[i] : longest;
    return longest;
}
