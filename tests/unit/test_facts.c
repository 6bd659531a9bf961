/* test_facts.c: what a model remembers of the training flows of each label. */
#include "support/captures.h"
#include "support/support.h"

#include "capture/first_payload.h"
#include "task/facts.h"
#include "token/codec.h"

static const char *const labels[] = {"few", "many"};

static wlmi_net *small_net(void)
{
    wlmi_config config;
    wlmi_net *net;
    wlm_error error;
    assert_ok(wlmi_config_preset(&config, "netgpt-nano", &error), &error);
    config.vocabulary = (int)wlmi_codec_find(NULL)->vocabulary;
    assert_ok(wlmi_net_new(&net, &config, &wlmi_backend_ref, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, "app", labels, 2, 1, &error), &error);
    return net;
}

static void ports_protocols_and_cuts_are_counted(void **state)
{
    test_end client = {"192.0.2.7", 40000};
    test_capture capture;
    wlm_import_options options = wlm_import_options_default();
    wlm_import_report report;
    wlm_error error;
    (void)state;
    /* Seven ports with a seventh of the flows each: none is named. */
    test_capture_begin(&capture, "in/few.pcap");
    for (uint16_t i = 0; i < 7; i++)
        test_capture_udp(&capture, client, (test_end){"198.51.100.9", (uint16_t)(100 + i)}, 1);
    test_capture_end(&capture);
    /* Port 25 has 2 of 5 closed TCP flows; the lower ports come first, but are rarer. */
    test_capture_begin(&capture, "in/many.pcap");
    for (uint16_t i = 0; i < 5; i++) {
        client.port = (uint16_t)(40001 + i);
        test_capture_tcp(&capture, client, (test_end){"198.51.100.9", (uint16_t)(i < 3 ? 22 + i : 25)}, 1);
    }
    test_capture_end(&capture);
    options.task = "app";
    options.part = WLM_PART_TRAIN;
    wlmi_dataset *data = test_import(&options, "path,label\nin/few.pcap,few\nin/many.pcap,many\n", &report);
    wlmi_net *net = small_net();
    assert_ok(wlmi_facts_gather(net, &data, 1, &error), &error);
    const wlmi_task *task = &net->task[0];
    assert_int_equal(task->flows[0], 7);
    assert_int_equal(task->flows_cut[0], 7); /* the capture ends right behind them */
    assert_int_equal(task->port[0], 0);
    assert_int_equal(task->proto[0], 17);
    assert_int_equal(task->flows[1], 5);
    assert_int_equal(task->flows_cut[1], 0);
    assert_int_equal(task->port[1], 25);
    assert_int_equal(task->proto[1], 6);
    assert_int_equal(task->ports[0].rows, 7); /* a flow each, the lowest first */
    assert_int_equal(task->ports[0].row[0].server, 100);
    assert_int_equal(task->ports[0].row[0].proto, 17);
    assert_int_equal(task->ports[0].row[0].client, 0);
    assert_int_equal(task->ports[0].row[0].flows[WLMI_FIRST_OTHER], 1);
    assert_int_equal(task->ports[0].clients[1][2], 7); /* UDP from 40000 */
    assert_int_equal(task->ports[1].clients[0][2], 5);
    assert_int_equal(task->ports[1].clients[1][2], 0);
    assert_int_equal(task->ports[1].rows, 4);
    assert_int_equal(task->ports[1].row[0].server, 25);
    assert_int_equal(task->ports[1].row[0].flows[WLMI_FIRST_OTHER], 2);
    wlmi_net_free(net);
    wlmi_dataset_close(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_protocols_and_cuts_are_counted),
    };
    return cmocka_run_group_tests_name("facts", tests, NULL, NULL);
}
