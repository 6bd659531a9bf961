/* mpi_world.h: the few MPI calls that ranks.c needs. Its .c is the only file that sees mpi.h, and stands in for it in
 * a build without MPI. */
#ifndef WLMI_MPI_WORLD_H
#define WLMI_MPI_WORLD_H

#include "base/status.h"

typedef struct wlmi_world wlmi_world;

/* "Open MPI v4.1.4"; NULL: built without MPI. */
const char *wlmi_world_library(void);
/* All processes that were started together. Begins MPI where the process has not, and then ends it in close, after
 * which the process cannot begin it again. */
wlm_status wlmi_world_open(wlmi_world **world, wlm_error *error);
void wlmi_world_close(wlmi_world *world);
int wlmi_world_rank(const wlmi_world *world);
int wlmi_world_size(const wlmi_world *world);
/* all [ranks][size]: every rank's bytes, in order of ranks. */
wlm_status wlmi_world_gather(wlmi_world *world, const void *own, void *all, size_t size, wlm_error *error);
/* Begin sums in place over the ranks; x stays untouched until wait(). A failure is kept for wait() to tell. */
void wlmi_world_sum_f32(wlmi_world *world, float *x, size_t n);
void wlmi_world_sum_bf16(wlmi_world *world, uint16_t *x, size_t n); /* rounded at every exchange */
wlm_status wlmi_world_wait(wlmi_world *world, wlm_error *error);

#endif
