/* test_batch.c: the stream of batches: what is in it, what never is, and that it is a function of its cursor. */
#include "support/captures.h"
#include "support/model.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "task/batch.h"

/* Three captures of UDP flows, one a part. Each flow's first payload is "flow NNN of PART", so that a batch tells which
 * flows it holds. Labels by port: many of "a", fewer of "b", one in 16 of "c". */
enum { FLOWS = 160, TRAIN = 120, VAL = 20 };

static wlmi_net *net;
static wlmi_dataset *data;
static wlmi_view view;
static int V;

static int part_of(int flow)
{
    return flow < TRAIN ? WLM_PART_TRAIN : flow < TRAIN + VAL ? WLM_PART_VAL : WLM_PART_TEST;
}

static char label_of(int flow)
{
    return flow % 16 == 0 ? 'c' : flow % 4 == 0 ? 'b' : 'a';
}

static int make(void **state)
{
    static const char *const app[] = {"a", "b", "c"};
    static char csv[16384] = "path,label,src_port,split\n";
    wlm_import_options options = wlm_import_options_default();
    wlmi_config config = test_config("netgpt-nano");
    test_capture c;
    wlm_error error;
    (void)state;
    test_capture_begin(&c, "flows.pcap");
    for (int i = 0; i < FLOWS; i++) {
        const test_end client = {"10.0.0.1", (uint16_t)(1000 + i)}, server = {"10.0.0.9", 53};
        char text[40];
        int n = snprintf(text, sizeof text, "flow %03d of %s", i, wlm_part_name((wlm_part)part_of(i)));
        test_packet p = test_udp(client, server, text, (size_t)n);
        test_capture_put(&c, &p);
        for (int j = 0; j < i % 5; j++) {
            p = test_udp(server, client, "answer", 6);
            test_capture_put(&c, &p);
        }
        sprintf(csv + strlen(csv), "flows.pcap,%c,%d,%s\n", label_of(i), 1000 + i, wlm_part_name((wlm_part)part_of(i)));
    }
    test_capture_end(&c);
    options.task = "app";
    data = test_import(&options, csv, NULL);
    config.vocabulary = V = (int)wlmi_codec_bytes.vocabulary;
    config.role_rows = (int)wlmi_codec_bytes.roles + 1;
    assert_ok(wlmi_net_new(&net, &config, &wlmi_backend_ref, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, "app", app, 3, 1, &error), &error);
    view = wlmi_view_default(&wlmi_codec_bytes);
    view.hide = WLM_HIDE_NONE;
    view.context = 512; /* every flow fits whole */
    return 0;
}

static int drop(void **state)
{
    (void)state;
    wlmi_net_free(net);
    wlmi_dataset_close(data);
    return 0;
}

static wlmi_batch_options mix(double plain, double classify, double generate)
{
    wlmi_batch_options o = wlmi_batch_options_default();
    o.plain = plain;
    o.classify = classify;
    o.generate = generate;
    o.tokens = 1024;
    return o;
}

static wlmi_batches *open_batches(const wlmi_batch_options *o)
{
    const wlmi_dataset *folders[] = {data};
    wlmi_batches *b;
    wlm_error error;
    assert_ok(wlmi_batches_new(&b, folders, 1, net, &view, o, &error), &error);
    return b;
}

/* The number in "flow NNN of" of a segment; *part by the letter behind it. */
static int flow_in(const wlmi_rows *r, int segment, char *part)
{
    static const char mark[] = "flow ";
    for (int i = r->starts[segment]; i + 13 < r->starts[segment + 1]; i++) {
        int j = 0;
        while (mark[j] && r->id[i + j] == mark[j])
            j++;
        if (!mark[j]) {
            *part = (char)r->id[i + 12 + (r->id[i + 12] == 't')]; /* r: train, e: test, v: val */
            return (r->id[i + 5] - '0') * 100 + (r->id[i + 6] - '0') * 10 + r->id[i + 7] - '0';
        }
    }
    return -1;
}

