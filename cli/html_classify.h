/* html_classify.h: how far a run's answers can be trusted, drawn for the page of `evaluate classify`. */
#ifndef WIRELM_HTML_CLASSIFY_H
#define WIRELM_HTML_CLASSIFY_H

#include "html.h"

/* Each draws figures of the page's grid, none where the run has nothing of it. */
void html_draw_reliability(html *h, const json_t *run);
void html_draw_risk(html *h, const json_t *run);
void html_draw_curves(html *h, const json_t *run);
void html_draw_open_set(html *h, const json_t *run);

#endif
