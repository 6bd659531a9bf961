/* cpu.h: what the files of the cpu backend share.
 *
 * All of src/tensor/cpu is compiled once for each level of instructions that a processor may have (see CMakeLists.txt);
 * WLMI_LEVEL is the level's name, and what one file has for another is called LEVEL(name), so that every level has its
 * own. Each level is a whole backend, table.c; src/tensor/cpu.c picks one when the program runs.
 * No result depends on the number of threads, but for products inside oneDNN: tasks are cut by the data alone. */
#ifndef WLMI_CPU_H
#define WLMI_CPU_H

#include "tensor/backend.h"

#define WLMI_JOIN_(name, level) wlmi_##name##_##level
#define WLMI_JOIN(name, level) WLMI_JOIN_(name, level)
#define LEVEL(name) WLMI_JOIN(name, WLMI_LEVEL)

/* Threads for an op that takes `work` simple steps: one where waking others would cost more than it saves. */
int wlmi_cpu_threads(double work);
/* Scratch for an op, 64-byte aligned: `each` floats for each of `tasks` threads, taskwise distance in *step.
 * It holds what an op before left there. At most 4 at a time in a thread. NULL on failure, which status() reports. */
float *wlmi_cpu_scratch(int tasks, size_t each, size_t *step);
void wlmi_cpu_release(const void *scratch); /* or NULL */
/* Remembers a failure for status(). */
void wlmi_cpu_failed(wlm_status status, const wlm_error *error);

/* Parts of every level's table. */
const char *wlmi_cpu_describe(const char *level, const char *type); /* type of the products' inputs */
void wlmi_cpu_set_threads(int threads);
int wlmi_cpu_all_threads(void);
void wlmi_cpu_each(void (*task)(void *user, int i, int worker), void *user, int tasks);
wlm_status wlmi_cpu_status(wlm_error *error);

#endif
