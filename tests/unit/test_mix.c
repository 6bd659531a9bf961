/* test_mix.c: what is drawn for a sequence: shares as text, draws by share, the manner in which flows are then shown; and
 * which labelled flows come how often. */
#include "support/captures.h"
#include "support/model.h"
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "capture/alter.h"
#include "task/labelled.h"
#include "task/prompt.h"

static wlmi_net *net;
static wlmi_dataset *data; /* flow 0: TCP, 6 exchanges, closed */
static const char *const task_name[] = {"small", "large"};

static int make(void **state)
{
    static const char *const label[] = {"a", "b", "c"};
    const char *path = test_path("a.pcap");
    wlm_import_options options = wlm_import_options_default();
    wlmi_config config = test_config("netgpt-nano");
    test_capture c;
    wlm_error error;
    (void)state;
    test_capture_begin(&c, "a.pcap");
    test_capture_tcp(&c, (test_end){"10.0.0.1", 4000}, (test_end){"10.0.0.9", 80}, 6);
    test_capture_end(&c);
    options.paths = &path;
    options.path_count = 1;
    data = test_import(&options, NULL, NULL);
    config.vocabulary = (int)wlmi_codec_bytes.vocabulary;
    config.role_rows = (int)wlmi_codec_bytes.roles + 1;
    assert_ok(wlmi_net_new(&net, &config, &wlmi_backend_ref, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, task_name[0], label, 2, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, task_name[1], label, 3, 1, &error), &error);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    wlmi_net_free(net);
    wlmi_dataset_close(data);
    return 0;
}

/* ---------------------------------------------------------------- shares */

static int letter(const void *user, const char *name, uint32_t *value)
{
    (void)user;
    *value = (uint8_t)name[0];
    return name[0] >= 'a' && !name[1];
}

static void text_becomes_shares_or_is_refused(void **state)
{
    static const char *const good[] = {"a", "a=1", "a=.5,b=.5", "b=3,a=1,c=0"};
    static const char *const wrong[] = {"",      ",",      "a,b",     "a=.5,b", "a=.5,",  "a=",      "a=x",
                                        "a=1 ,", "a=-1",   "a=0",     "aa=1",   "a=1,a=1", "=1",     "a=nan",
                                        "a=inf", "a==1",   ",a=1",    "a=1;b=1"};
    wlmi_shares s;
    wlm_error error;
    char many[200] = "";
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_ok(wlmi_shares_parse(&s, "x", good[i], letter, NULL, &error), &error);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.value[0], 'b');
    assert_true(s.share[0] == 3 && s.share[2] == 0 && wlmi_shares_sum(&s) == 4);
    assert_true(wlmi_shares_have(&s, 'c') && !wlmi_shares_have(&s, 'd'));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (wlmi_shares_parse(&s, "letters", wrong[i], letter, NULL, &error) != WLM_ERR_ARGUMENT)
            fail_msg("'%s' was taken", wrong[i]);
        assert_non_null(strstr(error.cause, "--letters"));
    }
    for (int i = 0; i < WLMI_SHARES_MAX + 1; i++)
        sprintf(many + strlen(many), "%s%c=1", i ? "," : "", 'a' + i);
    assert_int_equal(wlmi_shares_parse(&s, "x", many, letter, NULL, &error), WLM_ERR_ARGUMENT);
}

static void draws_fall_by_share(void **state)
{
    wlmi_shares s;
    wlm_error error;
    int hits[4] = {0};
    (void)state;
    assert_ok(wlmi_shares_parse(&s, "x", "a=.1,b=.3,c=.2", letter, NULL, &error), &error);
    for (int i = 0; i < 1000; i++)
        hits[wlmi_shares_at(&s, 1, (i + .5) / 1000) + 1]++;
    assert_int_equal(hits[1], 100);
    assert_int_equal(hits[2], 300);
    assert_int_equal(hits[3], 200);
    assert_int_equal(hits[0], 400);
}

