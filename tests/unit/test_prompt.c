/* test_prompt.c: flows as sequences: what each row is, what it predicts, and how much of a flow fits. */
#include "support/captures.h"
#include "support/model.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "task/prompt.h"

static wlmi_net *net;
static wlmi_dataset *data; /* flow 0: TCP, 6 exchanges, closed; flow 1: UDP, one exchange, broken off */
static wlmi_view view;
static int V;

static int make(void **state)
{
    static const char *const app[] = {"dns", "ssh", "web"}, *const vpn[] = {"yes", "no"};
    const char *path = test_path("a.pcap");
    wlm_import_options options = wlm_import_options_default();
    wlmi_config config = test_config("netgpt-nano");
    test_capture c;
    wlm_error error;
    (void)state;
    test_capture_begin(&c, "a.pcap");
    test_capture_tcp(&c, (test_end){"10.0.0.1", 4000}, (test_end){"10.0.0.9", 80}, 6);
    test_capture_udp(&c, (test_end){"10.0.0.1", 4001}, (test_end){"10.0.0.9", 53}, 1);
    test_capture_end(&c);
    options.paths = &path;
    options.path_count = 1;
    data = test_import(&options, NULL, NULL);
    config.vocabulary = V = (int)wlmi_codec_bytes.vocabulary;
    config.role_rows = (int)wlmi_codec_bytes.roles + 1;
    assert_ok(wlmi_net_new(&net, &config, &wlmi_backend_ref, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, "app", app, 3, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, "vpn", vpn, 2, 1, &error), &error);
    view = wlmi_view_default(&wlmi_codec_bytes);
    view.hide = WLM_HIDE_NONE;
    view.context = 4096;
    return 0;
}

static int drop(void **state)
{
    (void)state;
    wlmi_net_free(net);
    wlmi_dataset_close(data);
    return 0;
}

/* One sequence by itself. */
static uint64_t build(const wlmi_view *v, uint64_t flow, wlmi_prompt prompt, int task, int label, uint64_t draw,
                      wlmi_rows *rows)
{
    wlmi_prompter *prompter;
    wlm_error error;
    uint64_t used;
    wlmi_rows_clear(rows);
    assert_ok(wlmi_prompter_new(&prompter, v, net, &error), &error);
    assert_ok(wlmi_prompter_append(prompter, data, flow, prompt, task, label, draw, rows, &used, &error), &error);
    wlmi_prompter_free(prompter);
    assert_int_equal(rows->segments, 1);
    assert_int_equal(rows->starts[0], 0);
    assert_int_equal(rows->starts[1], rows->tokens);
    assert_true(rows->tokens <= v->context);
    return used;
}

/* The tokens of packets from .. from + count - 1 by the codec alone, and the end where asked. */
static void encode(uint64_t flow, uint64_t from, uint64_t count, int end, wlmi_tokens *out)
{
    const wlmi_codec *codec = &wlmi_codec_bytes;
    wlmi_coder *coder;
    wlmi_shard_flow f;
    wlm_error error;
    out->count = 0;
    wlmi_dataset_flow(data, flow, &f);
    assert_ok(codec->make(&coder, &error), &error);
    for (uint64_t j = from; j < from + count; j++) {
        wlm_packet packet;
        assert_ok(wlmi_dataset_packet(data, flow, j, &packet, &error), &error);
        if (j == from)
            codec->start(coder, &(wlmi_coder_options){.start_ns = packet.time_ns});
        assert_ok(codec->encode(coder, &packet, out, &error), &error);
    }
    if (end)
        assert_ok(codec->encode_end(coder, wlmi_end_of(f.end), out, &error), &error);
    codec->drop(coder);
}

/* Rows at .. at + tokens - 1 are these tokens, and each row before one knows its role and predicts it with this weight. */
static void check_tokens(const wlmi_rows *r, int at, const wlmi_tokens *tokens, float weight)
{
    assert_true(at + (int)tokens->count <= r->tokens);
    for (int i = 0; i < (int)tokens->count; i++) {
        assert_int_equal(r->id[at + i], tokens->token[i]);
        assert_int_equal(r->role[at + i - 1], tokens->role[i]);
        assert_int_equal(r->packet[at + i], tokens->packet[i]);
        assert_int_equal(r->target[at + i - 1], tokens->token[i]);
        assert_int_equal(r->first[at + i - 1], 0);
        assert_int_equal(r->last[at + i - 1], V);
        assert_true(r->weight[at + i - 1] == weight);
    }
}

