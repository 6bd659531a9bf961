/* test_pieces.c: pieces of whole captures: the packets of all flows in their order, each of its flow, none of another
 * part, and every one of them where a sweep asks for all. */
#include "support/captures.h"
#include "support/model.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task/batch.h"

/* One capture of UDP flows that take turns, two flows of each three for training. A packet's payload is "F007 P0123":
 * flow, number in the capture. */
enum { FLOWS = 12, PACKETS = 400 };

static wlmi_net *net;
static wlmi_dataset *data;
static wlmi_view view;

static int flow_of_packet(int i)
{
    return (i * i / 7 + i) % FLOWS;
}

static wlm_part part_of(int flow)
{
    return flow % 3 < 2 ? WLM_PART_TRAIN : WLM_PART_VAL;
}

static int make(void **state)
{
    static char csv[4096] = "path,label,src_port,split\n";
    const wlmi_codec *codec = wlmi_codec_find("fields");
    wlm_import_options options = wlm_import_options_default();
    wlmi_config config = test_config("netgpt-nano");
    test_capture c;
    wlm_error error;
    (void)state;
    test_capture_begin(&c, "turns.pcap");
    for (int i = 0; i < PACKETS; i++) {
        const test_end client = {"10.0.0.1", (uint16_t)(1000 + flow_of_packet(i))}, server = {"10.0.0.9", 53};
        char text[40];
        int n = snprintf(text, sizeof text, "F%03d P%04d", flow_of_packet(i), i);
        test_packet p = i % 3 ? test_udp(client, server, text, (size_t)n) : test_udp(server, client, text, (size_t)n);
        test_capture_put(&c, &p);
    }
    test_capture_end(&c);
    for (int f = 0; f < FLOWS; f++)
        sprintf(csv + strlen(csv), "turns.pcap,x,%d,%s\n", 1000 + f, wlm_part_name(part_of(f)));
    options.task = "app";
    data = test_import(&options, csv, NULL);
    config.vocabulary = (int)codec->vocabulary;
    config.role_rows = (int)codec->roles + 1;
    assert_ok(wlmi_net_new(&net, &config, &wlmi_backend_ref, 1, &error), &error);
    view = wlmi_view_default(codec);
    view.unit = WLM_UNIT_CAPTURE;
    view.context = 300;
    return 0;
}

static int drop(void **state)
{
    (void)state;
    wlmi_net_free(net);
    wlmi_dataset_close(data);
    return 0;
}

/* Reads a segment: its packets' numbers go to number[]; each has the flow that it was captured in. Returns how many. */
static int read_segment(const wlmi_rows *r, int segment, int *number, int *ended)
{
    const wlmi_codec *codec = view.codec;
    int flow_known[FLOWS], flows = 0, n = 0;
    wlmi_coder *coder;
    wlm_error error;
    assert_int_equal(r->id[r->starts[segment]], net->config.vocabulary + WLMI_FLOW_ROW);
    assert_ok(codec->make(&coder, &error), &error);
    codec->start(coder, &(wlmi_coder_options){.capture = 1});
    *ended = 0;
    for (int i = r->starts[segment] + 1; i < r->starts[segment + 1]; i++) {
        wlmi_pushed what;
        char payload[12] = "";
        int flow;
        assert_int_equal(r->target[i - 1], r->id[i]);
        assert_int_equal(r->role[i - 1], codec->role(coder));
        assert_ok(codec->push(coder, (wlmi_token)r->id[i], &what, &error), &error);
        *ended |= what == WLMI_PUSHED_END;
        if (what != WLMI_PUSHED_PACKET)
            continue;
        const wlm_packet *p = codec->packet(coder);
        memcpy(payload, p->data + p->captured - 10, 10);
        assert_int_equal(sscanf(payload, "F%d P%d", &flow, &number[n]), 2);
        int told = (int)codec->flow(coder);
        assert_in_range(told, 0, flows);
        if (told == flows)
            flow_known[flows++] = flow;
        assert_int_equal(flow_known[told], flow);
        assert_int_equal(flow, flow_of_packet(number[n]));
        n++;
    }
    codec->drop(coder);
    return n;
}

/* The number of the part's packet that follows number i. */
static int next_of(wlm_part part, int i)
{
    do
        i++;
    while (i < PACKETS && part_of(flow_of_packet(i)) != part);
    return i;
}

