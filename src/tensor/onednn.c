/* onednn.c: matrix products through oneDNN's C API, version 2 or 3.
 *
 * A primitive is compiled for its shape, which takes some tenths of a millisecond: a bounded cache keeps those in use.
 * Each thread that calls has a workshop of its own, cache and oneDNN's stream: threads may take products at a time, and
 * oneDNN's scratch memory belongs to the thread that a primitive was made in. */
#include "tensor/products.h"

#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <oneapi/dnnl/dnnl.h>

#include "base/alloc.h"

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t layout; /* a handle in version 3, a plain struct in version 2 */
typedef const_dnnl_memory_desc_t known_layout;
#define LAYOUT(l) (l)
#else
typedef dnnl_memory_desc_t layout;
typedef const dnnl_memory_desc_t *known_layout;
#define LAYOUT(l) (&(l))
#endif

enum { CACHE = 256, TYPICAL_ROWS = 1024 };

typedef struct key {
    wlmi_product product;
    int packed, based, threads;
} key;

typedef struct entry {
    key key;
    uint64_t used; /* time of last use, 0: empty */
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, c, base; /* views: their data is set for every call */
} entry;

struct wlmi_packed {
    dnnl_memory_t memory;
    void *data;
    dnnl_memory_t from; /* view of what is packed */
    dnnl_primitive_t reorder;
    int threads;        /* that the reorder is made for, 0: there is none */
    const struct workshop *in; /* of the thread that made it */
};

typedef struct workshop {
    dnnl_stream_t stream;
    uint64_t now;
    entry cache[CACHE];
} workshop;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;
static dnnl_status_t opened; /* how that went */
static dnnl_engine_t engine;
static _Thread_local workshop *own;

int wlmi_products_have_bf16(void)
{
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

const char *wlmi_products_library(void)
{
    static _Thread_local char text[48];
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
    return text;
}

/* oneDNN takes its thread count from the calling thread's setting: returns the one to go back to. */
static int enter(int threads)
{
    const int callers = omp_get_max_threads();
    omp_set_num_threads(threads);
    return callers;
}

static void leave(int callers)
{
    omp_set_num_threads(callers);
}

static wlm_status as_status(dnnl_status_t s, int M, int N, int K, wlm_error *error)
{
    if (s == dnnl_success)
        return WLM_OK;
    if (s == dnnl_out_of_memory)
        return WLMI_NO_MEMORY(error);
    return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET, "oneDNN cannot multiply [%d,%d] by [%d,%d] (%d)",
                     M, K, K, N, (int)s);
}

/* ---------------------------------------------------------------- layouts */

static dnnl_status_t layout_new(layout *l, int rows, int columns, dnnl_format_tag_t tag, wlmi_number type)
{
    const dnnl_dims_t dims = {rows, columns};
    const dnnl_data_type_t data = type == WLMI_BF16 ? dnnl_bf16 : dnnl_f32;
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_tag(l, 2, dims, data, tag);
#else
    return dnnl_memory_desc_init_by_tag(l, 2, dims, data, tag);
#endif
}

static void layout_free(layout *l)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_destroy(*l);
#else
    (void)l;
#endif
}

static known_layout layout_of(dnnl_memory_t memory)
{
    known_layout l = NULL;
    dnnl_memory_get_memory_desc(memory, &l);
    return l;
}

/* ---------------------------------------------------------------- primitives */

static dnnl_status_t append_to(dnnl_post_ops_t after, const key *k, known_layout base)
{
    dnnl_status_t s = dnnl_success;
    if (k->product.accumulate)
#if DNNL_VERSION_MAJOR >= 3
        s = dnnl_post_ops_append_sum(after, 1, 0, dnnl_data_type_undef);
#else
        s = dnnl_post_ops_append_sum(after, 1);
#endif
    if (s == dnnl_success && k->based)
        s = dnnl_post_ops_append_binary(after, dnnl_binary_add, base);
    return s;
}