static wlmi_prompt prompt_in(const wlmi_rows *r, int segment)
{
    int first = r->id[r->starts[segment]], before_last = r->id[r->starts[segment + 1] - 2];
    if (first != V + WLMI_FLOW_ROW)
        return WLMI_PROMPT_GENERATE;
    return before_last == V + WLMI_ASK_ROW ? WLMI_PROMPT_CLASSIFY : WLMI_PROMPT_PLAIN;
}

/* The label that a segment was given or is asked for. */
static char label_in(const wlmi_rows *r, int segment, wlmi_prompt prompt)
{
    int row = prompt == WLMI_PROMPT_GENERATE ? r->id[r->starts[segment] + 1] : r->target[r->starts[segment + 1] - 1];
    return (char)('a' + row - net->task[0].row - 1);
}

/* Left-out flows stand in plain prompts, and the label need not be the model's. */
static void labels_left_out_are_never_asked(void **state)
{
    wlmi_batch_options o = mix(1, 1, 1);
    wlmi_batches *b;
    wlmi_rows rows = {0};
    uint64_t cursor = 0;
    int plain = 0, known = 0;
    wlm_error error;
    (void)state;
    o.leave_out = "z,b";
    b = open_batches(&o);
    assert_int_equal(wlmi_batches_flows(b, WLM_PART_TRAIN, WLMI_PROMPT_PLAIN), TRAIN);
    for (int i = 0; i < 40; i++) {
        assert_ok(wlmi_batches_next(b, &cursor, &rows, &error), &error);
        for (int s = 0; s < rows.segments; s++) {
            char part;
            int flow = flow_in(&rows, s, &part);
            wlmi_prompt prompt = prompt_in(&rows, s);
            if (flow < 0 || prompt == WLMI_PROMPT_PLAIN) {
                plain += flow >= 0 && label_of(flow) == 'b';
                continue;
            }
            known++;
            assert_true(label_of(flow) != 'b');
        }
    }
    assert_true(plain > 0 && known > 0);
    assert_true(wlmi_batch_leaves_out("z,b", "b") && wlmi_batch_leaves_out("z,b", "z"));
    assert_false(wlmi_batch_leaves_out("zz,bb", "b") || wlmi_batch_leaves_out("z,b", "z,b") ||
                 wlmi_batch_leaves_out(NULL, "b"));
    wlmi_rows_free(&rows);
    wlmi_batches_free(b);
}

static void only_training_flows_with_their_labels(void **state)
{
    wlmi_batch_options o = mix(1, 1, 1);
    wlmi_batches *b = open_batches(&o);
    wlmi_rows rows = {0};
    uint64_t cursor = 0;
    wlm_error error;
    (void)state;
    for (int batch = 0; batch < 300; batch++) {
        assert_ok(wlmi_batches_next(b, &cursor, &rows, &error), &error);
        assert_true(rows.tokens <= o.tokens && rows.segments >= o.tokens / view.context);
        for (int s = 0; s < rows.segments; s++) {
            char part = 0;
            wlmi_prompt prompt = prompt_in(&rows, s);
            int flow = flow_in(&rows, s, &part);
            assert_in_range(flow, 0, TRAIN - 1);
            assert_int_equal(part, 'r');
            assert_true(rows.starts[s + 1] - rows.starts[s] <= view.context);
            if (prompt != WLMI_PROMPT_PLAIN)
                assert_int_equal(label_in(&rows, s, prompt), label_of(flow));
        }
    }
    wlmi_batches_free(b);
    wlmi_rows_free(&rows);
}

static void an_epoch_shows_each_flow_once(void **state)
{
    wlmi_batch_options o = mix(1, 0, 0);
    wlmi_batches *b = open_batches(&o);
    wlmi_rows rows = {0};
    int seen[FLOWS] = {0}, order[2][TRAIN], n = 0, same = 0;
    uint64_t cursor = 0;
    wlm_error error;
    (void)state;
    while (n < 2 * TRAIN) {
        assert_ok(wlmi_batches_next(b, &cursor, &rows, &error), &error);
        for (int s = 0; s < rows.segments && n < 2 * TRAIN; s++, n++) {
            char part;
            int flow = flow_in(&rows, s, &part);
            order[n / TRAIN][n % TRAIN] = flow;
            assert_int_equal(seen[flow]++, n / TRAIN);
        }
    }
    for (int i = 0; i < TRAIN; i++)
        same += order[0][i] == order[1][i];
    assert_true(same < TRAIN / 4);
    wlmi_batches_free(b);
    wlmi_rows_free(&rows);
}

