/* flat.h: loops over plain arrays that other files of the backend need too. */
#ifndef WLMI_FLAT_H
#define WLMI_FLAT_H

#include "tensor/cpu/cpu.h"

/* y = x rounded to bf16, ties to even; NaN stays NaN. */
void LEVEL(round_bf16)(uint16_t *y, const float *x, size_t n, int threads);

#endif
