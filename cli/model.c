/* model.c: which model a command uses, and those that ship with the program. */
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* Seen from the program's own folder: as installed, in a build folder of the source tree, and in one deeper. */
static const char *const places[] = {"../share/wirelm/models", "../models", "../../models"};
enum { PLACES = sizeof places / sizeof *places };

static wlm_status not_found(const char *shipped, const char *folder, wlm_error *error)
{
    size_t used;
    error->status = WLM_ERR_IO;
    error->offset = WLM_NO_OFFSET;
    error->file[0] = 0;
    used = (size_t)snprintf(error->cause, sizeof error->cause,
                            "no model: -m names none, WIRELM_MODEL is not set, and there is no %s in", shipped);
    for (int i = 0; i < PLACES && used < sizeof error->cause; i++)
        used += (size_t)snprintf(error->cause + used, sizeof error->cause - used, "%s %s/%s", i ? "," : "", folder,
                                 places[i]);
    return error->status;
}

wlm_status find_model(const char *named, const char *shipped, char path[MODEL_PATH], wlm_error *error)
{
    const char *own = named ? named : getenv("WIRELM_MODEL"), *folder;
    char program[PATH_MAX];
    ssize_t length;
    if (own && *own) {
        snprintf(path, MODEL_PATH, "%s", own);
        return WLM_OK;
    }
    length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = 0;
    folder = dirname(program);
    for (int i = 0; i < PLACES; i++) {
        snprintf(path, MODEL_PATH, "%s/%s/%s", folder, places[i], shipped);
        if (access(path, F_OK) == 0)
            return WLM_OK;
    }
    return not_found(shipped, folder, error);
}

static wlm_status open_found(wlm_model **model, const char *named, const char *shipped, uint32_t threads, int int8,
                             wlm_error *error)
{
    char path[MODEL_PATH];
    wlm_status status = find_model(named, shipped, path, error);
    *model = NULL;
    if (status == WLM_OK)
        status = wlm_model_load(model, path, (int)(threads < 4096 ? threads : 4096), error);
    if (status == WLM_OK && int8)
        status = wlm_model_quantise(*model, 1, error);
    return status;
}

wlm_status open_model(wlm_model **model, const char *named, uint32_t threads, int int8, wlm_error *error)
{
    return open_found(model, named, SHIPPED_MODEL, threads, int8, error);
}

wlm_status open_writer(wlm_model **model, const char *named, uint32_t threads, int int8, wlm_error *error)
{
    return open_found(model, named, SHIPPED_WRITER, threads, int8, error);
}
