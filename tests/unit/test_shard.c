/* test_shard.c: an imported folder that is damaged, cut or not one at all is refused, never believed. */
#include "support/captures.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "task/shard_layout.h"

enum { JSON, INDEX, DATA, PARTS };
static const char *const part_name[PARTS] = {WLMI_SHARD_JSON, WLMI_SHARD_INDEX, WLMI_SHARD_DATA};

typedef struct folder {
    uint8_t *data[PARTS];
    size_t size[PARTS];
} folder;

static folder good;

static int make_folder(void **state)
{
    const char *path = test_path("tree");
    wlm_import_options options = wlm_import_options_default();
    (void)state;
    test_capture_two("tree/web/a.pcap", 4000);
    test_capture_two("tree/mail/b.pcap", 5000);
    options.task = "app";
    options.paths = &path;
    options.path_count = 1;
    wlmi_dataset_close(test_import(&options, NULL, NULL));
    for (int i = 0; i < PARTS; i++) {
        char name[64];
        snprintf(name, sizeof name, "import/%s", part_name[i]);
        good.data[i] = test_read(test_path(name), &good.size[i]);
    }
    return 0;
}

static int free_folder(void **state)
{
    (void)state;
    for (int i = 0; i < PARTS; i++)
        free(good.data[i]);
    return 0;
}

static wlm_status open_folder(wlmi_dataset **d, const folder *f, wlm_error *error)
{
    return wlmi_dataset_open_memory(d, "folder", f->data[JSON], f->size[JSON], f->data[INDEX], f->size[INDEX],
                                    f->data[DATA], f->size[DATA], error);
}

/* Reads all there is; the first status that is not WLM_OK. */
static wlm_status read_through(const wlmi_dataset *d, wlm_error *error)
{
    unsigned sum = 0;
    for (uint64_t i = 0; i < wlmi_dataset_flows(d); i++) {
        wlmi_shard_flow flow;
        wlmi_dataset_flow(d, i, &flow);
        for (uint64_t j = 0; j < flow.packets; j++) {
            wlm_packet packet;
            WLMI_TRY(wlmi_dataset_packet(d, i, j, &packet, error));
            for (uint32_t k = 0; k < packet.captured; k++)
                sum += packet.data[k];
        }
    }
    return sum ? WLM_OK : WLM_END;
}

static wlm_status try_folder(const folder *f)
{
    wlmi_dataset *d;
    wlm_error error = {0};
    wlm_status status = open_folder(&d, f, &error);
    if (status == WLM_OK) {
        status = read_through(d, &error);
        wlmi_dataset_close(d);
    } else {
        assert_null(d);
    }
    if (status != WLM_OK) {
        assert_true(error.cause[0] != 0);
        assert_non_null(strstr(error.file, "folder"));
    }
    return status;
}

/* The folder with one part in a block of its own size, so that a read behind it is seen by the sanitizer. */
static folder with_part(int part, const uint8_t *data, size_t size)
{
    folder f = good;
    f.data[part] = malloc(size ? size : 1);
    assert_non_null(f.data[part]);
    memcpy(f.data[part], data, size);
    f.size[part] = size;
    return f;
}

static void the_whole_folder_opens(void **state)
{
    (void)state;
    assert_int_equal(try_folder(&good), WLM_OK);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    for (int part = 0; part < PARTS; part++)
        for (size_t size = 0; size < good.size[part] - 1; size += part == DATA ? 97 : 7) {
            folder f = with_part(part, good.data[part], size);
            assert_int_equal(try_folder(&f), WLM_ERR_FORMAT);
            free(f.data[part]);
        }
}

static void flipped_bits_never_crash(void **state)
{
    size_t refused = 0;
    (void)state;
    for (int part = JSON; part <= INDEX; part++)
        for (size_t at = 0; at < good.size[part]; at++) {
            folder f = with_part(part, good.data[part], good.size[part]);
            f.data[part][at] ^= (uint8_t)(1 << at % 8);
            refused += try_folder(&f) != WLM_OK;
            f.data[part][at] ^= (uint8_t)(1 << at % 8) ^ 0xff;
            refused += try_folder(&f) != WLM_OK;
            free(f.data[part]);
        }
    assert_true(refused > 1000);
}

/* One number of a record replaced. */
static wlm_status with_number(size_t at, uint64_t value, int bytes)
{
    folder f = with_part(INDEX, good.data[INDEX], good.size[INDEX]);
    wlm_status status;
    for (int i = 0; i < bytes; i++)
        f.data[INDEX][at + (size_t)i] = (uint8_t)(value >> 8 * i);
    status = try_folder(&f);
    free(f.data[INDEX]);
    return status;
}