static void a_piece_is_what_follows_in_the_capture(void **state)
{
    static const wlm_hide policies[] = {WLM_HIDE_NONE, WLM_HIDE_IDS, WLM_HIDE_IMPLICIT};
    const wlmi_dataset *folders[] = {data};
    wlm_error error;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        wlmi_pieces *pieces;
        wlmi_rows rows = {0};
        view.hide = policies[i];
        assert_ok(wlmi_pieces_new(&pieces, folders, 1, &view, net, &error), &error);
        uint64_t packets = wlmi_pieces_packets(pieces, WLM_PART_TRAIN);
        assert_int_equal(packets + wlmi_pieces_packets(pieces, WLM_PART_VAL), PACKETS);
        assert_int_equal(wlmi_pieces_packets(pieces, WLM_PART_NONE), 0);
        for (uint64_t first = 0; first < packets; first++) {
            int number[PACKETS], n, ended;
            uint64_t used;
            wlmi_rows_clear(&rows);
            assert_ok(wlmi_pieces_append(pieces, WLM_PART_TRAIN, first, 1 + first, &rows, &used, &error), &error);
            assert_true(rows.tokens <= view.context);
            n = read_segment(&rows, 0, number, &ended);
            assert_int_equal(n, used);
            for (int j = 1; j < n; j++)
                assert_int_equal(number[j], next_of(WLM_PART_TRAIN, number[j - 1]));
            assert_int_equal(part_of(flow_of_packet(number[0])), WLM_PART_TRAIN);
            if (ended)
                assert_int_equal(first + used, packets);
            else
                assert_true(rows.tokens > view.context - 60); /* as many as fit */
        }
        wlmi_rows_free(&rows);
        wlmi_pieces_free(pieces);
    }
    view.hide = WLM_HIDE_IDS;
}

static wlmi_batches *open_batches(wlmi_batch_options *o)
{
    const wlmi_dataset *folders[] = {data};
    wlmi_batches *b;
    wlm_error error;
    o->tokens = 1024;
    assert_ok(wlmi_batches_new(&b, folders, 1, net, &view, o, &error), &error);
    return b;
}

static void a_sweep_sees_each_packet_once(void **state)
{
    wlmi_batch_options o = wlmi_batch_options_default();
    wlmi_batches *b = open_batches(&o);
    wlmi_rows rows = {0};
    uint64_t cursor = 0;
    int at = next_of(WLM_PART_VAL, -1);
    wlm_status status;
    wlm_error error;
    (void)state;
    assert_int_equal(wlmi_batches_flows(b, WLM_PART_VAL, WLMI_PROMPT_CLASSIFY), 0);
    while ((status = wlmi_batches_sweep(b, WLM_PART_VAL, WLMI_PROMPT_PLAIN, &cursor, &rows, &error)) == WLM_OK)
        for (int s = 0; s < rows.segments; s++) {
            int number[PACKETS], ended, n = read_segment(&rows, s, number, &ended);
            for (int j = 0; j < n; j++, at = next_of(WLM_PART_VAL, at))
                assert_int_equal(number[j], at);
        }
    assert_int_equal(status, WLM_END);
    assert_int_equal(at, PACKETS);
    wlmi_rows_free(&rows);
    wlmi_batches_free(b);
}

static void batches_are_a_function_of_the_cursor(void **state)
{
    wlmi_batch_options o = wlmi_batch_options_default();
    wlmi_batches *b = open_batches(&o), *other = open_batches(&o);
    wlmi_rows rows = {0}, again = {0};
    uint64_t cursor = 0, before = 0;
    wlm_error error;
    (void)state;
    for (int i = 0; i < 20; i++) {
        before = cursor;
        assert_ok(wlmi_batches_next(b, &cursor, &rows, &error), &error);
    }
    assert_ok(wlmi_batches_next(other, &before, &again, &error), &error);
    assert_int_equal(before, cursor);
    assert_int_equal(rows.tokens, again.tokens);
    assert_memory_equal(rows.id, again.id, (size_t)rows.tokens * sizeof *rows.id);
    wlmi_rows_free(&rows);
    wlmi_rows_free(&again);
    wlmi_batches_free(b);
    wlmi_batches_free(other);
}

static void what_has_no_pieces_says_so(void **state)
{
    const wlmi_dataset *folders[] = {data};
    wlmi_batch_options o = wlmi_batch_options_default();
    wlmi_view bytes = view;
    wlmi_pieces *pieces;
    wlmi_batches *b;
    wlm_error error;
    (void)state;
    bytes.codec = wlmi_codec_find("bytes");
    assert_int_equal(wlmi_pieces_new(&pieces, folders, 1, &bytes, net, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "codec bytes does not tell flows apart"));
    assert_null(pieces);
    o.tokens = 1024;
    o.generate = 1;
    assert_int_equal(wlmi_net_add_task(net, "app", (const char *const[]){"x"}, 1, 1, &error), WLM_OK);
    assert_int_equal(wlmi_batches_new(&b, folders, 1, net, &view, &o, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "labels belong to flows"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_piece_is_what_follows_in_the_capture),
        cmocka_unit_test(a_sweep_sees_each_packet_once),
        cmocka_unit_test(batches_are_a_function_of_the_cursor),
        cmocka_unit_test(what_has_no_pieces_says_so),
    };
    return cmocka_run_group_tests_name("pieces", tests, make, drop);
}