static dnnl_status_t attributes_new(dnnl_primitive_attr_t *attributes, const key *k, known_layout base)
{
    dnnl_post_ops_t after;
    dnnl_status_t s = dnnl_primitive_attr_create(attributes);
    if (s != dnnl_success)
        return s;
    s = dnnl_post_ops_create(&after);
    if (s == dnnl_success) {
        s = append_to(after, k, base);
        if (s == dnnl_success)
            s = dnnl_primitive_attr_set_post_ops(*attributes, after);
        dnnl_post_ops_destroy(after);
    }
    if (s != dnnl_success)
        dnnl_primitive_attr_destroy(*attributes);
    return s;
}

/* base: layout of what the key says is added. */
static dnnl_status_t describe(dnnl_primitive_desc_t *description, const key *k, known_layout a, known_layout b,
                              known_layout c, known_layout base)
{
    dnnl_primitive_attr_t attributes;
    dnnl_status_t s = attributes_new(&attributes, k, base);
    if (s != dnnl_success)
        return s;
#if DNNL_VERSION_MAJOR >= 3
    s = dnnl_matmul_primitive_desc_create(description, engine, a, b, NULL, c, attributes);
#else
    dnnl_matmul_desc_t matmul;
    s = dnnl_matmul_desc_init(&matmul, a, b, NULL, c);
    if (s == dnnl_success)
        s = dnnl_primitive_desc_create(description, &matmul, attributes, engine, NULL);
#endif
    dnnl_primitive_attr_destroy(attributes);
    return s;
}

/* Layouts of a, c and base, which is c's in float. */
typedef struct layouts {
    layout a, c, base;
} layouts;

static dnnl_status_t layouts_new(layouts *l, const wlmi_product *p)
{
    dnnl_status_t s = layout_new(&l->a, p->M, p->K, p->a_transposed ? dnnl_ba : dnnl_ab, p->in);
    if (s != dnnl_success)
        return s;
    s = layout_new(&l->c, p->M, p->N, dnnl_ab, p->out);
    if (s == dnnl_success) {
        s = layout_new(&l->base, p->M, p->N, dnnl_ab, WLMI_F32);
        if (s == dnnl_success)
            return s;
        layout_free(&l->c);
    }
    layout_free(&l->a);
    return s;
}

static void layouts_free(layouts *l)
{
    layout_free(&l->a);
    layout_free(&l->c);
    layout_free(&l->base);
}

static void memory_free(dnnl_memory_t *memory)
{
    if (*memory)
        dnnl_memory_destroy(*memory);
    *memory = NULL;
}

static void entry_clear(entry *e)
{
    memory_free(&e->a);
    memory_free(&e->b);
    memory_free(&e->c);
    memory_free(&e->base);
    if (e->primitive)
        dnnl_primitive_destroy(e->primitive);
    memset(e, 0, sizeof *e);
}

static dnnl_status_t entry_fill(entry *e, const key *k, const layouts *l, known_layout b)
{
    dnnl_primitive_desc_t description;
    dnnl_status_t s = describe(&description, k, LAYOUT(l->a), b, LAYOUT(l->c), LAYOUT(l->base));
    if (s != dnnl_success)
        return s;
    s = dnnl_primitive_create(&e->primitive, description);
    dnnl_primitive_desc_destroy(description);
    if (s == dnnl_success)
        s = dnnl_memory_create(&e->a, LAYOUT(l->a), engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success)
        s = dnnl_memory_create(&e->b, b, engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success)
        s = dnnl_memory_create(&e->c, LAYOUT(l->c), engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success && k->based)
        s = dnnl_memory_create(&e->base, LAYOUT(l->base), engine, DNNL_MEMORY_NONE);
    return s;
}

/* ---------------------------------------------------------------- the thread's workshop */

static void workshop_free(void *of)
{
    workshop *w = of;
    for (int i = 0; i < CACHE; i++)
        entry_clear(&w->cache[i]);
    if (w->stream)
        dnnl_stream_destroy(w->stream);
    wlmi_free(w);
}

static void open_engine(void)
{
    opened = pthread_key_create(&at_exit, workshop_free) ? dnnl_runtime_error : dnnl_engine_create(&engine, dnnl_cpu, 0);
}