static void the_cursor_is_the_whole_state(void **state)
{
    wlmi_batch_options o = mix(.5, .3, .2);
    wlmi_batches *a = open_batches(&o), *b = open_batches(&o);
    wlmi_rows first = {0}, second = {0};
    uint64_t cursor = 0;
    wlm_error error;
    (void)state;
    for (int batch = 0; batch < 50; batch++) {
        uint64_t before = cursor, again = cursor;
        assert_ok(wlmi_batches_next(a, &cursor, &first, &error), &error);
        assert_int_equal(cursor, before + (uint64_t)first.segments);
        if (batch % 10)
            continue;
        assert_ok(wlmi_batches_next(b, &again, &second, &error), &error); /* without what came before */
        assert_int_equal(again, cursor);
        assert_int_equal(first.tokens, second.tokens);
        assert_memory_equal(first.id, second.id, (size_t)first.tokens * sizeof *first.id);
        assert_memory_equal(first.target, second.target, (size_t)first.tokens * sizeof *first.target);
        assert_memory_equal(first.weight, second.weight, (size_t)first.tokens * sizeof *first.weight);
        assert_memory_equal(first.starts, second.starts, (size_t)(first.segments + 1) * sizeof *first.starts);
    }
    wlmi_batches_free(b);
    o.seed++;
    b = open_batches(&o);
    cursor = 0;
    assert_ok(wlmi_batches_next(b, &cursor, &second, &error), &error);
    cursor = 0;
    assert_ok(wlmi_batches_next(a, &cursor, &first, &error), &error);
    assert_true(first.tokens != second.tokens ||
                memcmp(first.id, second.id, (size_t)first.tokens * sizeof *first.id) != 0);
    wlmi_batches_free(a);
    wlmi_batches_free(b);
    wlmi_rows_free(&first);
    wlmi_rows_free(&second);
}

/* Sequences of each prompt, and labels of those with one, among the first n. */
static void count(const wlmi_batch_options *o, uint64_t n, uint64_t prompts[3], uint64_t labels[3])
{
    wlmi_batches *b = open_batches(o);
    wlmi_rows rows = {0};
    uint64_t cursor = 0;
    wlm_error error;
    memset(prompts, 0, 3 * sizeof *prompts);
    memset(labels, 0, 3 * sizeof *labels);
    while (cursor < n) {
        assert_ok(wlmi_batches_next(b, &cursor, &rows, &error), &error);
        for (int s = 0; s < rows.segments; s++) {
            wlmi_prompt prompt = prompt_in(&rows, s);
            prompts[prompt]++;
            if (prompt != WLMI_PROMPT_PLAIN)
                labels[label_in(&rows, s, prompt) - 'a']++;
        }
    }
    wlmi_batches_free(b);
    wlmi_rows_free(&rows);
}

static void shares_are_kept(void **state)
{
    wlmi_batch_options o = mix(5, 4, 1);
    uint64_t prompts[3], labels[3], n;
    (void)state;
    count(&o, 2000, prompts, labels);
    n = prompts[0] + prompts[1] + prompts[2];
    assert_in_range(prompts[WLMI_PROMPT_PLAIN], n / 2 - 2, n / 2 + 2);
    assert_in_range(prompts[WLMI_PROMPT_CLASSIFY], n * 4 / 10 - 2, n * 4 / 10 + 2);
    o = mix(0, 0, 3);
    count(&o, 100, prompts, labels);
    assert_int_equal(prompts[WLMI_PROMPT_PLAIN] + prompts[WLMI_PROMPT_CLASSIFY], 0);
}