static void check_no_target(const wlmi_rows *r, int at)
{
    assert_int_equal(r->target[at], -1);
    assert_true(r->weight[at] == 0);
}

static void plain_is_the_flow_and_its_end(void **state)
{
    wlmi_rows rows = {0};
    wlmi_tokens tokens = {0};
    (void)state;
    for (uint64_t flow = 0; flow < 2; flow++) {
        uint64_t packets = flow ? 2 : 19;
        assert_int_equal(build(&view, flow, WLMI_PROMPT_PLAIN, -1, -1, 0, &rows), packets);
        encode(flow, 0, packets, 1, &tokens);
        assert_int_equal(rows.tokens, 1 + (int)tokens.count);
        assert_int_equal(rows.id[0], V + WLMI_FLOW_ROW);
        check_tokens(&rows, 1, &tokens, 1);
        check_no_target(&rows, rows.tokens - 1);
    }
    wlmi_rows_free(&rows);
    wlmi_tokens_free(&tokens);
}

static void classify_asks_behind_the_flow(void **state)
{
    wlmi_rows rows = {0};
    wlmi_tokens tokens = {0};
    wlmi_view v = view;
    int n;
    (void)state;
    v.label_weight = 7;
    build(&v, 0, WLMI_PROMPT_CLASSIFY, 1, 0, 0, &rows);
    encode(0, 0, 19, 0, &tokens);
    n = rows.tokens;
    assert_int_equal(n, 3 + (int)tokens.count);
    assert_int_equal(rows.id[0], V + WLMI_FLOW_ROW);
    check_tokens(&rows, 1, &tokens, v.flow_weight);
    assert_int_equal(rows.id[n - 2], V + WLMI_ASK_ROW);
    assert_int_equal(rows.id[n - 1], net->task[1].row);
    assert_int_equal(rows.packet[n - 1], 19);
    check_no_target(&rows, n - 3);
    check_no_target(&rows, n - 2);
    assert_int_equal(rows.target[n - 1], net->task[1].row + 1);
    assert_int_equal(rows.first[n - 1], net->task[1].row + 1);
    assert_int_equal(rows.last[n - 1], net->task[1].row + 3);
    assert_true(rows.weight[n - 1] == 7);
    v.flow_weight = 0;
    build(&v, 0, WLMI_PROMPT_CLASSIFY, 0, -1, 0, &rows);
    for (int i = 0; i < rows.tokens; i++)
        check_no_target(&rows, i);
    wlmi_rows_free(&rows);
    wlmi_tokens_free(&tokens);
}

static void generate_begins_with_the_label(void **state)
{
    wlmi_rows rows = {0};
    wlmi_tokens tokens = {0};
    (void)state;
    build(&view, 0, WLMI_PROMPT_GENERATE, 0, 2, 0, &rows);
    encode(0, 0, 19, 1, &tokens);
    assert_int_equal(rows.tokens, 2 + (int)tokens.count);
    assert_int_equal(rows.id[0], net->task[0].row);
    assert_int_equal(rows.id[1], net->task[0].row + 3);
    check_no_target(&rows, 0);
    check_tokens(&rows, 2, &tokens, 1);
    wlmi_rows_free(&rows);
    wlmi_tokens_free(&tokens);
}

static void what_fits_is_whole_packets(void **state)
{
    static const wlmi_prompt prompts[] = {WLMI_PROMPT_PLAIN, WLMI_PROMPT_CLASSIFY, WLMI_PROMPT_GENERATE};
    wlmi_rows rows = {0};
    wlmi_tokens tokens = {0};
    wlmi_view v = view;
    (void)state;
    for (int p = 0; p < 3; p++) {
        int head = prompts[p] == WLMI_PROMPT_GENERATE ? 2 : 1, tail = prompts[p] == WLMI_PROMPT_CLASSIFY ? 2 : 0;
        uint64_t most = 0;
        for (v.context = WLMI_MIN_CONTEXT; v.context < 2000; v.context += 13) {
            uint64_t used = build(&v, 0, prompts[p], 0, 1, 0, &rows);
            int whole = used == 19, shown = rows.tokens - head - tail;
            assert_true(used >= most && used >= 1);
            most = used;
            encode(0, 0, used, 0, &tokens);
            if ((int)tokens.count + head + tail > v.context) { /* not even the first packet fits */
                assert_int_equal(used, 1);
                assert_int_equal(rows.tokens, v.context);
                tokens.count = (size_t)shown;
            }
            if (whole && !tail && shown > (int)tokens.count)
                encode(0, 0, used, 1, &tokens);
            assert_int_equal(shown, tokens.count);
            check_tokens(&rows, head, &tokens, tail ? v.flow_weight : 1);
            if (!whole) { /* another packet would not have fitted */
                encode(0, 0, used + 1, 0, &tokens);
                assert_true(head + tail + (int)tokens.count > v.context);
            }
        }
        assert_int_equal(most, 19);
    }
    wlmi_rows_free(&rows);
    wlmi_tokens_free(&tokens);
}