static void a_record_takes_options_and_gives_them_back(void **state)
{
    wlm_train_options o = wlm_train_options_default();
    wlmi_record record = {.hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_FULL};
    wlmi_mixture mix;
    wlm_error error;
    (void)state;
    assert_ok(wlmi_mix_ask(&record, &o, &error), &error);
    assert_ok(wlmi_mix_read(&mix, &record, &error), &error);
    assert_true(mix.hides.count == 1 && mix.hides.value[0] == WLM_HIDE_IDS && mix.alters.count == 0);
    o.hide_shares = "shape=.25,ids=.75";
    o.payload_shares = "64=1,128=1,none=1";
    o.max_packets_shares = "16";
    o.alter = "nat=.5,offload=.25";
    assert_ok(wlmi_mix_ask(&record, &o, &error), &error);
    assert_int_equal(record.hide, WLM_HIDE_SHAPE);
    assert_int_equal(record.payload, 64);
    assert_int_equal(record.max_packets, 16);
    assert_string_equal(record.max_packets_shares, ""); /* one alone */
    assert_int_equal(wlmi_mix_longest(&record), 128);
    assert_ok(wlmi_mix_read(&mix, &record, &error), &error);
    assert_true(mix.hides.count == 2 && mix.payloads.count == 3 && mix.packets.count == 1 && mix.alters.count == 2);
    assert_int_equal(mix.alters.value[1], WLMI_ALTER_OFFLOAD);
    o = wlm_train_options_default();
    o.payload = 32; /* one alone replaces several; what is not asked stays */
    assert_ok(wlmi_mix_ask(&record, &o, &error), &error);
    assert_string_equal(record.payload_shares, "");
    assert_string_equal(record.hide_shares, "shape=.25,ids=.75");
    record.hide = WLM_HIDE_NONE;
    assert_int_equal(wlmi_mix_read(&mix, &record, &error), WLM_ERR_FORMAT);
}

/* ---------------------------------------------------------------- manners */

static wlmi_view view_of(const char *hides, const char *payloads, const char *packets, const char *alter)
{
    wlm_train_options o = wlm_train_options_default();
    wlmi_record record = {.hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_FULL};
    wlmi_view view = wlmi_view_default(&wlmi_codec_bytes);
    wlm_error error;
    o.hide_shares = hides;
    o.payload_shares = payloads;
    o.max_packets_shares = packets;
    o.alter = alter;
    assert_ok(wlmi_mix_ask(&record, &o, &error), &error);
    assert_ok(wlmi_mix_read(&view.mix, &record, &error), &error);
    view.hide = record.hide;
    view.payload = record.payload;
    view.max_packets = record.max_packets;
    view.context = 4096;
    return view;
}

static wlmi_rows build(const wlmi_view *view, wlmi_prompt prompt, uint64_t draw, uint64_t *used)
{
    wlmi_prompter *prompter;
    wlmi_rows rows = {0};
    wlm_error error;
    assert_ok(wlmi_prompter_new(&prompter, view, net, &error), &error);
    assert_ok(wlmi_prompter_append(prompter, data, 0, prompt, 0, 0, draw, &rows, used, &error), &error);
    wlmi_prompter_free(prompter);
    return rows;
}

static int same_rows(const wlmi_rows *a, const wlmi_rows *b)
{
    return a->tokens == b->tokens && !memcmp(a->id, b->id, (size_t)a->tokens * sizeof *a->id);
}

