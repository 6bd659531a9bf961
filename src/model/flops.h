/* flops.h: the arithmetic that a model cannot do without, to measure speed by. */
#ifndef WLMI_FLOPS_H
#define WLMI_FLOPS_H

#include "model/model.h"

/* Floating-point operations per token of a training step on segments of `context` tokens, all of them scored. Products
 * only, a multiplication and an addition each: 6 per weight of every matrix (2 forward, 4 backward; the embedding once,
 * as the output's), and 3 times what the mixers multiply forward in their recurrent form: softmax heads 4 K per token
 * seen, linear heads 4 K^2. What is computed again or masked away does not count. */
double wlmi_flops_per_token(const wlmi_net *net, int context);

#endif
