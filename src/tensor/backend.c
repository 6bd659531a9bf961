/* backend.c: backends by name. */
#include "tensor/backend.h"

#include <string.h>

static const wlmi_backend *find_level(const char *level)
{
    const wlmi_backend *found;
    for (size_t i = 0; (found = wlmi_backend_cpu(i)); i++)
        if (!level || strcmp(found->level, level) == 0)
            break;
    return found;
}

const wlmi_backend *wlmi_backend_find(const char *name)
{
    static const wlmi_backend *const all[] = {&wlmi_backend_ref, &wlmi_backend_ref64};
    if (!name || strcmp(name, "cpu") == 0)
        return find_level(NULL);
    if (strncmp(name, "cpu-", 4) == 0)
        return find_level(name + 4);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}
