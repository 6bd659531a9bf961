/* split.c: which flows train, which validate, which test. */
#include "task/split.h"

#include "base/alloc.h"
#include "base/rng.h"

static void move(wlmi_split_item *item, size_t count, uint64_t draw, wlm_part to)
{
    for (size_t i = 0; i < count; i++)
        if (item[i].draw == draw)
            item[i].part = to;
}

static size_t in_part(const wlmi_split_item *item, size_t count, wlm_part part)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += item[i].part == part;
    return n;
}

/* Where `to` is empty: the highest draw of the parts before it goes there, unless nothing else would be left. */
static void fill(wlmi_split_item *item, size_t count, wlm_part to)
{
    uint64_t low = UINT64_MAX, high = 0;
    if (in_part(item, count, to))
        return;
    for (size_t i = 0; i < count; i++)
        if (item[i].part < to) {
            low = item[i].draw < low ? item[i].draw : low;
            high = item[i].draw > high ? item[i].draw : high;
        }
    if (low < high)
        move(item, count, high, to);
}

/* group[label]: the label's first group; several[label]: it has another one. */
static uint32_t find_groups(const wlmi_split_item *item, size_t count, uint32_t labels, uint64_t *group, uint8_t *seen)
{
    uint32_t single = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t l = item[i].label;
        if (!seen[l]) {
            group[l] = item[i].group;
            seen[l] = 1;
        } else if (group[l] != item[i].group) {
            seen[l] = 2;
        }
    }
    for (uint32_t l = 0; l < labels; l++)
        single += seen[l] == 1;
    return single;
}

/* Every label that train lacks gets its unit of the lowest draw there. */
static void complete_train(wlmi_split_item *item, size_t count, uint32_t labels, uint64_t *lowest, uint8_t *trained)
{
    for (uint32_t l = 0; l < labels; l++) {
        lowest[l] = UINT64_MAX;
        trained[l] = 0;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t l = item[i].label;
        lowest[l] = item[i].draw < lowest[l] ? item[i].draw : lowest[l];
        trained[l] |= item[i].part == WLM_PART_TRAIN;
    }
    for (uint32_t l = 0; l < labels; l++)
        if (!trained[l])
            move(item, count, lowest[l], WLM_PART_TRAIN);
}

wlm_status wlmi_split(wlmi_split_item *item, size_t count, uint32_t labels, wlm_split_by by, uint64_t seed,
                      uint32_t *fell_back, wlm_error *error)
{
    uint64_t *word = wlmi_alloc_zero(labels, sizeof *word);
    uint8_t *flag = wlmi_alloc_zero(labels, 1);
    *fell_back = 0;
    if (!word || !flag) {
        wlmi_free(word);
        wlmi_free(flag);
        return WLMI_NO_MEMORY(error);
    }
    if (by == WLM_SPLIT_CAPTURE)
        *fell_back = find_groups(item, count, labels, word, flag);
    for (size_t i = 0; i < count; i++) {
        int whole = by == WLM_SPLIT_CAPTURE && flag[item[i].label] > 1;
        item[i].draw = wlmi_mix2(seed, whole ? item[i].group : item[i].flow);
        double share = (double)(item[i].draw >> 11) * 0x1p-53;
        item[i].part = share < .8 ? WLM_PART_TRAIN : share < .9 ? WLM_PART_VAL : WLM_PART_TEST;
    }
    fill(item, count, WLM_PART_TEST);
    fill(item, count, WLM_PART_VAL);
    complete_train(item, count, labels, word, flag);
    wlmi_free(word);
    wlmi_free(flag);
    return WLM_OK;
}