static dnnl_status_t enter_workshop(void)
{
    workshop *w;
    dnnl_status_t s;
    pthread_once(&once, open_engine);
    if (own || opened != dnnl_success)
        return opened;
    w = wlmi_alloc_zero(1, sizeof *w);
    if (!w)
        return dnnl_out_of_memory;
    s = dnnl_stream_create(&w->stream, engine, dnnl_stream_default_flags);
    if (s == dnnl_success && pthread_setspecific(at_exit, w))
        s = dnnl_out_of_memory;
    if (s == dnnl_success)
        own = w;
    else
        workshop_free(w);
    return s;
}

/* packed: b's layout, or NULL: plain. */
static dnnl_status_t entry_new(entry *e, const key *k, known_layout packed)
{
    const wlmi_product *p = &k->product;
    layouts l;
    layout b;
    dnnl_status_t s = layouts_new(&l, p);
    if (s != dnnl_success)
        return s;
    if (packed) {
        s = entry_fill(e, k, &l, packed);
    } else {
        s = layout_new(&b, p->K, p->N, p->b_transposed ? dnnl_ba : dnnl_ab, p->in);
        if (s == dnnl_success) {
            s = entry_fill(e, k, &l, LAYOUT(b));
            layout_free(&b);
        }
    }
    layouts_free(&l);
    if (s == dnnl_success)
        e->key = *k;
    else
        entry_clear(e);
    return s;
}

/* The cached primitive, or a new one in the place of the one unused for longest. */
static dnnl_status_t entry_find(entry **found, const key *k, known_layout packed)
{
    dnnl_status_t s = enter_workshop();
    entry *cache = s == dnnl_success ? own->cache : NULL, *oldest = cache;
    *found = NULL;
    for (int i = 0; cache && i < CACHE && !*found; i++) {
        if (cache[i].used && memcmp(&cache[i].key, k, sizeof *k) == 0)
            *found = &cache[i];
        else if (cache[i].used < oldest->used)
            oldest = &cache[i];
    }
    if (s == dnnl_success && !*found) {
        entry_clear(oldest);
        s = entry_new(oldest, k, packed);
        *found = oldest;
    }
    if (s == dnnl_success)
        (*found)->used = ++own->now;
    return s;
}

/* ---------------------------------------------------------------- products */

static dnnl_status_t execute(const key *k, void *c, const void *a, const void *b, const float *base,
                             known_layout packed)
{
    enum { ADDED = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1 };
    entry *e;
    dnnl_status_t s = entry_find(&e, k, packed);
    if (s != dnnl_success)
        return s;
    s = dnnl_memory_set_data_handle(e->a, (void *)(uintptr_t)a);
    if (s == dnnl_success)
        s = dnnl_memory_set_data_handle(e->b, (void *)(uintptr_t)b);
    if (s == dnnl_success)
        s = dnnl_memory_set_data_handle(e->c, c);
    if (s == dnnl_success && base)
        s = dnnl_memory_set_data_handle(e->base, (void *)(uintptr_t)base);
    if (s == dnnl_success) {
        const dnnl_exec_arg_t arguments[] = {
            {DNNL_ARG_SRC, e->a}, {DNNL_ARG_WEIGHTS, e->b}, {DNNL_ARG_DST, e->c}, {ADDED, e->base},
        };
        s = dnnl_primitive_execute(e->primitive, own->stream, base ? 4 : 3, arguments);
    }
    return s == dnnl_success ? dnnl_stream_wait(own->stream) : s;
}

wlm_status wlmi_multiply(const wlmi_product *p, void *c, const void *a, const void *b, const float *base,
                               int threads, wlm_error *error)
{
    const key k = {.product = *p, .based = base != NULL, .threads = threads};
    const int callers = enter(threads);
    const dnnl_status_t s = execute(&k, c, a, b, base, NULL);
    leave(callers);
    return as_status(s, p->M, p->N, p->K, error);
}

wlm_status wlmi_multiply_packed(const wlmi_product *p, void *c, const void *a, const wlmi_packed *b,
                                      const float *base, int threads, wlm_error *error)
{
    key k = {.product = *p, .packed = 1, .based = base != NULL, .threads = threads};
    const int callers = enter(threads);
    dnnl_status_t s;
    k.product.b_transposed = 0;
    s = execute(&k, c, a, b->data, base, layout_of(b->memory));
    leave(callers);
    return as_status(s, p->M, p->N, p->K, error);
}

/* ---------------------------------------------------------------- packing */