static void balance_moves_labels_together(void **state)
{
    wlmi_batch_options o = mix(0, 1, 0);
    uint64_t prompts[3], labels[3], n;
    (void)state;
    o.balance = 0; /* 90, 22 and 8 of 120 */
    count(&o, 1200, prompts, labels);
    n = prompts[1];
    assert_in_range(labels[0] * 100 / n, 72, 78);
    assert_in_range(labels[2] * 100 / n, 5, 8);
    o.balance = 1;
    count(&o, 1200, prompts, labels);
    n = prompts[1];
    for (int l = 0; l < 3; l++)
        assert_in_range(labels[l] * 100 / n, 32, 35);
    o.balance = .5; /* 9.5 : 4.7 : 2.8 */
    count(&o, 1200, prompts, labels);
    n = prompts[1];
    assert_in_range(labels[0] * 100 / n, 53, 58);
    assert_in_range(labels[2] * 100 / n, 15, 18);
}

static void a_sweep_shows_a_part_once_in_one_mixed_order(void **state)
{
    wlmi_batch_options o = mix(1, 0, 0);
    int order[3][FLOWS], shown = 0;
    wlmi_batches *b = open_batches(&o);
    wlmi_rows rows = {0};
    wlm_error error;
    (void)state;
    for (int part = WLM_PART_TRAIN; part <= WLM_PART_TEST; part++)
        for (int prompt = WLMI_PROMPT_PLAIN; prompt <= WLMI_PROMPT_GENERATE; prompt++) {
            int first = part == WLM_PART_TRAIN ? 0 : part == WLM_PART_VAL ? TRAIN : TRAIN + VAL;
            int end = part == WLM_PART_TRAIN ? TRAIN : part == WLM_PART_VAL ? TRAIN + VAL : FLOWS;
            int seen[FLOWS] = {0}, falls = 0, last = -1;
            uint64_t cursor = 0;
            wlm_status status;
            shown = 0;
            assert_int_equal(wlmi_batches_flows(b, (wlm_part)part, (wlmi_prompt)prompt), end - first);
            while ((status = wlmi_batches_sweep(b, (wlm_part)part, (wlmi_prompt)prompt, &cursor, &rows, &error)) ==
                   WLM_OK)
                for (int s = 0; s < rows.segments; s++) {
                    char letter;
                    int flow = flow_in(&rows, s, &letter);
                    assert_in_range(flow, first, end - 1);
                    assert_int_equal(seen[flow]++, 0);
                    falls += flow < last;
                    order[prompt][shown++] = last = flow;
                    assert_int_equal(prompt_in(&rows, s), prompt);
                }
            assert_int_equal(status, WLM_END);
            assert_int_equal(shown, end - first);
            assert_in_range(falls, shown / 4, shown * 3 / 4);
            assert_memory_equal(order[prompt], order[0], (size_t)shown * sizeof **order);
        }
    wlmi_batches_free(b);
    wlmi_rows_free(&rows);
}

static void folders_are_joined(void **state)
{
    const char *path = test_path("more.pcap");
    wlm_import_options options = wlm_import_options_default();
    const wlmi_dataset *folders[2];
    wlmi_dataset *more;
    wlmi_batch_options o = mix(1, 1, 0);
    wlmi_batches *b;
    wlmi_rows rows = {0};
    uint64_t cursor = 0, unlabelled = 0;
    wlm_error error;
    test_capture c;
    (void)state;
    test_capture_begin(&c, "more.pcap");
    for (int i = 0; i < 40; i++)
        test_capture_udp(&c, (test_end){"10.0.0.1", (uint16_t)(9000 + i)}, (test_end){"10.0.0.9", 99}, 1);
    test_capture_end(&c);
    options.paths = &path;
    options.path_count = 1;
    options.out = test_path("more");
    options.part = WLM_PART_TRAIN;
    assert_ok(wlm_import(&options, NULL, &error), &error);
    assert_ok(wlmi_dataset_open(&more, options.out, &error), &error);
    folders[0] = more;
    folders[1] = data;
    assert_ok(wlmi_batches_new(&b, folders, 2, net, &view, &o, &error), &error);
    assert_int_equal(wlmi_batches_flows(b, WLM_PART_TRAIN, WLMI_PROMPT_PLAIN), TRAIN + 40);
    assert_int_equal(wlmi_batches_flows(b, WLM_PART_TRAIN, WLMI_PROMPT_CLASSIFY), TRAIN);
    while (cursor < 2 * (TRAIN + 40)) {
        assert_ok(wlmi_batches_next(b, &cursor, &rows, &error), &error);
        for (int s = 0; s < rows.segments; s++) {
            char part;
            int flow = flow_in(&rows, s, &part);
            unlabelled += flow < 0;
            assert_true(flow >= 0 || prompt_in(&rows, s) == WLMI_PROMPT_PLAIN);
        }
    }
    assert_in_range(unlabelled, 40, 45);
    wlmi_batches_free(b);
    wlmi_dataset_close(more);
    wlmi_rows_free(&rows);
}

