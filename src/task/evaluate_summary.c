/* evaluate_summary.c: reports of several models (seeds) or policies: mean and deviation by hide policy. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "wirelm_evaluate.h"

/* The figures that are summed up, as paths into a report. */
static const struct {
    const char *name;
    const char *path[3];
} figure[] = {
    {"accuracy", {"accuracy"}},
    {"macro_f1", {"macro_f1"}},
    {"calibration_error", {"calibration", "calibrated", "error"}},
    {"risk_area", {"risk_coverage", "area"}},
    {"auroc", {"open_set", "auroc"}},
    {"fpr_at_95", {"open_set", "fpr_at_95"}},
};
enum { FIGURES = sizeof figure / sizeof *figure };

static const json_t *figure_of(const json_t *report, int f)
{
    for (int i = 0; i < 3 && figure[f].path[i]; i++)
        report = json_object_get(report, figure[f].path[i]);
    return report;
}

/* Mean and deviation (n - 1) over the reports that have the figure; NULL where none has. */
static json_t *spread(const json_t *reports, const char *hide, int f)
{
    double sum = 0, squares = 0;
    size_t i, n = 0;
    json_t *report;
    for (int turn = 0; turn < 2; turn++) {
        double mean = n ? sum / (double)n : 0;
        n = 0;
        json_array_foreach(reports, i, report) {
            const json_t *value = figure_of(report, f);
            if (strcmp(json_string_value(json_object_get(report, "hide")), hide) || !json_is_number(value))
                continue;
            n++;
            sum += turn ? 0 : json_number_value(value);
            squares += turn ? pow(json_number_value(value) - mean, 2) : 0;
        }
    }
    if (!n)
        return NULL;
    return json_pack("{s:f,s:o}", "mean", sum / (double)n, "deviation",
                     n > 1 ? json_real(sqrt(squares / (double)(n - 1))) : json_null());
}

static json_t *row(const json_t *reports, const char *hide)
{
    json_t *out = json_pack("{s:s}", "hide", hide), *report;
    size_t i, n = 0;
    json_array_foreach(reports, i, report)
        n += !strcmp(json_string_value(json_object_get(report, "hide")), hide);
    json_object_set_new(out, "models", json_integer((json_int_t)n));
    for (int f = 0; f < FIGURES; f++) {
        json_t *value = spread(reports, hide, f);
        if (value)
            json_object_set_new(out, figure[f].name, value);
    }
    return out;
}

static wlm_status parse(const char *const *text, size_t count, json_t *reports, wlm_error *error)
{
    for (size_t i = 0; i < count; i++) {
        json_t *report = json_loads(text[i], 0, NULL);
        if (!json_is_string(json_object_get(report, "hide"))) {
            json_decref(report);
            return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "report %zu is none of an evaluation", i + 1);
        }
        json_array_append_new(reports, report);
    }
    return WLM_OK;
}

wlm_status wlm_evaluate_summary(const char *const *report, size_t count, char **json, wlm_error *error)
{
    json_t *reports = json_array(), *rows = json_array();
    wlm_status status = parse(report, count, reports, error);
    char *text = NULL;
    *json = NULL;
    for (int hide = WLM_HIDE_NONE; status == WLM_OK && hide <= WLM_HIDE_SHAPE; hide++) {
        json_t *one = row(reports, wlm_hide_name((wlm_hide)hide));
        if (json_integer_value(json_object_get(one, "models")))
            json_array_append(rows, one);
        json_decref(one);
    }
    if (status == WLM_OK) {
        text = json_dumps(rows, JSON_COMPACT | JSON_REAL_PRECISION(6));
        *json = text ? wlmi_strdup(text) : NULL;
        status = *json ? WLM_OK : WLMI_NO_MEMORY(error);
    }
    free(text);
    json_decref(rows);
    json_decref(reports);
    return status;
}
