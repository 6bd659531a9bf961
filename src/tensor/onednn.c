/* onednn.c: matrix products through oneDNN's C API, version 2 or 3.
 *
 * A primitive is compiled for its shape, which takes some tenths of a millisecond: a bounded cache keeps those in use.
 * Cache, rounded inputs and oneDNN's stream are shared by the whole process, under one lock: a product uses all
 * threads anyway. */
#include "tensor/onednn.h"

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <oneapi/dnnl/dnnl.h>

#include "base/alloc.h"
#include "tensor/cpu/flat.h"

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t layout; /* a handle in version 3, a plain struct in version 2 */
#define LAYOUT(l) (l)
#else
typedef dnnl_memory_desc_t layout;
#define LAYOUT(l) (&(l))
#endif

enum { CACHE = 128 };

typedef struct key {
    int a_transposed, b_transposed, M, N, K, accumulate, threads, bf16;
} key;

typedef struct product {
    key key;
    uint64_t used; /* time of last use, 0: empty */
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, c; /* views: their data is set for every call */
} product;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static dnnl_engine_t engine;
static dnnl_stream_t stream;
static product cache[CACHE];
static uint64_t now;
static struct { uint16_t *data; size_t room; } rounded[2];
static atomic_int bf16_refused;

static int has_bf16(void)
{
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

static int use_bf16(void)
{
    return !atomic_load(&bf16_refused) && has_bf16();
}

void wlmi_onednn_use_bf16(int use)
{
    atomic_store(&bf16_refused, !use);
}

const char *wlmi_onednn_type(void)
{
    return use_bf16() ? "bf16" : "f32";
}

void wlmi_onednn_version(int *major, int *minor, int *patch)
{
    const dnnl_version_t *version = dnnl_version();
    *major = version->major;
    *minor = version->minor;
    *patch = version->patch;
}

static dnnl_status_t layout_new(layout *l, int rows, int columns, int transposed, dnnl_data_type_t type)
{
    const dnnl_dims_t dims = {rows, columns};
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_tag(l, 2, dims, type, transposed ? dnnl_ba : dnnl_ab);
#else
    return dnnl_memory_desc_init_by_tag(l, 2, dims, type, transposed ? dnnl_ba : dnnl_ab);
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

static dnnl_status_t attributes_new(dnnl_primitive_attr_t *attributes, int accumulate)
{
    dnnl_post_ops_t after;
    dnnl_status_t s = dnnl_primitive_attr_create(attributes);
    if (s != dnnl_success || !accumulate)
        return s;
    s = dnnl_post_ops_create(&after);
    if (s == dnnl_success) {
#if DNNL_VERSION_MAJOR >= 3
        s = dnnl_post_ops_append_sum(after, 1, 0, dnnl_data_type_undef);
#else
        s = dnnl_post_ops_append_sum(after, 1);
#endif
        if (s == dnnl_success)
            s = dnnl_primitive_attr_set_post_ops(*attributes, after);
        dnnl_post_ops_destroy(after);
    }
    if (s != dnnl_success)
        dnnl_primitive_attr_destroy(*attributes);
    return s;
}

static dnnl_status_t describe(dnnl_primitive_desc_t *description, layout *a, layout *b, layout *c, int accumulate)
{
    dnnl_primitive_attr_t attributes;
    dnnl_status_t s = attributes_new(&attributes, accumulate);
    if (s != dnnl_success)
        return s;
#if DNNL_VERSION_MAJOR >= 3
    s = dnnl_matmul_primitive_desc_create(description, engine, *a, *b, NULL, *c, attributes);
#else
    dnnl_matmul_desc_t matmul;
    s = dnnl_matmul_desc_init(&matmul, a, b, NULL, c);
    if (s == dnnl_success)
        s = dnnl_primitive_desc_create(description, &matmul, attributes, engine, NULL);
#endif
    dnnl_primitive_attr_destroy(attributes);
    return s;
}

static void product_clear(product *p)
{
    if (p->a)
        dnnl_memory_destroy(p->a);
    if (p->b)
        dnnl_memory_destroy(p->b);
    if (p->c)
        dnnl_memory_destroy(p->c);
    if (p->primitive)
        dnnl_primitive_destroy(p->primitive);
    memset(p, 0, sizeof *p);
}

static dnnl_status_t product_fill(product *p, const key *k, layout *a, layout *b, layout *c)
{
    dnnl_primitive_desc_t description;
    dnnl_status_t s = describe(&description, a, b, c, k->accumulate);
    if (s != dnnl_success)
        return s;
    s = dnnl_primitive_create(&p->primitive, description);
    dnnl_primitive_desc_destroy(description);
    if (s == dnnl_success)
        s = dnnl_memory_create(&p->a, LAYOUT(*a), engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success)
        s = dnnl_memory_create(&p->b, LAYOUT(*b), engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success)
        s = dnnl_memory_create(&p->c, LAYOUT(*c), engine, DNNL_MEMORY_NONE);
    return s;
}

static dnnl_status_t product_new(product *p, const key *k)
{
    const dnnl_data_type_t type = k->bf16 ? dnnl_bf16 : dnnl_f32;
    layout a, b, c;
    dnnl_status_t s = layout_new(&a, k->M, k->K, k->a_transposed, type);
    if (s != dnnl_success)
        return s;
    s = layout_new(&b, k->K, k->N, k->b_transposed, type);
    if (s == dnnl_success) {
        s = layout_new(&c, k->M, k->N, 0, dnnl_f32);
        if (s == dnnl_success) {
            s = product_fill(p, k, &a, &b, &c);
            layout_free(&c);
        }
        layout_free(&b);
    }
    layout_free(&a);
    if (s == dnnl_success)
        p->key = *k;
    else
        product_clear(p);
    return s;
}

/* The cached product, or a new one in the place of the one unused for longest. */
static dnnl_status_t product_find(product **found, const key *k)
{
    dnnl_status_t s = dnnl_success;
    product *oldest = cache;
    if (!stream) {
        if (!engine)
            s = dnnl_engine_create(&engine, dnnl_cpu, 0);
        if (s == dnnl_success)
            s = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
        if (s != dnnl_success)
            return s;
    }
    *found = NULL;
    for (int i = 0; i < CACHE && !*found; i++) {
        if (cache[i].used && memcmp(&cache[i].key, k, sizeof *k) == 0)
            *found = &cache[i];
        else if (cache[i].used < oldest->used)
            oldest = &cache[i];
    }
    if (!*found) {
        product_clear(oldest);
        s = product_new(oldest, k);
        *found = oldest;
    }
    if (s == dnnl_success)
        (*found)->used = ++now;
    return s;
}

static uint16_t *round_input(int which, const float *x, size_t n, int threads)
{
    if (n > rounded[which].room) {
        wlmi_free(rounded[which].data);
        rounded[which].room = 0;
        rounded[which].data = n > SIZE_MAX / 4 ? NULL : wlmi_alloc_aligned(n * sizeof(uint16_t));
        if (!rounded[which].data)
            return NULL;
        rounded[which].room = n;
    }
    wlmi_cpu_round_bf16(rounded[which].data, x, n, threads);
    return rounded[which].data;
}

/* a and b are of the key's type. */
static dnnl_status_t execute(const key *k, float *c, const void *a, const void *b)
{
    product *p;
    dnnl_exec_arg_t arguments[3];
    dnnl_status_t s = product_find(&p, k);
    if (s != dnnl_success)
        return s;
    s = dnnl_memory_set_data_handle(p->a, (void *)(uintptr_t)a);
    if (s == dnnl_success)
        s = dnnl_memory_set_data_handle(p->b, (void *)(uintptr_t)b);
    if (s == dnnl_success)
        s = dnnl_memory_set_data_handle(p->c, c);
    if (s != dnnl_success)
        return s;
    arguments[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, p->a};
    arguments[1] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, p->b};
    arguments[2] = (dnnl_exec_arg_t){DNNL_ARG_DST, p->c};
    s = dnnl_primitive_execute(p->primitive, stream, 3, arguments);
    return s == dnnl_success ? dnnl_stream_wait(stream) : s;
}

static dnnl_status_t round_and_execute(const key *k, float *c, const float *a, const float *b)
{
    const uint16_t *near_a, *near_b;
    if (!k->bf16)
        return execute(k, c, a, b);
    near_a = round_input(0, a, (size_t)k->M * k->K, k->threads);
    near_b = round_input(1, b, (size_t)k->K * k->N, k->threads);
    return near_a && near_b ? execute(k, c, near_a, near_b) : dnnl_out_of_memory;
}

static wlm_status as_status(dnnl_status_t s, const key *k, wlm_error *error)
{
    if (s == dnnl_success)
        return WLM_OK;
    if (s == dnnl_out_of_memory)
        return WLMI_NO_MEMORY(error);
    return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET, "oneDNN cannot multiply [%d,%d] by [%d,%d] (%d)",
                     k->M, k->K, k->K, k->N, (int)s);
}

