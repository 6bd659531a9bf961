/* mpi_world.c: the few MPI calls that ranks.c needs (MPI-3.1). */
#include "task/mpi_world.h"

#ifdef WLM_HAVE_MPI
#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bf16.h"

enum { MOST_PENDING = 256, MOST_VALUES = 1 << 26 };

struct wlmi_world {
    MPI_Comm comm;  /* our own, so that no message of the caller's meets one of ours */
    MPI_Op add_bf16;
    int began;      /* MPI was begun here */
    int rank, size;
    MPI_Request pending[MOST_PENDING];
    int pendings;
    int failed;     /* first MPI error since the last wait */
};

const char *wlmi_world_library(void)
{
    static _Thread_local char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    if (MPI_Get_library_version(text, &length) != MPI_SUCCESS)
        return "MPI";
    text[strcspn(text, ",\n")] = 0;
    return text;
}

static wlm_status fail(wlm_error *error, int code)
{
    char text[MPI_MAX_ERROR_STRING];
    int length;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS)
        snprintf(text, sizeof text, "error %d", code);
    text[strcspn(text, "\n")] = 0;
    return wlmi_fail(error, WLM_ERR_IO, NULL, WLM_NO_OFFSET, "MPI: %s", text);
}

static void add_bf16(void *from, void *to, int *n, MPI_Datatype *type)
{
    const uint16_t *x = from;
    uint16_t *y = to;
    (void)type;
    for (int i = 0; i < *n; i++)
        y[i] = wlmi_to_bf16(wlmi_from_bf16(y[i]) + wlmi_from_bf16(x[i]));
}

static int begin(wlmi_world *w)
{
    int running = 0, level, code = MPI_Initialized(&running);
    if (code == MPI_SUCCESS && !running) {
        code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level); /* ops have threads, but make no MPI call */
        w->began = code == MPI_SUCCESS;
    }
    if (code == MPI_SUCCESS)
        code = MPI_Comm_dup(MPI_COMM_WORLD, &w->comm);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_set_errhandler(w->comm, MPI_ERRORS_RETURN);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_rank(w->comm, &w->rank);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_size(w->comm, &w->size);
    if (code == MPI_SUCCESS)
        code = MPI_Op_create(add_bf16, 1, &w->add_bf16);
    return code;
}

wlm_status wlmi_world_open(wlmi_world **world, wlm_error *error)
{
    int ended = 0, code = MPI_Finalized(&ended);
    *world = NULL;
    if (code == MPI_SUCCESS && ended)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET,
                         "MPI has ended in this process, and cannot begin again");
    *world = wlmi_alloc_zero(1, sizeof **world);
    if (!*world)
        return WLMI_NO_MEMORY(error);
    (*world)->comm = MPI_COMM_NULL;
    (*world)->add_bf16 = MPI_OP_NULL;
    if (code == MPI_SUCCESS)
        code = begin(*world);
    if (code == MPI_SUCCESS)
        return WLM_OK;
    wlmi_world_close(*world);
    *world = NULL;
    return fail(error, code);
}

void wlmi_world_close(wlmi_world *w)
{
    if (!w)
        return;
    if (w->add_bf16 != MPI_OP_NULL)
        MPI_Op_free(&w->add_bf16);
    if (w->comm != MPI_COMM_NULL)
        MPI_Comm_free(&w->comm);
    if (w->began)
        MPI_Finalize();
    wlmi_free(w);
}

int wlmi_world_rank(const wlmi_world *w)
{
    return w->rank;
}

int wlmi_world_size(const wlmi_world *w)
{
    return w->size;
}

wlm_status wlmi_world_gather(wlmi_world *w, const void *own, void *all, size_t size, wlm_error *error)
{
    int code = size > INT_MAX ? MPI_ERR_COUNT
                              : MPI_Allgather(own, (int)size, MPI_BYTE, all, (int)size, MPI_BYTE, w->comm);
    return code == MPI_SUCCESS ? WLM_OK : fail(error, code);
}

static void keep_failure(wlmi_world *w, int code)
{
    if (w->failed == MPI_SUCCESS)
        w->failed = code;
}

static void begin_sum(wlmi_world *w, void *x, int n, MPI_Datatype type, MPI_Op op)
{
    int all_done;
    if (w->pendings == MOST_PENDING) {
        keep_failure(w, MPI_Waitall(w->pendings, w->pending, MPI_STATUSES_IGNORE));
        w->pendings = 0;
    }
    keep_failure(w, MPI_Iallreduce(MPI_IN_PLACE, x, n, type, op, w->comm, &w->pending[w->pendings++]));
    /* Most MPI libraries move data only inside their calls: this one lets the earlier sums go on. */
    keep_failure(w, MPI_Testall(w->pendings, w->pending, &all_done, MPI_STATUSES_IGNORE));
}

void wlmi_world_sum_f32(wlmi_world *w, float *x, size_t n)
{
    for (size_t at = 0; at < n; at += MOST_VALUES)
        begin_sum(w, x + at, (int)(n - at < MOST_VALUES ? n - at : MOST_VALUES), MPI_FLOAT, MPI_SUM);
}

void wlmi_world_sum_bf16(wlmi_world *w, uint16_t *x, size_t n)
{
    for (size_t at = 0; at < n; at += MOST_VALUES)
        begin_sum(w, x + at, (int)(n - at < MOST_VALUES ? n - at : MOST_VALUES), MPI_UINT16_T, w->add_bf16);
}

wlm_status wlmi_world_wait(wlmi_world *w, wlm_error *error)
{
    int code;
    keep_failure(w, MPI_Waitall(w->pendings, w->pending, MPI_STATUSES_IGNORE));
    w->pendings = 0;
    code = w->failed;
    w->failed = MPI_SUCCESS;
    return code == MPI_SUCCESS ? WLM_OK : fail(error, code);
}

#else /* without MPI nothing gets past open() */

const char *wlmi_world_library(void)
{
    return NULL;
}

wlm_status wlmi_world_open(wlmi_world **world, wlm_error *error)
{
    *world = NULL;
    return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET, "built without MPI: training has one process");
}

void wlmi_world_close(wlmi_world *world)
{
    (void)world;
}

int wlmi_world_rank(const wlmi_world *world)
{
    (void)world;
    return 0;
}

int wlmi_world_size(const wlmi_world *world)
{
    (void)world;
    return 1;
}

wlm_status wlmi_world_gather(wlmi_world *world, const void *own, void *all, size_t size, wlm_error *error)
{
    (void)world, (void)own, (void)all, (void)size;
    return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET, "built without MPI");
}

void wlmi_world_sum_f32(wlmi_world *world, float *x, size_t n)
{
    (void)world, (void)x, (void)n;
}

void wlmi_world_sum_bf16(wlmi_world *world, uint16_t *x, size_t n)
{
    (void)world, (void)x, (void)n;
}

wlm_status wlmi_world_wait(wlmi_world *world, wlm_error *error)
{
    (void)world;
    return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET, "built without MPI");
}

#endif
