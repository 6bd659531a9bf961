/* cpu.c: which level of the cpu backend there is here, its threads, scratch and failures. */
#include "tensor/cpu/cpu.h"

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "tensor/products.h"

extern const wlmi_backend wlmi_table_baseline;
#ifdef __x86_64__
extern const wlmi_backend wlmi_table_bf16, wlmi_table_avx512, wlmi_table_avx2;

/* What the compiler is told in CMakeLists.txt, and no more. */
static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static int has_bf16(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni") &&
           wlmi_products_have_bf16();
}
#endif

static int always(void)
{
    return 1;
}

const wlmi_backend *wlmi_backend_cpu(size_t i)
{
    static const struct {
        const wlmi_backend *table;
        int (*here)(void);
    } levels[] = {
#ifdef __x86_64__
        {&wlmi_table_bf16, has_bf16},
        {&wlmi_table_avx512, has_avx512},
        {&wlmi_table_avx2, has_avx2},
#endif
        {&wlmi_table_baseline, always},
    };
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++)
        if (levels[l].here() && i-- == 0)
            return levels[l].table;
    return NULL;
}

static atomic_int wanted; /* threads asked for, 0: OpenMP's own count */
static _Thread_local wlm_status failed;
static _Thread_local wlm_error failure;

static _Thread_local int alone; /* in a task of wlmi_cpu_each() */

static int all_threads(void)
{
    int n = atomic_load(&wanted);
    return n > 0 ? n : omp_get_max_threads();
}

int wlmi_cpu_all_threads(void)
{
    return alone ? 1 : all_threads();
}

void wlmi_cpu_each(void (*task)(void *user, int i, int worker), void *user, int tasks)
{
    const int all = wlmi_cpu_all_threads(), threads = tasks < 1 ? 1 : tasks < all ? tasks : all, before = alone;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int i = 0; i < tasks; i++) {
        alone = 1;
        task(user, i, omp_get_thread_num());
        alone = before;
    }
}

int wlmi_cpu_threads(double work)
{
    return work < 50000 ? 1 : wlmi_cpu_all_threads();
}

void wlmi_cpu_set_threads(int threads)
{
    atomic_store(&wanted, threads);
}

const char *wlmi_cpu_describe(const char *level, const char *type)
{
    static _Thread_local char text[96];
    const int threads = all_threads();
    snprintf(text, sizeof text, "%s, %s, %s, %d thread%s", level, wlmi_products_library(), type, threads,
             threads == 1 ? "" : "s");
    return text;
}

void wlmi_cpu_failed(wlm_status status, const wlm_error *error)
{
    if (failed == WLM_OK) {
        failed = status;
        failure = *error;
    }
}

wlm_status wlmi_cpu_status(wlm_error *error)
{
    wlm_status s = failed;
    failed = WLM_OK;
    if (s != WLM_OK && error)
        *error = failure;
    return s;
}

/* Blocks that this thread's ops have used and will use again: fresh ones would have to be cleared by the system, page
 * by page, in every op. */
enum { KEPT = 4 };

typedef struct kept_block {
    float *data;
    size_t size; /* bytes */
    int used;
} kept_block;

static _Thread_local kept_block kept[KEPT];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;

static void release_all(void *blocks)
{
    for (kept_block *b = blocks; b < (kept_block *)blocks + KEPT; b++) {
        wlmi_free(b->data);
        b->data = NULL;
        b->size = 0;
    }
}

static void make_key(void)
{
    pthread_key_create(&at_exit, release_all);
}

/* The smallest free block that is large enough, else the largest free one, grown. */
static kept_block *find_block(size_t size)
{
    kept_block *best = NULL;
    for (kept_block *b = kept; b < kept + KEPT; b++) {
        if (b->used)
            continue;
        if (!best || (best->size < size ? b->size > best->size : b->size >= size && b->size < best->size))
            best = b;
    }
    return best;
}

static float *take(size_t size)
{
    kept_block *b = find_block(size);
    if (!b)
        return NULL;
    if (b->size < size) {
        pthread_once(&once, make_key);
        pthread_setspecific(at_exit, kept);
        wlmi_free(b->data);
        b->data = wlmi_alloc_aligned(size);
        b->size = b->data ? size : 0;
    }
    b->used = b->data != NULL;
    return b->data;
}

float *wlmi_cpu_scratch(int tasks, size_t each, size_t *step)
{
    float *block = NULL;
    *step = (each + 15) & ~(size_t)15;
    if (*step <= SIZE_MAX / 2 / sizeof(float) / (size_t)tasks)
        block = take((size_t)tasks * *step * sizeof(float));
    if (!block) {
        wlm_error error;
        wlmi_cpu_failed(WLMI_NO_MEMORY(&error), &error);
    }
    return block;
}

void wlmi_cpu_release(const void *block)
{
    for (int i = 0; i < KEPT; i++)
        if (block && kept[i].data == block)
            kept[i].used = 0;
}
