/* filter.c: BPF filters by libpcap, compiled once for each link type that comes along. */
#include "base/alloc.h"
#include "base/status.h"

#include <pcap.h>
#include <pthread.h>
#include <stdio.h>

enum { SNAP_LENGTH = 262144 };

typedef struct program {
    uint32_t link_type;
    int usable; /* 0: the expression makes no sense for this link type */
    struct bpf_program code;
} program;

struct wlm_filter {
    char *expression;
    program *program; /* one for each link type seen, in order of appearance */
    size_t count, capacity;
};

/* libpcap before 1.8 compiles through global state; one lock around every compilation costs nothing. */
static pthread_mutex_t compiling = PTHREAD_MUTEX_INITIALIZER;

/* The DLT_ number by which libpcap compiles for a link type: they differ for raw IP, among those it has code for. */
static int dlt_of(uint32_t link_type)
{
    return link_type == 101 || link_type == 12 || link_type == 14 ? DLT_RAW : (int)link_type;
}

/* Returns 1 and the code where the expression can be compiled; else 0 and libpcap's reason. */
static int compile(const char *expression, uint32_t link_type, struct bpf_program *code, char reason[256])
{
    int ok = 0;
    pthread_mutex_lock(&compiling);
    pcap_t *pcap = pcap_open_dead(dlt_of(link_type), SNAP_LENGTH);
    if (pcap) {
        ok = pcap_compile(pcap, code, expression, 1, PCAP_NETMASK_UNKNOWN) == 0;
        if (!ok)
            snprintf(reason, 256, "%s", pcap_geterr(pcap));
        pcap_close(pcap);
    } else {
        snprintf(reason, 256, "out of memory");
    }
    pthread_mutex_unlock(&compiling);
    return ok;
}

wlm_status wlm_filter_new(wlm_filter **filter, const char *expression, wlm_error *error)
{
    /* Ethernet first: its reason is the one to report. The others make sense of what Ethernet cannot. */
    static const uint32_t tried[] = {1, 101, 113, 276, 0, 9, 105, 127};
    struct bpf_program code;
    char reason[256] = "";
    int usable = 0;
    *filter = NULL;
    for (size_t i = 0; i < sizeof tried / sizeof *tried && !usable; i++) {
        char ignored[256];
        usable = compile(expression, tried[i], &code, i ? ignored : reason);
    }
    if (!usable)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "filter '%.200s': %s", expression, reason);
    pcap_freecode(&code);
    wlm_filter *f = wlmi_alloc_zero(1, sizeof *f);
    if (!f || !(f->expression = wlmi_strdup(expression))) {
        wlmi_free(f);
        return WLMI_NO_MEMORY(error);
    }
    *filter = f;
    return WLM_OK;
}

/* The program for a link type, compiled where it is the first of its kind. NULL: no memory. */
static const program *program_for(wlm_filter *filter, uint32_t link_type)
{
    char reason[256];
    for (size_t i = 0; i < filter->count; i++)
        if (filter->program[i].link_type == link_type)
            return &filter->program[i];
    if (!wlmi_grow(&filter->program, &filter->capacity, filter->count + 1, sizeof *filter->program))
        return NULL;
    program *p = &filter->program[filter->count++];
    p->link_type = link_type;
    p->usable = compile(filter->expression, link_type, &p->code, reason);
    return p;
}

int wlm_filter_match(wlm_filter *filter, const wlm_packet *packet)
{
    const program *p = program_for(filter, packet->link_type & 0xffff);
    struct pcap_pkthdr header = {.caplen = packet->captured, .len = packet->wire};
    return p && p->usable && pcap_offline_filter(&p->code, &header, packet->data) != 0;
}

void wlm_filter_free(wlm_filter *filter)
{
    if (!filter)
        return;
    for (size_t i = 0; i < filter->count; i++)
        if (filter->program[i].usable)
            pcap_freecode(&filter->program[i].code);
    wlmi_free(filter->program);
    wlmi_free(filter->expression);
    wlmi_free(filter);
}
