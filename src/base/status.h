/* status.h: the error idiom. Functions return wlm_status and describe a failure once, where it is found. */
#ifndef WLMI_STATUS_H
#define WLMI_STATUS_H

#include "wirelm.h"

/* Fills error (if not NULL) and returns status. The cause is printf-formatted, one line, no full stop. */
wlm_status wlmi_fail(wlm_error *error, wlm_status status, const char *file, uint64_t offset, const char *cause, ...)
    __attribute__((format(printf, 5, 6)));
/* Names the file in an error that does not name one yet; returns the error's status. */
wlm_status wlmi_in_file(wlm_error *error, wlm_status status, const char *file);

/* Leaves the function with any status but WLM_OK. */
#define WLMI_TRY(call)                               \
    do {                                             \
        wlm_status wlmi_status_ = (call);            \
        if (wlmi_status_ != WLM_OK)                  \
            return wlmi_status_;                     \
    } while (0)

/* The same where something must be released first: sets the variable and jumps. */
#define WLMI_TRY_GOTO(variable, call, label)         \
    do {                                             \
        (variable) = (call);                         \
        if ((variable) != WLM_OK)                    \
            goto label;                              \
    } while (0)

#define WLMI_NO_MEMORY(error) wlmi_fail((error), WLM_ERR_MEMORY, NULL, WLM_NO_OFFSET, "out of memory")

#endif
