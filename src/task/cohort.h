/* cohort.h: the flows of imported folders that a model is judged by: folders of one task, their labels beside the
 * model's, and which flows of a part are asked about. */
#ifndef WLMI_COHORT_H
#define WLMI_COHORT_H

#include "model/model.h"
#include "task/shard.h"

typedef struct wlmi_cohort { /* zero-initialise */
    wlmi_dataset **data;     /* [folders] */
    const char *const *path; /* [folders]; borrowed */
    size_t folders;
    const char **label;      /* [labels]: the model's, in its order, then those that only the folders know; borrowed */
    uint8_t *stranger;       /* [labels]: flows with it are strangers */
    size_t labels, known;    /* known: the model's */
    int **map;               /* [folders][labels of the folder]: to label */
    uint32_t *first_group;   /* [folders + 1]: groups of the folders before it */
} wlmi_cohort;

/* A flow that the model is asked about. */
typedef struct wlmi_pick {
    uint32_t folder;
    uint32_t group; /* captures that a split keeps together, numbered over all folders */
    uint64_t flow;  /* in its folder */
    int truth;      /* its label in the cohort, -1: none */
} wlmi_pick;

typedef struct wlmi_picks { /* zero-initialise; wlmi_free(item) */
    wlmi_pick *item;
    size_t count, capacity;
} wlmi_picks;

/* Paths are borrowed. */
wlm_status wlmi_cohort_open(wlmi_cohort *cohort, const char *const *path, size_t count, wlm_error *error);
/* The one task that all folders are labelled for, which must be the wanted one unless that is NULL. */
wlm_status wlmi_cohort_task(const wlmi_cohort *cohort, const char *wanted, const char **task, wlm_error *error);
/* Puts the folders' labels beside the task's. */
wlm_status wlmi_cohort_join(wlmi_cohort *cohort, const wlmi_task *task, wlm_error *error);
/* Flows with these labels, "a,b", are strangers to the model: labels that it does not know, and that the folders have.
 * NULL: all labels that it does not know. */
wlm_status wlmi_cohort_leave_out(wlmi_cohort *cohort, const char *labels, wlm_error *error);

/* Which flows of a part. */
typedef enum wlmi_who {
    WLMI_LABELLED,  /* with a label that is no stranger's, whether the model knows it or not */
    WLMI_STRANGERS, /* with a stranger's label */
    WLMI_ALL        /* of whatever label, or none; truth -1 where the cohort was not joined */
} wlmi_who;
/* Appends them in the order of import. */
wlm_status wlmi_cohort_pick(const wlmi_cohort *cohort, wlm_part part, wlmi_who who, wlmi_picks *picks,
                            wlm_error *error);
void wlmi_cohort_close(wlmi_cohort *cohort);

#endif