/* oneDNN takes its thread count from the calling thread's setting: returns the one to go back to. */
static int enter(int threads)
{
    const int callers = omp_get_max_threads();
    pthread_mutex_lock(&lock);
    omp_set_num_threads(threads);
    return callers;
}

static void leave(int callers)
{
    omp_set_num_threads(callers);
    pthread_mutex_unlock(&lock);
}

wlm_status wlmi_onednn_product(float *c, const float *a, int a_transposed, const float *b, int b_transposed, int M,
                               int N, int K, int accumulate, int threads, wlm_error *error)
{
    const key k = {a_transposed, b_transposed, M, N, K, accumulate, threads, use_bf16()};
    const int callers = enter(threads);
    const dnnl_status_t s = round_and_execute(&k, c, a, b);
    leave(callers);
    return as_status(s, &k, error);
}

wlm_status wlmi_onednn_product_bf16(float *c, const uint16_t *a, int a_transposed, const uint16_t *b, int b_transposed,
                                    int M, int N, int K, int accumulate, int threads, wlm_error *error)
{
    const key k = {a_transposed, b_transposed, M, N, K, accumulate, threads, 1};
    const int callers = enter(threads);
    const dnnl_status_t s = execute(&k, c, a, b);
    leave(callers);
    return as_status(s, &k, error);
}
