/* test_import.c: captures and labels become flows with labels and parts. */
#include "support/captures.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

static wlm_import_options with_task(const char *task)
{
    wlm_import_options options = wlm_import_options_default();
    options.task = task;
    return options;
}

/* "label/label" of the flows in order of import, "-" for none. */
static const char *labels_of(const wlmi_dataset *d)
{
    static char text[1024];
    text[0] = 0;
    for (uint64_t i = 0; i < wlmi_dataset_flows(d); i++) {
        wlmi_shard_flow flow;
        wlmi_dataset_flow(d, i, &flow);
        sprintf(text + strlen(text), "%s%s", i ? "/" : "",
                flow.label == WLMI_NO_LABEL ? "-" : wlmi_dataset_label(d, flow.label));
    }
    return text;
}

/* Labels after an import of one.pcap (TCP from port 4000 to 80, UDP from 4001 to 53) and two.pcap (5000, 5001). */
static void check_csv(const char *csv, const char *labels, uint64_t dropped, uint64_t unmatched)
{
    wlm_import_options options = with_task("app");
    wlm_import_report report;
    wlmi_dataset *d = test_import(&options, csv, &report);
    assert_string_equal(labels_of(d), labels);
    assert_int_equal(report.unlabelled_dropped, dropped);
    assert_int_equal(report.csv_unmatched, unmatched);
    wlmi_dataset_close(d);
}

static int make_captures(void **state)
{
    (void)state;
    test_capture_two("one.pcap", 4000);
    test_capture_two("two.pcap", 5000);
    test_capture_two("tree/web/a.pcap", 4000);
    test_capture_two("tree/mail/b.pcap", 4000);
    test_capture_two("tree/mail/c.pcap", 6000);
    return 0;
}

static void a_line_labels_all_flows_of_its_file(void **state)
{
    (void)state;
    check_csv("path,label\none.pcap,web\ntwo.pcap,mail\n", "web/web/mail/mail", 0, 0);
    check_csv("label,comment,path\nweb,\"said \"\"x\"\", twice\",one.pcap\n", "web/web", 0, 0);
}