static void max_packets_is_a_bound(void **state)
{
    wlmi_rows rows = {0};
    wlmi_tokens tokens = {0};
    wlmi_view v = view;
    (void)state;
    for (v.max_packets = 1; v.max_packets < 19; v.max_packets++) {
        assert_int_equal(build(&v, 0, WLMI_PROMPT_PLAIN, -1, -1, 0, &rows), v.max_packets);
        encode(0, 0, v.max_packets, 0, &tokens);
        assert_int_equal(rows.tokens, 1 + (int)tokens.count); /* and no end */
    }
    wlmi_rows_free(&rows);
    wlmi_tokens_free(&tokens);
}

/* Without the questions that stand between packets, rows are those of the flow so far; how many such there were. */
static int check_drawn(const wlmi_rows *r, const wlmi_view *v, const wlmi_tokens *tokens, int task, int label)
{
    int at = 1, asked = 0, aimed = 0;
    assert_int_equal(r->id[0], V + WLMI_FLOW_ROW);
    for (int i = 0; i < (int)tokens->count; i++, at++) {
        if (r->id[at] == V + WLMI_ASK_ROW) {
            const int packets = r->packet[at];
            assert_true(i > 0 && tokens->packet[i] != tokens->packet[i - 1]);
            assert_int_equal(packets, tokens->packet[i]);
            assert_int_equal(packets & (packets - 1), 0);
            assert_int_equal(r->id[at + 1], net->task[task].row);
            assert_int_equal(r->target[at + 1], net->task[task].row + 1 + label);
            assert_true(r->weight[at + 1] > 0 && r->weight[at + 1] < v->label_weight);
            check_no_target(r, at);
            asked++;
            at += 2;
        } else if (r->target[at - 1] >= 0) {
            assert_int_equal(r->target[at - 1], tokens->token[i]);
            assert_true(r->weight[at - 1] > v->flow_weight);
            aimed++;
        }
        assert_int_equal(r->id[at], tokens->token[i]);
        assert_int_equal(r->packet[at], tokens->packet[i]);
    }
    assert_int_equal(at + 2, r->tokens);
    assert_true(r->tokens <= v->context);
    assert_true(aimed <= (int)tokens->count / 2 + 8);
    assert_int_equal(r->target[r->tokens - 1], net->task[task].row + 1 + label);
    assert_true(r->weight[r->tokens - 1] == v->label_weight);
    return asked;
}

static void a_draw_asks_after_any_packet(void **state)
{
    wlmi_rows rows = {0};
    wlmi_tokens tokens = {0};
    int seen[20] = {0}, different = 0, along = 0, after[20] = {0};
    (void)state;
    for (uint64_t draw = 1; draw <= 1000; draw++) {
        uint64_t used = build(&view, 0, WLMI_PROMPT_CLASSIFY, 0, 1, draw, &rows);
        seen[used]++;
        encode(0, 0, used, 0, &tokens);
        along += check_drawn(&rows, &view, &tokens, 0, 1) > 0;
        for (int i = 0; i < rows.tokens - 2; i++)
            after[rows.packet[i]] += rows.id[i] == V + WLMI_ASK_ROW;
        assert_int_equal(rows.packet[rows.tokens - 1], used);
    }
    for (int i = 1; i < 19; i++)
        different += seen[i] > 0;
    assert_int_equal(different, 18);
    assert_in_range(seen[19], 650, 850);
    assert_in_range(along, 600, 850);
    for (int i = 1; i <= 16; i *= 2)
        assert_in_range(after[i], 350, 650);
    wlmi_rows_free(&rows);
    wlmi_tokens_free(&tokens);
}