static void what_cannot_be_is_said(void **state)
{
    const wlmi_dataset *folders[] = {data};
    static const char *const few[] = {"a"};
    wlmi_config config = net->config;
    wlmi_batch_options o = mix(0, 0, 0);
    wlmi_batches *b;
    wlmi_net *bare;
    wlm_error error;
    (void)state;
    assert_int_equal(wlmi_batches_new(&b, folders, 1, net, &view, &o, &error), WLM_ERR_ARGUMENT);
    assert_null(b);
    o = mix(-1, 2, 0);
    assert_int_equal(wlmi_batches_new(&b, folders, 1, net, &view, &o, &error), WLM_ERR_ARGUMENT);
    o = mix(1, 0, 0);
    o.tokens = view.context - 1;
    assert_int_equal(wlmi_batches_new(&b, folders, 1, net, &view, &o, &error), WLM_ERR_ARGUMENT);
    assert_int_equal(wlmi_batches_new(&b, folders, 0, net, &view, &o, &error), WLM_ERR_ARGUMENT);
    assert_ok(wlmi_net_new(&bare, &config, &wlmi_backend_ref, 1, &error), &error);
    o = mix(1, 1, 0);
    assert_int_equal(wlmi_batches_new(&b, folders, 1, bare, &view, &o, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "no task 'app'"));
    assert_ok(wlmi_net_add_task(bare, "app", few, 1, 1, &error), &error);
    assert_int_equal(wlmi_batches_new(&b, folders, 1, bare, &view, &o, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "no label 'b'"));
    assert_int_equal(wlmi_batches_new(&b, folders, 0, net, &view, &o, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "no flows to train on"));
    wlmi_net_free(bare);
}

static void out_of_memory_is_a_status(void **state)
{
    const wlmi_dataset *folders[] = {data};
    wlmi_batch_options o = mix(1, 1, 1);
    wlm_status status;
    wlm_error error;
    uint64_t k = 1;
    (void)state;
    do {
        wlmi_batches *b = NULL;
        wlmi_rows rows = {0};
        uint64_t cursor = 0;
        wlmi_alloc_fail_at(k++);
        status = wlmi_batches_new(&b, folders, 1, net, &view, &o, &error);
        if (status == WLM_OK)
            status = wlmi_batches_next(b, &cursor, &rows, &error);
        wlmi_alloc_fail_at(0);
        wlmi_batches_free(b);
        wlmi_rows_free(&rows);
        if (status != WLM_OK)
            assert_int_equal(status, WLM_ERR_MEMORY);
    } while (status != WLM_OK);
    assert_true(k > 15);
}

static void a_warm_stream_allocates_nothing(void **state)
{
    wlmi_batch_options o = mix(1, 1, 1);
    wlmi_batches *b = open_batches(&o);
    wlmi_rows rows = {0};
    uint64_t cursor = 0;
    wlm_error error;
    (void)state;
    for (int batch = 0; batch < 100; batch++)
        assert_ok(wlmi_batches_next(b, &cursor, &rows, &error), &error);
    wlmi_alloc_fail_at(0);
    for (int batch = 0; batch < 100; batch++)
        assert_ok(wlmi_batches_next(b, &cursor, &rows, &error), &error);
    assert_int_equal(wlmi_alloc_count(), 0);
    wlmi_batches_free(b);
    wlmi_rows_free(&rows);
}

