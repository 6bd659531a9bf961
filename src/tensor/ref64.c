/* ref64.c: the scalar backend in double, against which gradients are checked. */
#define REAL double
#define REF_TABLE wlmi_backend_ref64
#define REF_NAME "ref64"
#define REF_DESCRIPTION "scalar double, 1 thread"
#include "tensor/ref_table.h"
