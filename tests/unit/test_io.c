/* test_io.c: streams that decompress, files that appear whole or not at all, folders walked. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/rng.h"

enum { SIZE = 400000 };

static uint8_t *sample(void)
{
    static uint8_t bytes[SIZE];
    wlmi_rng rng;
    wlmi_rng_seed(&rng, 3);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = i % 5 ? (uint8_t)(wlmi_rng_next(&rng) & 15) : (uint8_t)i;
    return bytes;
}

static void write_output(const char *path, const uint8_t *data, size_t size)
{
    wlmi_output *output;
    wlm_error error;
    assert_ok(wlmi_output_open(&output, path, &error), &error);
    for (size_t at = 0, step = 1; at < size; at += step, step = step * 3 + 1) {
        if (step > size - at)
            step = size - at;
        assert_ok(wlmi_output_write(output, data + at, step, &error), &error);
    }
    assert_int_equal(wlmi_output_offset(output), size);
    assert_ok(wlmi_output_finish(output, &error), &error);
}

/* Reads all with odd sizes; *status is how it ended. */
static size_t read_all(wlmi_input *input, uint8_t *out, size_t room, wlm_status *status, wlm_error *error)
{
    size_t at = 0, got = 1;
    *status = WLM_OK;
    for (size_t step = 1; got && *status == WLM_OK; step = step * 2 + 1) {
        *status = wlmi_input_read(input, out + at, step < room - at ? step : room - at, &got, error);
        at += got;
        assert_int_equal(wlmi_input_offset(input), at);
    }
    return at;
}

static void what_is_written_is_read(void **state)
{
    static const char *const names[] = {"plain", "file.gz", "file.zst"};
    static uint8_t back[SIZE + 1];
    static const size_t sizes[] = {0, 1, 3, 4, 131072, SIZE};
    (void)state;
    for (size_t n = 0; n < 3; n++)
        for (size_t s = 0; s < 6; s++) {
            const char *path = test_path(names[n]);
            wlmi_input *input;
            wlm_status status;
            wlm_error error;
            uint8_t *stored;
            size_t stored_size;
            write_output(path, sample(), sizes[s]);
            assert_ok(wlmi_input_open(&input, path, &error), &error);
            assert_int_equal(read_all(input, back, sizeof back, &status, &error), sizes[s]);
            assert_int_equal(status, WLM_OK);
            assert_memory_equal(back, sample(), sizes[s]);
            wlmi_input_close(input);
            stored = test_read(path, &stored_size); /* the same from memory */
            assert_ok(wlmi_input_open_memory(&input, stored, stored_size, "memory", &error), &error);
            assert_int_equal(read_all(input, back, sizeof back, &status, &error), sizes[s]);
            assert_memory_equal(back, sample(), sizes[s]);
            wlmi_input_close(input);
            if (sizes[s] == SIZE && n > 0)
                assert_true(stored_size < SIZE);
            free(stored);
        }
}

static void members_follow_each_other(void **state)
{
    static const char *const names[] = {"m.gz", "m.zst"};
    (void)state;
    for (size_t n = 0; n < 2; n++) {
        static uint8_t back[3 * SIZE];
        size_t size;
        wlmi_input *input;
        wlm_status status;
        wlm_error error;
        uint8_t *one, *two;
        write_output(test_path(names[n]), sample(), SIZE);
        one = test_read(test_path(names[n]), &size);
        two = malloc(2 * size);
        assert_non_null(two);
        memcpy(two, one, size);
        memcpy(two + size, one, size);
        assert_ok(wlmi_input_open_memory(&input, two, 2 * size, "two", &error), &error);
        assert_int_equal(read_all(input, back, sizeof back, &status, &error), 2 * SIZE);
        assert_int_equal(status, WLM_OK);
        assert_memory_equal(back + SIZE, sample(), SIZE);
        wlmi_input_close(input);
        free(one);
        free(two);
    }
}

static void a_damaged_stream_gives_what_it_had(void **state)
{
    static const char *const names[] = {"d.gz", "d.zst"};
    (void)state;
    for (size_t n = 0; n < 2; n++)
        for (int corrupt = 0; corrupt < 2; corrupt++) {
            static uint8_t back[4 * SIZE];
            size_t size, got;
            wlmi_input *input;
            wlm_status status;
            wlm_error error;
            uint8_t *bytes;
            write_output(test_path(names[n]), sample(), SIZE);
            bytes = test_read(test_path(names[n]), &size);
            if (corrupt)
                memset(bytes + size * 9 / 10, 0xff, 20);
            assert_ok(wlmi_input_open_memory(&input, bytes, corrupt ? size : size * 9 / 10, "bad", &error), &error);
            got = read_all(input, back, sizeof back, &status, &error);
            assert_true(got >= SIZE / 4);
            assert_memory_equal(back, sample(), corrupt ? SIZE / 4 : got); /* deflate itself may miss corruption */
            assert_int_equal(status, WLM_ERR_FORMAT);
            assert_int_equal(error.offset, got);
            assert_string_equal(error.file, "bad");
            assert_int_equal(wlmi_input_read(input, back, 1, &got, &error), WLM_ERR_FORMAT);
            wlmi_input_close(input);
            free(bytes);
        }
}