/* Each drawn sequence is one that a view without a mixture would give; all manners are drawn, by their shares. */
static void draws_show_flows_in_all_manners(void **state)
{
    static const char *const hides[] = {"ids", "shape"}, *const payloads[] = {"full", "8"}, *const packets[] = {"6", "9"};
    wlmi_view mixed = view_of("ids=.5,shape=.5", "full=.75,8=.25", "6=.5,9=.5", NULL);
    int seen[2][2][2] = {{{0}}}, count = 400;
    uint64_t used;
    (void)state;
    for (int draw = 1; draw <= count; draw++) {
        wlmi_rows rows = build(&mixed, WLMI_PROMPT_PLAIN, (uint64_t)draw, &used);
        int found = 0;
        for (int i = 0; i < 8 && !found; i++) {
            wlmi_view one = view_of(hides[i & 1], payloads[i >> 1 & 1], packets[i >> 2], NULL);
            wlmi_rows alone = build(&one, WLMI_PROMPT_PLAIN, (uint64_t)draw, &used);
            if (same_rows(&rows, &alone)) {
                seen[i & 1][i >> 1 & 1][i >> 2]++;
                found = 1;
            }
            wlmi_rows_free(&alone);
        }
        assert_true(found);
        wlmi_rows_free(&rows);
    }
    assert_in_range(seen[0][0][0] + seen[0][0][1], count * 30 / 100, count * 45 / 100); /* 37.5 % */
    assert_in_range(seen[0][1][0] + seen[0][1][1], count * 7 / 100, count * 18 / 100);  /* 12.5 % */
    assert_int_equal(seen[1][1][0] + seen[1][1][1], 0); /* shape: one form, whatever the limit */
    assert_in_range(seen[0][0][0] + seen[0][1][0], count * 18 / 100, count * 32 / 100);
    /* and as many packets as any shows: some begin so late that either limit shows them all */
    assert_in_range(seen[1][0][0] + seen[1][1][0], 0, count * 5 / 100);
}