static void questions_keep_to_the_context(void **state)
{
    wlmi_rows rows = {0};
    wlmi_tokens tokens = {0};
    wlmi_view v = view;
    int most = 0;
    (void)state;
    encode(0, 0, 19, 0, &tokens);
    for (int spare = 0; spare <= 6; spare++) {
        v.context = (int)tokens.count + 3 + spare;
        for (uint64_t draw = 1; draw <= 100; draw++)
            if (build(&v, 0, WLMI_PROMPT_CLASSIFY, 0, 1, draw, &rows) == 19) {
                const int asked = check_drawn(&rows, &v, &tokens, 0, 1);
                assert_true(asked <= spare / 2);
                most = asked > most ? asked : most;
            }
    }
    assert_int_equal(most, 3);
    wlmi_rows_free(&rows);
    wlmi_tokens_free(&tokens);
}

static void a_draw_shows_the_middle_of_long_flows(void **state)
{
    wlmi_rows rows = {0}, from_start = {0};
    wlmi_tokens tokens = {0};
    wlmi_view v = view;
    int later = 0, ended = 0;
    (void)state;
    v.context = 400;
    build(&v, 0, WLMI_PROMPT_PLAIN, -1, -1, 0, &from_start);
    for (uint64_t draw = 1; draw <= 400; draw++) {
        uint64_t used = build(&v, 0, WLMI_PROMPT_PLAIN, -1, -1, draw, &rows), from;
        int found = 0;
        if (rows.tokens == from_start.tokens && !memcmp(rows.id, from_start.id, (size_t)rows.tokens * sizeof *rows.id))
            continue;
        later++;
        for (from = 1; from + used <= 19 && !found; from++) {
            encode(0, from, used, from + used == 19, &tokens);
            found = rows.tokens == 1 + (int)tokens.count;
            for (int i = 0; found && i < (int)tokens.count; i++)
                found = rows.id[1 + i] == tokens.token[i];
            ended += found && from + used == 19;
        }
        assert_true(found);
    }
    assert_in_range(later, 60, 140);
    assert_true(ended > 0);
    v.context = 4096; /* a flow that fits is always shown from its start */
    build(&v, 0, WLMI_PROMPT_PLAIN, -1, -1, 0, &from_start);
    for (uint64_t draw = 1; draw <= 100; draw++) {
        build(&v, 0, WLMI_PROMPT_PLAIN, -1, -1, draw, &rows);
        assert_int_equal(rows.tokens, from_start.tokens);
        assert_memory_equal(rows.id, from_start.id, (size_t)rows.tokens * sizeof *rows.id);
    }
    wlmi_rows_free(&rows);
    wlmi_rows_free(&from_start);
    wlmi_tokens_free(&tokens);
}

static void segments_are_packed_as_they_are_alone(void **state)
{
    wlmi_prompter *prompter;
    wlmi_rows packed = {0}, alone = {0};
    wlm_error error;
    (void)state;
    assert_ok(wlmi_prompter_new(&prompter, &view, net, &error), &error);
    for (int i = 0; i < 100; i++) {
        int at = packed.tokens, n;
        assert_ok(wlmi_prompter_append(prompter, data, (uint64_t)i % 2, (wlmi_prompt)(i % 3), 0, i % 3, (uint64_t)i,
                                       &packed, NULL, &error), &error);
        build(&view, (uint64_t)i % 2, (wlmi_prompt)(i % 3), 0, i % 3, (uint64_t)i, &alone);
        n = packed.tokens - at;
        assert_int_equal(packed.starts[i + 1], packed.tokens);
        assert_int_equal(n, alone.tokens);
        assert_memory_equal(packed.id + at, alone.id, (size_t)n * sizeof *alone.id);
        assert_memory_equal(packed.target + at, alone.target, (size_t)n * sizeof *alone.target);
        assert_memory_equal(packed.weight + at, alone.weight, (size_t)n * sizeof *alone.weight);
    }
    wlmi_rows_cut(&packed, 1);
    assert_int_equal(packed.tokens, packed.starts[1]);
    assert_int_equal(wlmi_rows_batch(&packed).segments.count, 1);
    wlmi_prompter_free(prompter);
    wlmi_rows_free(&packed);
    wlmi_rows_free(&alone);
}

/* Whether these bytes follow each other somewhere among the ids. */
static int holds(const wlmi_rows *r, const uint8_t *bytes, int size)
{
    for (int i = 0; i + size <= r->tokens; i++) {
        int j = 0;
        while (j < size && r->id[i + j] == bytes[j])
            j++;
        if (j == size)
            return 1;
    }
    return 0;
}

