/* table.c: this level of the cpu backend. */
#include "tensor/cpu/ops.h"

#define TEXT_(name) #name
#define TEXT(name) TEXT_(name)

static const char *describe(void)
{
    return wlmi_cpu_describe(TEXT(WLMI_LEVEL), LEVEL(products_type)());
}

extern const wlmi_backend LEVEL(table);
const wlmi_backend LEVEL(table) = {
    .name = "cpu",
    .level = TEXT(WLMI_LEVEL),
    .real_size = sizeof(float),
    .act_size = sizeof(uint16_t),
    .describe = describe,
    .set_threads = wlmi_cpu_set_threads,
    .threads = wlmi_cpu_all_threads,
    .each = wlmi_cpu_each,
    .status = wlmi_cpu_status,
    .zero = LEVEL(zero),
    .add = LEVEL(add),
    .scale = LEVEL(scale),
    .to_grid = LEVEL(to_grid),
    .from_float = LEVEL(from_float),
    .to_float = LEVEL(to_float),
    .to_act = LEVEL(to_act),
    .to_real = LEVEL(to_real),
    .embed_forward = LEVEL(embed_forward),
    .embed_backward = LEVEL(embed_backward),
    .rmsnorm_forward = LEVEL(rmsnorm_forward),
    .rmsnorm_backward = LEVEL(rmsnorm_backward),
    .weight_new = LEVEL(weight_new),
    .weight_set = LEVEL(weight_set),
    .weight_quantise = LEVEL(weight_quantise),
    .weight_free = LEVEL(weight_free),
    .matmul_forward = LEVEL(matmul_forward),
    .matmul_forward_onto = LEVEL(matmul_forward_onto),
    .matmul_forward_rows = LEVEL(matmul_forward_rows),
    .matmul_backward_input = LEVEL(matmul_backward_input),
    .matmul_backward_input_real = LEVEL(matmul_backward_input_real),
    .matmul_backward_weight = LEVEL(matmul_backward_weight),
    .product = LEVEL(product),
    .swiglu_forward = LEVEL(swiglu_forward),
    .swiglu_backward = LEVEL(swiglu_backward),
    .shift_step = LEVEL(shift_step),
    .rotary = LEVEL(rotary),
    .rotary_angles = LEVEL(rotary_angles),
    .rotary_turn = LEVEL(rotary_turn),
    .attention_forward = LEVEL(attention_forward),
    .attention_backward = LEVEL(attention_backward),
    .attention_step = LEVEL(attention_step),
    .linear_state_size = LEVEL(linear_state_size),
    .linear_forward = LEVEL(linear_forward),
    .linear_backward = LEVEL(linear_backward),
    .linear_step = LEVEL(linear_step),
    .conv_forward = LEVEL(conv_forward),
    .conv_backward = LEVEL(conv_backward),
    .conv_step = LEVEL(conv_step),
    .delta_kept_size = LEVEL(delta_kept_size),
    .delta_forward = LEVEL(delta_forward),
    .delta_backward = LEVEL(delta_backward),
    .delta_step = LEVEL(delta_step),
    .gate_norm_forward = LEVEL(gate_norm_forward),
    .gate_norm_backward = LEVEL(gate_norm_backward),
    .cross_entropy_forward = LEVEL(cross_entropy_forward),
    .cross_entropy_backward = LEVEL(cross_entropy_backward),
    .sum = LEVEL(sum),
    .sum_squares = LEVEL(sum_squares),
    .adamw = LEVEL(adamw),
};
