/* ref.c: the scalar backend in float. */
#define REAL float
#define REF_TABLE wlmi_backend_ref
#define REF_NAME "ref"
#define REF_DESCRIPTION "scalar float, 1 thread"
#include "tensor/ref_table.h"
