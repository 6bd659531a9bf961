/* meter.c: matrix products, noted on their way to a backend. */
#include "tensor/meter.h"

#include <pthread.h>

#include "base/io.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of whether there is a meter, and of what it notes */
static wlmi_meter *running;
static const wlmi_backend *below;
static wlmi_backend table;
static int sharing = 1; /* threads that take products at a time: each of them has such a part of the time */

const char *wlmi_way_name(wlmi_way way)
{
    static const char *const name[WLMI_WAYS] = {"forward", "backward_input", "backward_weight"};
    return name[way];
}

double wlmi_meter_seconds(const wlmi_meter *meter)
{
    double sum = 0;
    for (int i = 0; i < meter->count; i++)
        sum += meter->product[i].seconds;
    return sum;
}

static void note(wlmi_way way, int M, int N, int K, double seconds)
{
    wlmi_noted_product *p = running->product;
    int i = 0;
    pthread_mutex_lock(&lock);
    while (i < running->count && (p[i].way != way || p[i].M != M || p[i].N != N || p[i].K != K))
        i++;
    if (i < WLMI_METER_MOST) {
        if (i == running->count)
            p[running->count++] = (wlmi_noted_product){.way = way, .M = M, .N = N, .K = K};
        p[i].calls++;
        p[i].seconds += seconds / sharing;
    }
    pthread_mutex_unlock(&lock);
}

static void each(void (*task)(void *user, int i, int worker), void *user, int tasks)
{
    const int threads = below->threads();
    sharing = tasks < threads ? tasks : threads;
    below->each(task, user, tasks);
    sharing = 1;
}

static void matmul_forward(wlmi_act *y, const wlmi_act *x, const wlmi_weight *w, int M, int N, int K)
{
    double start_s = wlmi_clock();
    below->matmul_forward(y, x, w, M, N, K);
    note(WLMI_FORWARD, M, N, K, wlmi_clock() - start_s);
}

static void matmul_forward_onto(wlmi_real *y, const wlmi_real *base, const wlmi_act *x, const wlmi_weight *w, int M,
                                int N, int K)
{
    double start_s = wlmi_clock();
    below->matmul_forward_onto(y, base, x, w, M, N, K);
    note(WLMI_FORWARD, M, N, K, wlmi_clock() - start_s);
}

static void matmul_forward_rows(wlmi_real *y, const wlmi_act *x, const wlmi_weight *w, int M, int first, int last,
                                int K)
{
    double start_s = wlmi_clock();
    below->matmul_forward_rows(y, x, w, M, first, last, K);
    note(WLMI_FORWARD, M, last - first, K, wlmi_clock() - start_s);
}

static void matmul_backward_input(wlmi_act *dx, const wlmi_act *dy, const wlmi_weight *w, int M, int N, int K)
{
    double start_s = wlmi_clock();
    below->matmul_backward_input(dx, dy, w, M, N, K);
    note(WLMI_BACKWARD_INPUT, M, N, K, wlmi_clock() - start_s);
}

static void matmul_backward_input_real(wlmi_real *dx, const wlmi_act *dy, const wlmi_weight *w, int M, int N, int K)
{
    double start_s = wlmi_clock();
    below->matmul_backward_input_real(dx, dy, w, M, N, K);
    note(WLMI_BACKWARD_INPUT, M, N, K, wlmi_clock() - start_s);
}

static void matmul_backward_weight(wlmi_real *dw, const wlmi_act *dy, const wlmi_act *x, int M, int N, int K)
{
    double start_s = wlmi_clock();
    below->matmul_backward_weight(dw, dy, x, M, N, K);
    note(WLMI_BACKWARD_WEIGHT, M, N, K, wlmi_clock() - start_s);
}

wlm_status wlmi_meter_start(wlmi_meter *meter, const wlmi_backend *under, const wlmi_backend **metered,
                            wlm_error *error)
{
    int taken;
    pthread_mutex_lock(&lock);
    taken = running != NULL;
    if (!taken)
        running = meter;
    pthread_mutex_unlock(&lock);
    if (taken)
        return wlmi_fail(error, WLM_ERR_REFUSED, NULL, WLM_NO_OFFSET, "this process is measuring already");
    meter->count = 0;
    below = under;
    table = *under;
    table.each = each;
    table.matmul_forward = matmul_forward;
    table.matmul_forward_onto = matmul_forward_onto;
    table.matmul_forward_rows = matmul_forward_rows;
    table.matmul_backward_input = matmul_backward_input;
    table.matmul_backward_input_real = matmul_backward_input_real;
    table.matmul_backward_weight = matmul_backward_weight;
    *metered = &table;
    return WLM_OK;
}

void wlmi_meter_stop(void)
{
    pthread_mutex_lock(&lock);
    running = NULL;
    pthread_mutex_unlock(&lock);
}