static wlmi_batches *open_shuffled(const wlmi_net *fields, uint64_t shuffle)
{
    const wlmi_dataset *folders[] = {data};
    const wlmi_batch_options o = mix(1, 1, 0);
    wlmi_view v = view;
    wlmi_batches *b;
    wlm_error error;
    v.codec = &wlmi_codec_fields;
    v.shuffle_fields = shuffle;
    assert_ok(wlmi_batches_new(&b, folders, 1, fields, &v, &o, &error), &error);
    return b;
}

/* How many of the next batches, or of a sweep's, hold other ids. */
static int count_differences(wlmi_batches *a, wlmi_batches *b, int sweep)
{
    wlmi_rows x = {0}, y = {0};
    uint64_t at = 0, bt = 0;
    wlm_error error;
    int different = 0;
    for (int i = 0; i < 5; i++) {
        wlm_status s = sweep ? wlmi_batches_sweep(a, WLM_PART_VAL, WLMI_PROMPT_PLAIN, &at, &x, &error)
                             : wlmi_batches_next(a, &at, &x, &error);
        wlm_status t = sweep ? wlmi_batches_sweep(b, WLM_PART_VAL, WLMI_PROMPT_PLAIN, &bt, &y, &error)
                             : wlmi_batches_next(b, &bt, &y, &error);
        assert_int_equal(s, t);
        if (s == WLM_END)
            break;
        assert_ok(s, &error);
        assert_int_equal(at, bt);
        assert_int_equal(x.tokens, y.tokens);
        different += memcmp(x.id, y.id, (size_t)x.tokens * sizeof *x.id) != 0;
    }
    wlmi_rows_free(&x);
    wlmi_rows_free(&y);
    return different;
}

static void the_same_seed_shuffles_the_same_way(void **state)
{
    static const char *const app[] = {"a", "b", "c"};
    wlmi_config config = test_config("netgpt-nano");
    wlmi_batches *plain, *one, *same, *other;
    wlmi_net *fields;
    wlm_error error;
    (void)state;
    config.vocabulary = (int)wlmi_codec_fields.vocabulary;
    config.role_rows = (int)wlmi_codec_fields.roles + 1;
    assert_ok(wlmi_net_new(&fields, &config, &wlmi_backend_ref, 1, &error), &error);
    assert_ok(wlmi_net_add_task(fields, "app", app, 3, 1, &error), &error);
    plain = open_shuffled(fields, 0);
    one = open_shuffled(fields, 1);
    same = open_shuffled(fields, 1);
    other = open_shuffled(fields, 2);
    assert_int_equal(count_differences(one, same, 0), 0);
    assert_int_equal(count_differences(one, other, 0), 5);
    assert_int_equal(count_differences(one, plain, 0), 5);
    assert_int_equal(count_differences(one, plain, 1), 0);
    wlmi_batches_free(plain);
    wlmi_batches_free(one);
    wlmi_batches_free(same);
    wlmi_batches_free(other);
    wlmi_net_free(fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_left_out_are_never_asked),
        cmocka_unit_test(only_training_flows_with_their_labels),
        cmocka_unit_test(an_epoch_shows_each_flow_once),
        cmocka_unit_test(the_cursor_is_the_whole_state),
        cmocka_unit_test(shares_are_kept),
        cmocka_unit_test(balance_moves_labels_together),
        cmocka_unit_test(a_sweep_shows_a_part_once_in_one_mixed_order),
        cmocka_unit_test(the_same_seed_shuffles_the_same_way),
        cmocka_unit_test(folders_are_joined),
        cmocka_unit_test(what_cannot_be_is_said),
        cmocka_unit_test(out_of_memory_is_a_status),
        cmocka_unit_test(a_warm_stream_allocates_nothing),
    };
    return cmocka_run_group_tests_name("batch", tests, make, drop);
}
