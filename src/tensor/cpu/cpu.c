/* cpu.c: the cpu backend as a table, its threads and its failures. */
#include "tensor/cpu/cpu.h"

#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "tensor/onednn.h"

static atomic_int wanted; /* threads asked for, 0: OpenMP's own count */
static _Thread_local wlm_status failed;
static _Thread_local wlm_error failure;

static int all_threads(void)
{
    int n = atomic_load(&wanted);
    return n > 0 ? n : omp_get_max_threads();
}

int wlmi_cpu_threads(double work)
{
    return work < 50000 ? 1 : all_threads();
}

static void set_threads(int threads)
{
    atomic_store(&wanted, threads);
}

static const char *describe(void)
{
    static _Thread_local char text[96];
    int major, minor, patch, threads = all_threads();
    wlmi_onednn_version(&major, &minor, &patch);
    snprintf(text, sizeof text, "oneDNN %d.%d.%d, %s, %d thread%s", major, minor, patch, wlmi_onednn_type(), threads,
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

static wlm_status status(wlm_error *error)
{
    wlm_status s = failed;
    failed = WLM_OK;
    if (s != WLM_OK && error)
        *error = failure;
    return s;
}

float *wlmi_cpu_scratch(int tasks, size_t each, size_t *step)
{
    float *block = NULL;
    *step = (each + 15) & ~(size_t)15;
    if (*step <= SIZE_MAX / sizeof(float) / (size_t)tasks)
        block = wlmi_alloc_aligned((size_t)tasks * *step * sizeof(float));
    if (!block) {
        wlm_error error;
        wlmi_cpu_failed(WLMI_NO_MEMORY(&error), &error);
    }
    return block;
}

const wlmi_backend wlmi_backend_cpu = {
    .name = "cpu",
    .real_size = sizeof(float),
    .describe = describe,
    .set_threads = set_threads,
    .status = status,
    .zero = wlmi_cpu_zero,
    .add = wlmi_cpu_add,
    .scale = wlmi_cpu_scale,
    .from_float = wlmi_cpu_from_float,
    .to_float = wlmi_cpu_to_float,
    .embed_forward = wlmi_cpu_embed_forward,
    .embed_backward = wlmi_cpu_embed_backward,
    .rmsnorm_forward = wlmi_cpu_rmsnorm_forward,
    .rmsnorm_backward = wlmi_cpu_rmsnorm_backward,
    .matmul_forward = wlmi_cpu_matmul_forward,
    .matmul_backward_input = wlmi_cpu_matmul_backward_input,
    .matmul_backward_weight = wlmi_cpu_matmul_backward_weight,
    .swiglu_forward = wlmi_cpu_swiglu_forward,
    .swiglu_backward = wlmi_cpu_swiglu_backward,
    .shift_forward = wlmi_cpu_shift_forward,
    .shift_backward = wlmi_cpu_shift_backward,
    .shift_step = wlmi_cpu_shift_step,
    .rotary = wlmi_cpu_rotary,
    .rotary_angles = wlmi_cpu_rotary_angles,
    .rotary_turn = wlmi_cpu_rotary_turn,
    .attention_forward = wlmi_cpu_attention_forward,
    .attention_backward = wlmi_cpu_attention_backward,
    .attention_step = wlmi_cpu_attention_step,
    .linear_state_size = wlmi_cpu_linear_state_size,
    .linear_forward = wlmi_cpu_linear_forward,
    .linear_backward = wlmi_cpu_linear_backward,
    .linear_step = wlmi_cpu_linear_step,
    .conv_forward = wlmi_cpu_conv_forward,
    .conv_backward = wlmi_cpu_conv_backward,
    .conv_step = wlmi_cpu_conv_step,
    .delta_kept_size = wlmi_cpu_delta_kept_size,
    .delta_forward = wlmi_cpu_delta_forward,
    .delta_backward = wlmi_cpu_delta_backward,
    .delta_step = wlmi_cpu_delta_step,
    .gate_norm_forward = wlmi_cpu_gate_norm_forward,
    .gate_norm_backward = wlmi_cpu_gate_norm_backward,
    .cross_entropy_forward = wlmi_cpu_cross_entropy_forward,
    .cross_entropy_backward = wlmi_cpu_cross_entropy_backward,
    .sum = wlmi_cpu_sum,
    .sum_squares = wlmi_cpu_sum_squares,
    .adamw = wlmi_cpu_adamw,
};