static void hidden_addresses_do_not_reach_the_rows(void **state)
{
    static const uint8_t address[] = {10, 0, 0, 1}, text[] = "question 3";
    wlmi_rows rows = {0};
    wlmi_view v = view;
    (void)state;
    build(&v, 0, WLMI_PROMPT_PLAIN, -1, -1, 0, &rows);
    assert_true(holds(&rows, address, 4));
    assert_true(holds(&rows, text, 10));
    v.hide = WLM_HIDE_IDS;
    build(&v, 0, WLMI_PROMPT_PLAIN, -1, -1, 0, &rows);
    assert_false(holds(&rows, address, 4));
    assert_true(holds(&rows, text, 10));
    v.payload = 4;
    build(&v, 0, WLMI_PROMPT_PLAIN, -1, -1, 0, &rows);
    assert_false(holds(&rows, text, 5));
    assert_true(holds(&rows, text, 4));
    wlmi_rows_free(&rows);
}

/* Rows of flow 0 in codec `fields`, shuffled by this seed. */
static void build_fields(const wlmi_net *of, uint64_t shuffle, uint64_t draw, wlmi_rows *rows)
{
    wlmi_view v = view;
    wlmi_prompter *prompter;
    wlm_error error;
    v.codec = &wlmi_codec_fields;
    v.shuffle_fields = shuffle;
    wlmi_rows_clear(rows);
    assert_ok(wlmi_prompter_new(&prompter, &v, of, &error), &error);
    assert_ok(wlmi_prompter_append(prompter, data, 0, WLMI_PROMPT_PLAIN, -1, -1, draw, rows, NULL, &error), &error);
    wlmi_prompter_free(prompter);
}

static int same_ids(const wlmi_rows *a, const wlmi_rows *b)
{
    return a->tokens == b->tokens && !memcmp(a->id, b->id, (size_t)a->tokens * sizeof *a->id);
}

/* How often each token stands in a packet is the same in both. */
static void assert_permuted(const wlmi_rows *a, const wlmi_rows *b, int vocabulary)
{
    int *balance = calloc((size_t)vocabulary, sizeof *balance);
    assert_non_null(balance);
    assert_int_equal(a->tokens, b->tokens);
    for (int i = 1; i < a->tokens; i++) {
        assert_int_equal(a->packet[i], b->packet[i]);
        balance[a->id[i]]++;
        balance[b->id[i]]--;
        if (i + 1 == a->tokens || a->packet[i + 1] != a->packet[i])
            for (int t = 0; t < vocabulary; t++)
                assert_int_equal(balance[t], 0);
    }
    free(balance);
}

/* The rows decode to the flow's packets. */
static void assert_decodes(const wlmi_rows *rows)
{
    const wlmi_codec *codec = &wlmi_codec_fields;
    wlmi_coder *coder;
    wlm_packet packet;
    wlmi_pushed what = WLMI_PUSHED;
    wlm_error error;
    uint64_t packets = 0;
    assert_ok(codec->make(&coder, &error), &error);
    assert_ok(wlmi_dataset_packet(data, 0, 0, &packet, &error), &error);
    codec->start(coder, &(wlmi_coder_options){.start_ns = packet.time_ns, .shuffle = 1});
    for (int i = 1; i < rows->tokens; i++) {
        assert_int_equal(rows->role[i - 1], codec->role(coder));
        assert_ok(codec->push(coder, (wlmi_token)rows->id[i], &what, &error), &error);
        if (what != WLMI_PUSHED_PACKET)
            continue;
        assert_ok(wlmi_dataset_packet(data, 0, packets++, &packet, &error), &error);
        assert_int_equal(codec->packet(coder)->time_ns, packet.time_ns);
        assert_int_equal(codec->packet(coder)->captured, packet.captured);
        assert_memory_equal(codec->packet(coder)->data, packet.data, packet.captured);
    }
    assert_int_equal(what, WLMI_PUSHED_END);
    assert_int_equal(packets, 19);
    codec->drop(coder);
}