static void a_tuple_labels_its_flow_in_both_directions(void **state)
{
    const char *header = "path,label,src_ip,src_port,dst_ip,dst_port,proto\n";
    static const struct {
        const char *lines, *labels;
        uint64_t dropped, unmatched;
    } cases[] = {
        {"one.pcap,web,10.0.0.1,4000,10.0.0.9,80,tcp\n", "web", 1, 0},
        {"one.pcap,web,10.0.0.9,80,10.0.0.1,4000,TCP\n", "web", 1, 0},
        {"one.pcap,web,10.0.0.9,80,10.0.0.1,4000,6\n", "web", 1, 0},
        {"one.pcap,web,10.0.0.1,4000,10.0.0.9,80,udp\n"
         "one.pcap,dns,10.0.0.9,53,10.0.0.1,4001,17\n",
         "dns", 1, 1},
        {"one.pcap,web,,,,80,tcp\none.pcap,dns,,53,,,\n", "web/dns", 0, 0},
        {"one.pcap,web,,80,,80,tcp\n"
         "one.pcap,both,10.0.0.1,,,,\n",
         "both/both", 0, 1},
        {"one.pcap,some,10.0.0.9,,10.0.0.1,,\n", "some/some", 0, 0},
        {"one.pcap,crossed,10.0.0.1,80,10.0.0.9,4000,tcp\none.pcap,rest,,,,,\n", "rest/rest", 0, 1},
        {"one.pcap,rest,,,,,\none.pcap,web,10.0.0.1,4000,10.0.0.9,80,tcp\n", "web/rest", 0, 0},
        {"one.pcap,any,,,,,\ntwo.pcap,udp,,,,,udp\n", "any/any/udp", 1, 0},
        {"one.pcap,odd,2001:db8::1::2,,,,\none.pcap,any,,,,,\n", "any/any", 0, 1},
        {"one.pcap,six,2001:db8::1,,,,\none.pcap,any,,,,,\n", "any/any", 0, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char csv[512];
        snprintf(csv, sizeof csv, "%s%s", header, cases[i].lines);
        check_csv(csv, cases[i].labels, cases[i].dropped, cases[i].unmatched);
    }
}

static void folders_are_labels_without_a_csv(void **state)
{
    const char *path = test_path("tree");
    wlm_import_options options = with_task("app");
    wlm_import_report report;
    wlmi_dataset *d;
    (void)state;
    options.paths = &path;
    options.path_count = 1;
    d = test_import(&options, NULL, &report);
    assert_string_equal(labels_of(d), "mail/mail/mail/mail/web/web");
    assert_string_equal(wlmi_dataset_task(d), "app");
    assert_int_equal(wlmi_dataset_labels(d), 2);
    assert_int_equal(report.files, 3);
    assert_int_equal(report.flows, 6);
    assert_int_equal(report.fell_back, 1); /* web has one capture only */
    assert_int_equal(wlmi_dataset_fell_back(d), 1);
    wlmi_dataset_close(d);
}

static void without_a_task_all_flows_stay(void **state)
{
    const char *paths[] = {test_path("one.pcap"), test_path("tree"), test_path("one.pcap")};
    wlm_import_options options = wlm_import_options_default();
    wlm_import_report report;
    wlmi_dataset *d;
    (void)state;
    options.paths = paths;
    options.path_count = 3;
    options.part = WLM_PART_TEST;
    d = test_import(&options, NULL, &report);
    assert_string_equal(labels_of(d), "-/-/-/-/-/-/-/-");
    assert_null(wlmi_dataset_task(d));
    assert_int_equal(report.part_flows[WLM_PART_TEST], 8);
    wlmi_dataset_close(d);
}

static void given_splits_are_honoured(void **state)
{
    const char *csv = "path,label,split,dst_port\none.pcap,web,test,80\none.pcap,dns,val,53\ntwo.pcap,mail,train,\n";
    static const wlm_part part[] = {WLM_PART_TEST, WLM_PART_VAL, WLM_PART_TRAIN, WLM_PART_TRAIN};
    (void)state;
    for (int labelled = 0; labelled < 2; labelled++) {
        wlm_import_options options = with_task(labelled ? "app" : NULL);
        wlmi_dataset *d = test_import(&options, csv, NULL);
        assert_string_equal(labels_of(d), labelled ? "web/dns/mail/mail" : "-/-/-/-");
        for (uint64_t i = 0; i < 4; i++) {
            wlmi_shard_flow flow;
            wlmi_dataset_flow(d, i, &flow);
            assert_int_equal(flow.part, part[i]);
        }
        wlmi_dataset_close(d);
    }
}

static void a_flow_that_no_line_names_follows_its_file(void **state)
{
    wlm_import_options options = wlm_import_options_default();
    const char *path = test_folder();
    wlmi_dataset *d;
    (void)state;
    options.paths = &path;
    options.path_count = 1;
    d = test_import(&options, "path,split,dst_port\none.pcap,test,80\n", NULL);
    for (uint64_t i = 0; i < wlmi_dataset_flows(d); i++) {
        wlmi_shard_flow flow;
        wlmi_dataset_flow(d, i, &flow);
        assert_int_equal(flow.part, strstr(wlmi_dataset_file(d, flow.file), "one.pcap") ? WLM_PART_TEST
                                                                                         : WLM_PART_TRAIN);
    }
    wlmi_dataset_close(d);
}

static void a_capture_column_groups_files(void **state)
{
    wlm_import_options options = with_task("app");
    wlm_import_report report;
    wlmi_dataset *d;
    wlmi_shard_flow a, b;
    (void)state;
    d = test_import(&options, "path,label,capture\none.pcap,web,monday\ntwo.pcap,web,monday\n", &report);
    wlmi_dataset_flow(d, 0, &a);
    wlmi_dataset_flow(d, 3, &b);
    assert_int_equal(a.group, b.group);
    assert_int_equal(report.fell_back, 1);
    wlmi_dataset_close(d);
    d = test_import(&options, "path,label,capture\none.pcap,web,monday\ntwo.pcap,web,tuesday\n", &report);
    wlmi_dataset_flow(d, 0, &a);
    wlmi_dataset_flow(d, 3, &b);
    assert_true(a.group != b.group);
    assert_int_equal(report.fell_back, 0);
    assert_true(a.part != b.part); /* two groups: one to train on, one to test on */
    wlmi_dataset_close(d);
}

static void flows_without_a_line_stay_with_their_capture(void **state)
{
    wlm_import_options options = wlm_import_options_default();
    wlmi_shard_flow first;
    wlmi_dataset *d;
    (void)state;
    d = test_import(&options, "path,capture,dst_port\none.pcap,monday,80\ntwo.pcap,monday,80\n", NULL);
    assert_int_equal(wlmi_dataset_flows(d), 4);
    wlmi_dataset_flow(d, 0, &first);
    for (uint64_t i = 1; i < 4; i++) {
        wlmi_shard_flow flow;
        wlmi_dataset_flow(d, i, &flow);
        assert_int_equal(flow.group, first.group);
    }
    wlmi_dataset_close(d);
}

static void packets_come_back_as_they_were(void **state)
{
    const char *path = test_path("one.pcap");
    wlm_import_options options = wlm_import_options_default();
    wlmi_dataset *d;
    wlm_capture *capture;
    wlm_packet want, got;
    wlm_error error;
    uint64_t at[2] = {0, 0};
    (void)state;
    options.paths = &path;
    options.path_count = 1;
    d = test_import(&options, NULL, NULL);
    assert_int_equal(wlmi_dataset_flows(d), 2);
    assert_ok(wlm_capture_open(&capture, path, &error), &error);
    while (wlm_capture_next(capture, &want, &error) == WLM_OK) {
        uint64_t flow = want.number > 11;
        assert_ok(wlmi_dataset_packet(d, flow, at[flow]++, &got, &error), &error);
        assert_int_equal(got.time_ns, want.time_ns);
        assert_int_equal(got.number, want.number);
        assert_int_equal(got.captured, want.captured);
        assert_int_equal(got.wire, want.wire);
        assert_int_equal(got.link_type, want.link_type);
        assert_memory_equal(got.data, want.data, want.captured);
    }
    wlm_capture_close(capture);
    for (uint64_t i = 0; i < 2; i++) {
        wlmi_shard_flow flow;
        wlmi_dataset_flow(d, i, &flow);
        assert_int_equal(flow.packets, at[i]);
        assert_int_equal(flow.first_packet, i ? 12 : 1);
        assert_int_equal(flow.start, i ? WLM_START_FIRST : WLM_START_SYN);
        assert_int_equal(flow.end, i ? WLM_END_EOF : WLM_END_CLOSED);
        assert_int_equal(flow.oneway, 0);
        assert_int_equal(flow.key.src_port, i ? 4001 : 4000);
    }
    wlmi_dataset_close(d);
}

static void a_damaged_capture_gives_what_was_readable(void **state)
{
    size_t size;
    uint8_t *data = test_read(test_path("one.pcap"), &size);
    const char *path = test_path("cut.pcap");
    wlm_import_options options = wlm_import_options_default();
    wlm_import_report report;
    (void)state;
    test_write(path, data, size - 3);
    free(data);
    options.paths = &path;
    options.path_count = 1;
    wlmi_dataset_close(test_import(&options, NULL, &report));
    assert_int_equal(report.files_damaged, 1);
    assert_int_equal(report.packets, 12);
}

static wlm_status fails(const char *csv, const char *path, const char *task, const char *cause)
{
    wlm_import_options options = with_task(task);
    wlm_error error = {0};
    wlm_status status;
    options.out = test_path("never");
    if (csv) {
        options.labels = test_path("bad.csv");
        test_write_text(options.labels, csv);
    }
    options.paths = &path;
    options.path_count = path != NULL;
    status = wlm_import(&options, NULL, &error);
    if (!strstr(error.cause, cause))
        fail_msg("'%s' does not hold '%s'", error.cause, cause);
    assert_int_equal(access(options.out, F_OK), -1);
    return status;
}

static void mistakes_have_a_line(void **state)
{
    (void)state;
    assert_int_equal(fails("path\none.pcap\n", NULL, "app", "no column 'label'"), WLM_ERR_FORMAT);
    assert_int_equal(fails("label\nx\n", NULL, "app", "no column 'path'"), WLM_ERR_FORMAT);
    assert_int_equal(fails("", NULL, "app", "empty"), WLM_ERR_FORMAT);
    assert_int_equal(fails("path,label\none.pcap,a\nnone.pcap,b\n", NULL, "app", "line 3: no such capture: 'none.pcap'"),
                     WLM_ERR_FORMAT);
    assert_int_equal(fails("path,label\nnone.pcap,b\n", test_path("tree"), "app", "6 flows without a label"),
                     WLM_ERR_FORMAT);
    assert_int_equal(fails("path,label,dst_port\none.pcap,a,65536\n", NULL, "app", "line 2: bad port '65536'"),
                     WLM_ERR_FORMAT);
    assert_int_equal(fails("path,src_ip,split\none.pcap,10.0.0,test\n", NULL, NULL, "line 2: '10.0.0' is no address"),
                     WLM_ERR_FORMAT);
    assert_int_equal(fails("path,label,proto\none.pcap,a,http\n", NULL, "app", "line 2: bad proto"), WLM_ERR_FORMAT);
    assert_int_equal(fails("path,label,split\none.pcap,a,half\n", NULL, "app", "line 2: split is none of"),
                     WLM_ERR_FORMAT);
    assert_int_equal(fails("path,label,split\none.pcap,a,\n", NULL, "app", "line 2: no split"), WLM_ERR_FORMAT);
    assert_int_equal(fails("path,label\none.pcap\n", NULL, "app", "line 2: 1 fields"), WLM_ERR_FORMAT);
    assert_int_equal(fails("path,label\none.pcap,a\n", test_path("two.pcap"), "app", "no flows to import"), WLM_ERR_FORMAT);
    assert_int_equal(fails(NULL, test_path("labels.csv"), NULL, "no flows to import"), WLM_ERR_FORMAT);
    assert_int_equal(fails(NULL, test_path("nowhere"), NULL, "No such file"), WLM_ERR_IO);
    assert_int_equal(fails(NULL, test_path("one.pcap"), "two words", "a task's name"), WLM_ERR_ARGUMENT);
    assert_int_equal(fails(NULL, NULL, NULL, "nothing to import"), WLM_ERR_ARGUMENT);
}

static void only_an_import_is_replaced(void **state)
{
    const char *path = test_path("one.pcap"), *folder = test_path("precious"), *file = test_path("precious/letter.txt");
    wlm_import_options options = wlm_import_options_default();
    wlm_error error;
    wlmi_dataset *d;
    struct stat st;
    (void)state;
    options.paths = &path;
    options.path_count = 1;
    options.out = folder;
    mkdir(folder, 0777);
    test_write_text(file, "dear");
    assert_int_equal(wlm_import(&options, NULL, &error), WLM_ERR_REFUSED);
    unlink(file);
    assert_ok(wlm_import(&options, NULL, &error), &error);
    path = test_path("tree");
    assert_ok(wlm_import(&options, NULL, &error), &error);
    path = test_path("nowhere");
    assert_int_equal(wlm_import(&options, NULL, &error), WLM_ERR_IO); /* what is there stays */
    assert_ok(wlmi_dataset_open(&d, folder, &error), &error);
    assert_int_equal(wlmi_dataset_flows(d), 6);
    wlmi_dataset_close(d);
    options.out = test_path("one.pcap");
    path = test_path("tree");
    assert_int_equal(wlm_import(&options, NULL, &error), WLM_ERR_REFUSED);
    assert_int_equal(stat(options.out, &st), 0);
}

/* Captures under "many": small ones, some of them cut, some none at all, and a few of which each is several blocks. */
static void make_many_captures(void)
{
    for (int i = 0; i < 60; i++) {
        char name[32];
        snprintf(name, sizeof name, "many/%c/%02d.pcap", 'a' + i % 3, i);
        test_capture_two(name, (uint16_t)(4000 + 10 * i));
        if (i % 7 == 3) {
            size_t size;
            uint8_t *data = test_read(test_path(name), &size);
            test_write(test_path(name), i % 2 ? data : data + 8, i % 2 ? size - 1 - (size_t)i : size - 8);
            free(data);
        }
        if (i % 13 == 6) {
            const test_end client = {"10.0.0.1", (uint16_t)(4000 + i)}, server = {"10.0.0.9", 80};
            test_capture c;
            test_capture_begin(&c, name);
            test_capture_tcp(&c, client, server, 4000);
            for (uint16_t port = 5000; port < 7000; port++)
                test_capture_udp(&c, (test_end){"10.0.0.1", port}, server, 5);
            test_capture_end(&c);
        }
    }
}

static void take_note(void *user, const wlm_progress *progress)
{
    char *text = user;
    size_t at = strlen(text);
    snprintf(text + at, 16384 - at, "%d %s\n", (int)progress->done, progress->note ? progress->note : "");
}

static void an_import_is_the_same_for_any_number_of_threads(void **state)
{
    char *path = (make_many_captures(), strdup(test_path("many"))); /* tests' paths do not last */
    static const int threads[] = {1, 1, 2, 3, 100};
    static const char *const part[] = {"import/packets.data", "import/packets.index", "import/dataset.json"};
    static char notes[2][16384];
    uint8_t *first[3];
    size_t size[3];
    (void)state;
    for (int run = 0; run < 5; run++) {
        wlm_import_options options = with_task("app");
        wlm_import_report report;
        options.paths = (const char *const *)&path;
        options.path_count = 1;
        options.threads = threads[run];
        options.progress = take_note;
        options.user = notes[run > 0];
        notes[1][0] = 0;
        wlmi_dataset_close(test_import(&options, NULL, &report));
        assert_true(report.packets > 100000);
        assert_int_equal(report.files, 56);
        assert_int_equal(report.files_damaged, 4);
        if (run)
            assert_string_equal(notes[0], notes[1]);
        for (int i = 0; i < 3; i++) {
            size_t n;
            uint8_t *data = test_read(test_path(part[i]), &n);
            if (run == 0) {
                first[i] = data;
                size[i] = n;
                continue;
            }
            assert_int_equal(n, size[i]);
            assert_memory_equal(data, first[i], n);
            free(data);
        }
    }
    for (int i = 0; i < 3; i++)
        free(first[i]);
    free(path);
}

/* Whatever the readers are doing then. */
static void an_import_ends_early_with_readers_at_work(void **state)
{
    const char *paths[] = {test_path("many"), test_path("unreadable.pcap")};
    wlm_import_options options = wlm_import_options_default();
    wlm_stop stop = 1;
    wlm_error error;
    (void)state;
    options.paths = paths;
    options.path_count = 1;
    options.out = test_path("stopped");
    options.threads = 3;
    options.stop = &stop;
    assert_int_equal(wlm_import(&options, NULL, &error), WLM_STOPPED);
    assert_int_equal(access(options.out, F_OK), -1);
    options.stop = NULL;
    options.path_count = 2;
    assert_int_equal(symlink("/proc/self/mem", paths[1]), 0); /* there, and not to be read */
    assert_int_equal(wlm_import(&options, NULL, &error), WLM_ERR_IO);
    assert_int_equal(access(options.out, F_OK), -1);
}

static void out_of_memory_leaves_nothing(void **state)
{
    const char *path = test_path("tree");
    wlm_import_options options = with_task("app");
    wlm_error error;
    (void)state;
    options.labels = test_path("memory.csv");
    test_write_text(options.labels, "path,label,dst_port\ntree/web/a.pcap,w,80\ntree/mail/b.pcap,m,\n");
    options.paths = &path;
    options.path_count = 1;
    for (options.threads = 1; options.threads <= 2; options.threads++) {
        wlm_status status = WLM_ERR_MEMORY;
        uint64_t k = 1;
        options.out = test_path(options.threads == 1 ? "tight" : "tight too");
        for (; status != WLM_OK; k++) {
            wlmi_alloc_fail_at(k);
            status = wlm_import(&options, NULL, &error);
            wlmi_alloc_fail_at(0);
            if (status != WLM_OK && status != WLM_ERR_MEMORY)
                fail_msg("allocation %d: %s: %s", (int)k, error.file, error.cause);
            assert_int_equal(access(options.out, F_OK), status == WLM_OK ? 0 : -1);
        }
        assert_true(k > 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_labels_all_flows_of_its_file),
        cmocka_unit_test(a_tuple_labels_its_flow_in_both_directions),
        cmocka_unit_test(folders_are_labels_without_a_csv),
        cmocka_unit_test(without_a_task_all_flows_stay),
        cmocka_unit_test(given_splits_are_honoured),
        cmocka_unit_test(a_flow_that_no_line_names_follows_its_file),
        cmocka_unit_test(a_capture_column_groups_files),
        cmocka_unit_test(flows_without_a_line_stay_with_their_capture),
        cmocka_unit_test(packets_come_back_as_they_were),
        cmocka_unit_test(a_damaged_capture_gives_what_was_readable),
        cmocka_unit_test(mistakes_have_a_line),
        cmocka_unit_test(only_an_import_is_replaced),
        cmocka_unit_test(an_import_is_the_same_for_any_number_of_threads),
        cmocka_unit_test(an_import_ends_early_with_readers_at_work),
        cmocka_unit_test(out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests_name("import", tests, make_captures, NULL);
}