static void shape_shows_the_most_packets(void **state)
{
    static const struct { const char *packets; uint32_t most; } cases[] = {
        {"8=.5,32=.2,16=.3", 32}, {"8=.5,0=.5", 0}, {"0=.1,8=.9", 0}, {"4", 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const wlmi_view v = view_of("ids=.5,shape=.5", NULL, cases[i].packets, NULL);
        assert_int_equal(wlmi_mix_packets(&v.mix, WLM_HIDE_SHAPE), cases[i].most);
        assert_int_equal(wlmi_mix_packets(&v.mix, WLM_HIDE_IDS), v.mix.packets.value[0]);
    }
}

static void what_is_not_drawn_is_the_first(void **state)
{
    wlmi_view mixed = view_of("shape=.5,ids=.5", "8=.5,full=.5", "3=.5,5=.5", "nat=.5,snap96=.5");
    wlmi_view first = view_of("shape", "8", "3", NULL);
    uint64_t used;
    (void)state;
    wlmi_rows a = build(&mixed, WLMI_PROMPT_CLASSIFY, 0, &used), b = build(&first, WLMI_PROMPT_CLASSIFY, 0, &used);
    assert_true(same_rows(&a, &b));
    wlmi_rows_free(&a);
    wlmi_rows_free(&b);
}

/* What a model is to write: never altered or hidden otherwise, and as much payload as there is. */
static void generate_shows_the_first_policy_and_the_longest_payload(void **state)
{
    wlmi_view mixed = view_of("ids=.1,shape=.9", "8=.5,full=.4,16=.1", "5=.1,3=.9", "snap96=.5,sample10=.5");
    wlmi_view plain = view_of("ids", "full", "5", NULL);
    uint64_t used;
    (void)state;
    for (uint64_t draw = 0; draw < 30; draw++) {
        wlmi_rows a = build(&mixed, WLMI_PROMPT_GENERATE, draw, &used), b = build(&plain, WLMI_PROMPT_GENERATE, 0, &used);
        assert_true(same_rows(&a, &b));
        wlmi_rows_free(&a);
        wlmi_rows_free(&b);
    }
}

static void alterations_take_their_share(void **state)
{
    wlmi_view mixed = view_of("none", "full", NULL, "midstream=.25"), plain = view_of("none", "full", NULL, NULL);
    int altered = 0;
    uint64_t used;
    (void)state;
    for (uint64_t draw = 1; draw <= 400; draw++) {
        wlmi_rows a = build(&mixed, WLMI_PROMPT_PLAIN, draw, &used), b = build(&plain, WLMI_PROMPT_PLAIN, draw, &used);
        altered += !same_rows(&a, &b);
        wlmi_rows_free(&a);
        wlmi_rows_free(&b);
    }
    assert_in_range(altered, 70, 130);
}

/* In evaluation: one alteration for all, at draw 0, and the same each time. */
static void a_view_can_alter_every_flow(void **state)
{
    wlmi_view plain = view_of("none", "full", NULL, NULL);
    uint64_t all, fewer;
    (void)state;
    wlmi_rows a = build(&plain, WLMI_PROMPT_CLASSIFY, 0, &all);
    for (int kind = 0; kind < WLMI_ALTERATIONS; kind++) {
        wlmi_view view = plain;
        view.alter = kind;
        wlmi_rows b = build(&view, WLMI_PROMPT_CLASSIFY, 0, &fewer), c = build(&view, WLMI_PROMPT_CLASSIFY, 0, &fewer);
        assert_true(same_rows(&b, &c));
        if (kind == WLMI_ALTER_MIDSTREAM || kind == WLMI_ALTER_ONEWAY)
            assert_true(fewer < all && b.tokens < a.tokens);
        if (kind == WLMI_ALTER_NAT)
            assert_true(fewer == all && !same_rows(&a, &b));
        wlmi_rows_free(&b);
        wlmi_rows_free(&c);
    }
    wlmi_rows_free(&a);
}

static void failed_allocations_leak_nothing(void **state)
{
    wlmi_view view = view_of("ids=.5,shape=.5", "8=.5,full=.5", NULL, "nat=1");
    wlm_status status = WLM_ERR_MEMORY;
    wlm_error error;
    (void)state;
    for (uint64_t k = 1; status == WLM_ERR_MEMORY; k++) {
        wlmi_prompter *prompter = NULL;
        wlmi_rows rows = {0};
        assert_true(k < 300);
        wlmi_alloc_fail_at(k);
        status = wlmi_prompter_new(&prompter, &view, net, &error);
        if (status == WLM_OK)
            status = wlmi_prompter_append(prompter, data, 0, WLMI_PROMPT_PLAIN, -1, -1, 5, &rows, NULL, &error);
        wlmi_alloc_fail_at(0);
        wlmi_prompter_free(prompter);
        wlmi_rows_free(&rows);
    }
    assert_ok(status, &error);
}

/* ---------------------------------------------------------------- labelled flows */

/* "small": 4 of a, 16 of b; "large": 100, 300 and 1,200. A place's flow is its number in its class. */
static const uint64_t flows[2][3] = {{4, 16, 0}, {100, 300, 1200}};

static wlm_status label_flows(wlmi_labelled *l, const wlmi_labelled_options *o, wlm_error *error)
{
    memset(l, 0, sizeof *l);
    WLMI_TRY(wlmi_labelled_begin(l, net, error));
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < 3; i++)
            for (uint64_t n = 0; n < flows[t][i]; n++)
                wlmi_labelled_count(l, t, i);
    WLMI_TRY(wlmi_labelled_room(l, error));
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < 3; i++)
            for (uint64_t n = 0; n < flows[t][i]; n++)
                wlmi_labelled_add(l, t, i, (wlmi_place){(uint32_t)t, n});
    return wlmi_labelled_share(l, o, error);
}

/* Shares of 20,000 draws: of task 0, and of each label. */
static double drawn(const wlmi_labelled_options *o, double share[2][3])
{
    enum { DRAWS = 20000 };
    wlmi_labelled l;
    wlm_error error;
    memset(share, 0, 2 * sizeof *share);
    assert_ok(label_flows(&l, o, &error), &error);
    for (uint64_t i = 0; i < DRAWS; i++) {
        int task, label;
        wlmi_place at = wlmi_labelled_draw(&l, 9, i, &task, &label);
        assert_int_equal(at.source, task);
        assert_true(at.flow < flows[task][label]);
        share[task][label] += 1. / DRAWS;
    }
    wlmi_labelled_clear(&l);
    return share[0][0] + share[0][1];
}