static void shuffled_fields_are_the_same_packets_in_another_order(void **state)
{
    wlmi_config config = test_config("netgpt-nano");
    wlmi_rows plain = {0}, rows = {0}, again = {0};
    wlmi_net *fields;
    wlmi_prompter *prompter;
    wlmi_view v = view;
    wlm_error error;
    int moved = 0, by_seed = 0;
    (void)state;
    config.vocabulary = (int)wlmi_codec_fields.vocabulary;
    config.role_rows = (int)wlmi_codec_fields.roles + 1;
    assert_ok(wlmi_net_new(&fields, &config, &wlmi_backend_ref, 1, &error), &error);
    build_fields(fields, 0, 1, &plain);
    for (uint64_t draw = 1; draw <= 30; draw++) {
        build_fields(fields, 7, draw, &rows);
        assert_permuted(&rows, &plain, config.vocabulary);
        assert_decodes(&rows);
        moved += !same_ids(&rows, &plain);
        build_fields(fields, 7, draw, &again);
        assert_true(same_ids(&rows, &again));
        build_fields(fields, 8, draw, &again);
        by_seed += !same_ids(&rows, &again);
    }
    assert_true(moved > 25 && by_seed > 25);
    build_fields(fields, 7, 0, &rows); /* no chance, no shuffling */
    assert_true(same_ids(&rows, &plain));
    v.shuffle_fields = 1;
    assert_int_equal(wlmi_prompter_new(&prompter, &v, net, &error), WLM_ERR_ARGUMENT);
    assert_string_equal(error.cause, "codec bytes has no fields to shuffle");
    wlmi_net_free(fields);
    wlmi_rows_free(&plain);
    wlmi_rows_free(&rows);
    wlmi_rows_free(&again);
}

static void nonsense_is_refused(void **state)
{
    wlmi_prompter *prompter;
    wlmi_rows rows = {0};
    wlmi_view v = view;
    wlm_error error;
    (void)state;
    assert_ok(wlmi_prompter_new(&prompter, &view, net, &error), &error);
    assert_int_equal(wlmi_prompter_append(prompter, data, 0, WLMI_PROMPT_CLASSIFY, 2, 0, 0, &rows, NULL, &error),
                     WLM_ERR_ARGUMENT);
    assert_int_equal(wlmi_prompter_append(prompter, data, 0, WLMI_PROMPT_CLASSIFY, 0, 3, 0, &rows, NULL, &error),
                     WLM_ERR_ARGUMENT);
    assert_int_equal(wlmi_prompter_append(prompter, data, 0, WLMI_PROMPT_GENERATE, 0, -1, 0, &rows, NULL, &error),
                     WLM_ERR_ARGUMENT);
    assert_int_equal(rows.tokens, 0);
    wlmi_prompter_free(prompter);
    v.context = WLMI_MIN_CONTEXT - 1;
    assert_int_equal(wlmi_prompter_new(&prompter, &v, net, &error), WLM_ERR_ARGUMENT);
}

static void out_of_memory_is_a_status(void **state)
{
    wlmi_view v = view;
    wlm_status status;
    wlm_error error;
    uint64_t k = 1;
    (void)state;
    v.hide = WLM_HIDE_IDS;
    do {
        wlmi_prompter *prompter = NULL;
        wlmi_rows rows = {0};
        wlmi_alloc_fail_at(k++);
        status = wlmi_prompter_new(&prompter, &v, net, &error);
        for (uint64_t flow = 0; status == WLM_OK && flow < 2; flow++) {
            int segments = rows.segments, tokens = rows.tokens;
            status = wlmi_prompter_append(prompter, data, flow, WLMI_PROMPT_CLASSIFY, 0, 1, 0, &rows, NULL, &error);
            if (status != WLM_OK) {
                assert_int_equal(rows.segments, segments);
                assert_int_equal(rows.tokens, tokens);
            }
        }
        wlmi_alloc_fail_at(0);
        wlmi_prompter_free(prompter);
        wlmi_rows_free(&rows);
        if (status != WLM_OK)
            assert_int_equal(status, WLM_ERR_MEMORY);
    } while (status != WLM_OK);
    assert_true(k > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_is_the_flow_and_its_end),
        cmocka_unit_test(classify_asks_behind_the_flow),
        cmocka_unit_test(generate_begins_with_the_label),
        cmocka_unit_test(what_fits_is_whole_packets),
        cmocka_unit_test(max_packets_is_a_bound),
        cmocka_unit_test(a_draw_asks_after_any_packet),
        cmocka_unit_test(questions_keep_to_the_context),
        cmocka_unit_test(a_draw_shows_the_middle_of_long_flows),
        cmocka_unit_test(segments_are_packed_as_they_are_alone),
        cmocka_unit_test(hidden_addresses_do_not_reach_the_rows),
        cmocka_unit_test(shuffled_fields_are_the_same_packets_in_another_order),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests_name("prompt", tests, make, drop);
}