/* A reorder takes the threads that it was made for, whatever is set later. */
static dnnl_status_t make_reorder(wlmi_packed *p, int threads)
{
    dnnl_primitive_desc_t description;
    dnnl_status_t s;
    if (p->threads == threads && p->in == own)
        return dnnl_success;
    if (p->threads)
        dnnl_primitive_destroy(p->reorder);
    p->threads = 0;
    s = dnnl_reorder_primitive_desc_create(&description, layout_of(p->from), engine, layout_of(p->memory), engine,
                                           NULL);
    if (s != dnnl_success)
        return s;
    s = dnnl_primitive_create(&p->reorder, description);
    dnnl_primitive_desc_destroy(description);
    if (s == dnnl_success)
        p->threads = threads, p->in = own;
    return s;
}

/* The layout that oneDNN would choose for b in a product of many rows: it depends on b alone. */
static dnnl_status_t packed_memory(wlmi_packed *p, int N, int K, wlmi_number type)
{
    const key k = {.product = {.M = TYPICAL_ROWS, .N = N, .K = K, .in = type}};
    dnnl_primitive_desc_t description;
    layouts l;
    layout any;
    dnnl_status_t s = layouts_new(&l, &k.product);
    if (s != dnnl_success)
        return s;
    s = layout_new(&any, K, N, dnnl_format_tag_any, type);
    if (s == dnnl_success) {
        s = describe(&description, &k, LAYOUT(l.a), LAYOUT(any), LAYOUT(l.c), LAYOUT(l.base));
        layout_free(&any);
    }
    layouts_free(&l);
    if (s != dnnl_success)
        return s;
    known_layout chosen = dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0);
    p->data = wlmi_alloc_aligned(dnnl_memory_desc_get_size(chosen));
    s = p->data ? dnnl_memory_create(&p->memory, chosen, engine, p->data) : dnnl_out_of_memory;
    dnnl_primitive_desc_destroy(description);
    return s;
}

static dnnl_status_t packed_fill(wlmi_packed *p, int N, int K, wlmi_number type, int b_transposed)
{
    layout from;
    dnnl_status_t s = enter_workshop();
    if (s == dnnl_success)
        s = packed_memory(p, N, K, type);
    if (s == dnnl_success)
        s = layout_new(&from, K, N, b_transposed ? dnnl_ba : dnnl_ab, WLMI_F32);
    if (s != dnnl_success)
        return s;
    s = dnnl_memory_create(&p->from, LAYOUT(from), engine, DNNL_MEMORY_NONE);
    layout_free(&from);
    return s;
}

wlm_status wlmi_packed_new(wlmi_packed **packed, int N, int K, wlmi_number type, int b_transposed,
                                  wlm_error *error)
{
    wlmi_packed *p = wlmi_alloc_zero(1, sizeof *p);
    dnnl_status_t s;
    *packed = NULL;
    if (!p)
        return WLMI_NO_MEMORY(error);
    s = packed_fill(p, N, K, type, b_transposed);
    if (s == dnnl_success)
        *packed = p;
    else
        wlmi_packed_free(p);
    return as_status(s, TYPICAL_ROWS, N, K, error);
}

wlm_status wlmi_pack(wlmi_packed *p, const float *b, int threads, wlm_error *error)
{
    const int callers = enter(threads);
    dnnl_status_t s = enter_workshop();
    if (s == dnnl_success)
        s = make_reorder(p, threads);
    if (s == dnnl_success)
        s = dnnl_memory_set_data_handle(p->from, (void *)(uintptr_t)b);
    if (s == dnnl_success) {
        const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, p->from}, {DNNL_ARG_TO, p->memory}};
        s = dnnl_primitive_execute(p->reorder, own->stream, 2, arguments);
    }
    if (s == dnnl_success)
        s = dnnl_stream_wait(own->stream);
    leave(callers);
    if (s == dnnl_success)
        return WLM_OK;
    return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET, "oneDNN cannot pack a matrix (%d)", (int)s);
}

void wlmi_packed_free(wlmi_packed *p)
{
    if (!p)
        return;
    if (p->threads)
        dnnl_primitive_destroy(p->reorder);
    memory_free(&p->from);
    memory_free(&p->memory);
    wlmi_free(p->data);
    wlmi_free(p);
}
