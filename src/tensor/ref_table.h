/* ref_table.h: the scalar backend as a table, for the type REAL. Included once each by ref.c and ref64.c.
 *
 * Its ops transcribe the comments of backend.h as directly as C allows: they are what other backends are tested
 * against, so they are to be read, not to be fast. Formulas are evaluated in REAL, except where said. */
#include "tensor/ref_ops.h"

#include "tensor/ref_mixers.h"

#include "tensor/ref_delta.h"

static const char *describe(void)
{
    return REF_DESCRIPTION;
}

static void set_threads(int threads)
{
    (void)threads;
}

static int threads(void)
{
    return 1;
}

static void each(void (*task)(void *user, int i, int worker), void *user, int tasks)
{
    for (int i = 0; i < tasks; i++)
        task(user, i, 0);
}

static wlm_status status(wlm_error *error)
{
    if (!no_memory)
        return WLM_OK;
    no_memory = 0;
    return WLMI_NO_MEMORY(error);
}

const wlmi_backend REF_TABLE = {
    .name = REF_NAME,
    .real_size = sizeof(REAL),
    .act_size = sizeof(REAL),
    .describe = describe,
    .set_threads = set_threads,
    .threads = threads,
    .each = each,
    .status = status,
    .zero = zero,
    .add = add,
    .scale = scale,
    .to_grid = to_grid,
    .from_float = from_float,
    .to_float = to_float,
    .to_act = to_act,
    .to_real = to_real,
    .embed_forward = embed_forward,
    .embed_backward = embed_backward,
    .rmsnorm_forward = rmsnorm_forward,
    .rmsnorm_backward = rmsnorm_backward,
    .weight_new = weight_new,
    .weight_set = weight_set,
    .weight_free = weight_free,
    .matmul_forward = matmul_forward,
    .matmul_forward_onto = matmul_forward_onto,
    .matmul_forward_rows = matmul_forward_rows,
    .matmul_backward_input = matmul_backward_input,
    .matmul_backward_input_real = matmul_backward_input_real,
    .matmul_backward_weight = matmul_backward_weight,
    .product = product,
    .swiglu_forward = swiglu_forward,
    .swiglu_backward = swiglu_backward,
    .shift_step = shift_step,
    .rotary = rotary,
    .rotary_angles = rotary_angles,
    .rotary_turn = rotary_turn,
    .attention_forward = attention_forward,
    .attention_backward = attention_backward,
    .attention_step = attention_step,
    .linear_state_size = linear_state_size,
    .linear_forward = linear_forward,
    .linear_backward = linear_backward,
    .linear_step = linear_step,
    .conv_forward = conv_forward,
    .conv_backward = conv_backward,
    .conv_step = conv_step,
    .delta_kept_size = delta_kept_size,
    .delta_forward = delta_forward,
    .delta_backward = delta_backward,
    .delta_step = delta_step,
    .gate_norm_forward = gate_norm_forward,
    .gate_norm_backward = gate_norm_backward,
    .cross_entropy_forward = cross_entropy_forward,
    .cross_entropy_backward = cross_entropy_backward,
    .sum = sum,
    .sum_squares = sum_squares,
    .adamw = adamw,
};