static void near(double is, double wanted)
{
    if (fabs(is - wanted) > 0.01)
        fail_msg("%g, not %g", is, wanted);
}

static void tasks_share_by_their_balance_and_labels_by_theirs(void **state)
{
    double share[2][3];
    (void)state;
    near(drawn(&(wlmi_labelled_options){0, 0, NULL, 0, 0}, share), 20. / 1620);
    near(share[1][2], 1200. / 1620);
    near(drawn(&(wlmi_labelled_options){1, 1, NULL, 0, 0}, share), .5);
    near(share[0][0], .25);
    near(share[1][1], .5 / 3);
    near(drawn(&(wlmi_labelled_options){.5, .5, NULL, 0, 0}, share), sqrt(20) / (sqrt(20) + sqrt(1600)));
    near(share[1][2] / share[1][1], 2);
    near(drawn(&(wlmi_labelled_options){.5, 0, "small=3,large=1", 0, 0}, share), .75);
    near(drawn(&(wlmi_labelled_options){.5, 0, "large=1,small=0", 0, 0}, share), 0);
}

static void shares_of_tasks_name_all_of_them(void **state)
{
    static const char *const wrong[] = {"small=1", "small=1,large=1,huge=1", "small=0,large=0"};
    wlmi_labelled l;
    wlm_error error;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const wlmi_labelled_options o = {.5, .5, wrong[i], 0, 0};
        assert_int_equal(label_flows(&l, &o, &error), WLM_ERR_ARGUMENT);
        assert_non_null(strstr(error.cause, "task-shares"));
        wlmi_labelled_clear(&l);
    }
}

static void few_labels_are_so_many_and_others_by_another_draw(void **state)
{
    wlmi_labelled l;
    wlm_error error;
    uint8_t chosen[2][1200] = {{0}};
    int both = 0;
    (void)state;
    for (uint64_t draw = 0; draw < 2; draw++) {
        const wlmi_labelled_options o = {.5, .5, NULL, 10, draw};
        assert_ok(label_flows(&l, &o, &error), &error);
        assert_int_equal(l.places, 4 + 10 + 30);
        for (uint64_t i = 0; i < 2000; i++) {
            int task, label;
            wlmi_place at = wlmi_labelled_draw(&l, 9, i, &task, &label);
            if (task == 1 && label == 2)
                chosen[draw][at.flow] = 1;
        }
        for (uint64_t i = 0; i < 10; i++)
            assert_true(chosen[draw][wlmi_few(draw, "c", i, 1200)]);
        wlmi_labelled_clear(&l);
    }
    for (int draw = 0; draw < 2; draw++) {
        int n = 0;
        for (int i = 0; i < 1200; i++)
            n += chosen[draw][i];
        assert_int_equal(n, 10);
    }
    for (int i = 0; i < 1200; i++)
        both += chosen[0][i] && chosen[1][i];
    assert_true(both < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_shares_or_is_refused),
        cmocka_unit_test(draws_fall_by_share),
        cmocka_unit_test(a_record_takes_options_and_gives_them_back),
        cmocka_unit_test(draws_show_flows_in_all_manners),
        cmocka_unit_test(shape_shows_the_most_packets),
        cmocka_unit_test(what_is_not_drawn_is_the_first),
        cmocka_unit_test(generate_shows_the_first_policy_and_the_longest_payload),
        cmocka_unit_test(alterations_take_their_share),
        cmocka_unit_test(a_view_can_alter_every_flow),
        cmocka_unit_test(failed_allocations_leak_nothing),
        cmocka_unit_test(tasks_share_by_their_balance_and_labels_by_theirs),
        cmocka_unit_test(shares_of_tasks_name_all_of_them),
        cmocka_unit_test(few_labels_are_so_many_and_others_by_another_draw),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