static int exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static wlm_status count_file(void *user, const char *path, wlm_error *error)
{
    (void)error;
    (void)path;
    ++*(int *)user;
    return WLM_OK;
}

static void an_output_appears_only_when_finished(void **state)
{
    const char *folder = test_path("outputs"), *path = test_path("outputs/file");
    wlmi_output *output;
    wlm_error error;
    size_t size;
    int files = 0;
    uint8_t *back;
    (void)state;
    assert_int_equal(mkdir(folder, 0777), 0);
    assert_ok(wlmi_output_open(&output, path, &error), &error);
    assert_ok(wlmi_output_write(output, "new", 3, &error), &error);
    assert_false(exists(path));
    wlmi_output_discard(output);
    assert_ok(wlmi_walk(folder, count_file, &files, &error), &error);
    assert_int_equal(files, 0);
    test_write(path, "old", 3);
    assert_ok(wlmi_output_open(&output, path, &error), &error);
    assert_ok(wlmi_output_write(output, "newer", 5, &error), &error);
    back = test_read(path, &size);
    assert_int_equal(size, 3);
    free(back);
    assert_ok(wlmi_output_finish(output, &error), &error);
    back = test_read(path, &size);
    assert_int_equal(size, 5);
    assert_memory_equal(back, "newer", 5);
    free(back);
    assert_ok(wlmi_walk(folder, count_file, &files, &error), &error);
    assert_int_equal(files, 1);
    assert_int_equal(wlmi_output_open(&output, test_path("no/such/folder"), &error), WLM_ERR_IO);
}

static void devices_and_links_stay_what_they_are(void **state)
{
    const char *target = test_path("target"), *link = test_path("link");
    struct stat st;
    size_t size;
    uint8_t *back;
    (void)state;
    write_output("/dev/null", sample(), 100);
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    test_write(target, "x", 1);
    assert_int_equal(symlink(target, link), 0);
    write_output(link, sample(), 50);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    back = test_read(target, &size);
    assert_int_equal(size, 50);
    free(back);
}

typedef struct visit {
    char seen[512];
    int stop_after;
} visit;

static wlm_status note(void *user, const char *path, wlm_error *error)
{
    visit *v = user;
    strcat(v->seen, strrchr(path, '/') + 1);
    strcat(v->seen, " ");
    return --v->stop_after == 0 ? wlmi_fail(error, WLM_ERR_REFUSED, path, WLM_NO_OFFSET, "enough") : WLM_OK;
}

static void folders_are_walked_in_order(void **state)
{
    char root[512];
    visit all = {"", 0}, some = {"", 2}, one = {"", 0};
    wlm_error error;
    (void)state;
    snprintf(root, sizeof root, "%s", test_path("walk"));
    assert_int_equal(mkdir(root, 0777), 0);
    assert_int_equal(mkdir(test_path("walk/b"), 0777), 0);
    assert_int_equal(mkdir(test_path("walk/empty"), 0777), 0);
    test_write(test_path("walk/c"), "", 0);
    test_write(test_path("walk/B"), "", 0);
    test_write(test_path("walk/b/2"), "", 0);
    test_write(test_path("walk/b/10"), "", 0);
    test_write(test_path("walk/.hidden"), "", 0);
    assert_int_equal(symlink(root, test_path("walk/b/round")), 0); /* must not lead round in circles */
    assert_ok(wlm_walk(root, note, &all, &error), &error);
    assert_string_equal(all.seen, "B 10 2 c ");
    assert_int_equal(wlm_walk(root, note, &some, &error), WLM_ERR_REFUSED);
    assert_string_equal(some.seen, "B 10 ");
    assert_ok(wlm_walk(test_path("walk/c"), note, &one, &error), &error);
    assert_string_equal(one.seen, "c ");
}

static void maps_hold_files(void **state)
{
    wlmi_map map;
    wlm_error error;
    (void)state;
    test_write(test_path("map"), "hello", 5);
    assert_ok(wlmi_map_open(&map, test_path("map"), &error), &error);
    assert_int_equal(map.size, 5);
    assert_memory_equal(map.data, "hello", 5);
    wlmi_map_close(&map);
    test_write(test_path("map"), "", 0);
    assert_ok(wlmi_map_open(&map, test_path("map"), &error), &error);
    assert_int_equal(map.size, 0);
    wlmi_map_close(&map);
    assert_int_equal(wlmi_map_open(&map, test_path("nowhere"), &error), WLM_ERR_IO);
    assert_int_equal(wlmi_map_open(&map, test_folder(), &error), WLM_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(members_follow_each_other),
        cmocka_unit_test(a_damaged_stream_gives_what_it_had),
        cmocka_unit_test(an_output_appears_only_when_finished),
        cmocka_unit_test(devices_and_links_stay_what_they_are),
        cmocka_unit_test(folders_are_walked_in_order),
        cmocka_unit_test(maps_hold_files),
    };
    return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
