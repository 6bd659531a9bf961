/* backend.c: backends by name. */
#include "tensor/backend.h"

#include <string.h>

const wlmi_backend *wlmi_backend_find(const char *name)
{
    static const wlmi_backend *const all[] = {&wlmi_backend_cpu, &wlmi_backend_ref, &wlmi_backend_ref64};
    if (!name)
        return all[0];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}