static void numbers_out_of_bounds_are_refused(void **state)
{
    size_t footer = good.size[INDEX] - WLMI_FOOTER_SIZE;
    size_t flow = (size_t)wlmi_load_le64(good.data[INDEX] + footer) * WLMI_PACKET_RECORD;
    static const uint64_t wild[] = {UINT64_MAX, INT64_MAX, UINT64_C(1) << 32, (UINT64_C(1) << 59) + 1};
    (void)state;
    assert_int_equal(with_number(0, 0, 8), WLM_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(with_number(WLMI_PACKET_AT, wild[i], 8), WLM_ERR_FORMAT);
        assert_int_equal(with_number(flow + WLMI_FLOW_FIRST, wild[i], 8), WLM_ERR_FORMAT);
        assert_int_equal(with_number(flow + WLMI_FLOW_PACKETS, wild[i], 8), WLM_ERR_FORMAT);
        assert_int_equal(with_number(footer + WLMI_FOOTER_PACKETS, wild[i], 8), WLM_ERR_FORMAT);
        assert_int_equal(with_number(footer + WLMI_FOOTER_FLOWS, wild[i], 8), WLM_ERR_FORMAT);
        assert_int_equal(with_number(footer + WLMI_FOOTER_DATA, wild[i], 8), WLM_ERR_FORMAT);
    }
    assert_int_equal(with_number(WLMI_PACKET_CAPTURED, UINT32_MAX, 4), WLM_ERR_FORMAT);
    assert_int_equal(with_number(flow + WLMI_FLOW_LABEL, 2, 4), WLM_ERR_FORMAT);
    assert_int_equal(with_number(flow + WLMI_FLOW_LABEL, WLMI_NO_LABEL, 4), WLM_OK);
    assert_int_equal(with_number(flow + WLMI_FLOW_FILE, 2, 4), WLM_ERR_FORMAT);
    assert_int_equal(with_number(flow + WLMI_FLOW_GROUP, 2, 4), WLM_ERR_FORMAT);
    assert_int_equal(with_number(flow + WLMI_FLOW_ADDR_LEN, 17, 1), WLM_ERR_FORMAT);
    assert_int_equal(with_number(flow + WLMI_FLOW_PART, 4, 1), WLM_ERR_FORMAT);
    assert_int_equal(with_number(flow + WLMI_FLOW_START, 4, 1), WLM_ERR_FORMAT);
    assert_int_equal(with_number(flow + WLMI_FLOW_END, 5, 1), WLM_ERR_FORMAT);
    assert_int_equal(with_number(footer + WLMI_FOOTER_VERSION, 2, 4), WLM_ERR_FORMAT);
}

static void descriptions_that_lie_are_refused(void **state)
{
    static const char *const text[] = {
        "",
        "{}",
        "[1]",
        "{\"version\":1}",
        "{\"version\":1,\"task\":7,\"labels\":[],\"files\":[],\"groups\":[]}",
        "{\"version\":1,\"task\":\"app\",\"labels\":[],\"files\":[],\"groups\":[]}",
        "{\"version\":1,\"task\":\"app\",\"labels\":[1,2],\"files\":[\"a\",\"b\"],\"groups\":[\"a\",\"b\"]}",
        "{\"version\":1,\"task\":\"app\",\"labels\":{},\"files\":[\"a\",\"b\"],\"groups\":[\"a\",\"b\"]}",
    };
    static const char newer[] = "{\"version\":2}";
    folder f;
    (void)state;
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        f = with_part(JSON, (const uint8_t *)text[i], strlen(text[i]));
        assert_int_equal(try_folder(&f), WLM_ERR_FORMAT);
        free(f.data[JSON]);
    }
    f = with_part(JSON, (const uint8_t *)newer, strlen(newer));
    assert_int_equal(try_folder(&f), WLM_ERR_UNSUPPORTED);
    free(f.data[JSON]);
}

static void a_missing_folder_is_named(void **state)
{
    wlmi_dataset *d;
    wlm_error error;
    (void)state;
    assert_int_equal(wlmi_dataset_open(&d, test_path("nowhere"), &error), WLM_ERR_IO);
    assert_non_null(strstr(error.file, "nowhere"));
    assert_null(d);
    assert_false(wlmi_dataset_is(test_path("nowhere")));
    assert_true(wlmi_dataset_is(test_path("import")));
}

static void it_describes_itself(void **state)
{
    char *json;
    wlm_error error;
    (void)state;
    assert_ok(wlm_info_file(test_path("import"), &json, &error), &error);
    assert_non_null(strstr(json, "\"task\":\"app\""));
    assert_non_null(strstr(json, "\"flows\":4"));
    assert_non_null(strstr(json, "\"mail\":{\"train\":"));
    wlm_text_free(json);
}

static void out_of_memory_is_a_status(void **state)
{
    wlmi_dataset *d;
    wlm_error error;
    wlm_status status;
    uint64_t k = 1;
    (void)state;
    do {
        wlmi_alloc_fail_at(k++);
        status = wlmi_dataset_open(&d, test_path("import"), &error);
        wlmi_alloc_fail_at(0);
        if (status != WLM_OK)
            assert_int_equal(status, WLM_ERR_MEMORY);
    } while (status != WLM_OK);
    wlmi_dataset_close(d);
    assert_true(k > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_folder_opens),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(flipped_bits_never_crash),
        cmocka_unit_test(numbers_out_of_bounds_are_refused),
        cmocka_unit_test(descriptions_that_lie_are_refused),
        cmocka_unit_test(a_missing_folder_is_named),
        cmocka_unit_test(it_describes_itself),
        cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests_name("shard", tests, make_folder, free_folder);
}
