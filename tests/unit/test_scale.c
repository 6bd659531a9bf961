/* test_scale.c: sizes under gzip, zstd and xz are those that the libraries give for the whole file at once, and the
 * programs. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/rng.h"
#include "base/scale.h"

enum { LONG = 1300000 }; /* more than is read at a time */

static uint8_t *bytes_of(size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    wlmi_rng rng;
    assert_non_null(bytes);
    wlmi_rng_seed(&rng, 4);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(wlmi_rng_below(&rng, 6) ? i / 7 : wlmi_rng_next(&rng));
    return bytes;
}

static uint64_t gzip_at_once(uint8_t *data, size_t size)
{
    z_stream z = {.next_in = data, .avail_in = (uInt)size};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    uint8_t *out = malloc(deflateBound(&z, size) + 100);
    z.next_out = out;
    z.avail_out = (uInt)deflateBound(&z, size) + 100;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    uint64_t bytes = z.total_out;
    deflateEnd(&z);
    free(out);
    return bytes;
}

static uint64_t zstd_at_once(const uint8_t *data, size_t size)
{
    size_t room = ZSTD_compressBound(size);
    void *out = malloc(room);
    size_t bytes = ZSTD_compress(out, room, data, size, 19);
    assert_false(ZSTD_isError(bytes));
    free(out);
    return bytes;
}

static void sizes_are_those_of_the_whole_file(void **state)
{
    static const size_t sizes[] = {0, 1, 5000, LONG};
    wlmi_scale *scale;
    wlm_error error;
    (void)state;
    assert_ok(wlmi_scale_new(&scale, &error), &error);
    for (int i = 0; i < 4; i++) {
        uint8_t *bytes = bytes_of(sizes[i]);
        wlmi_sizes got = {0}, packed = {0};
        wlmi_output *output;
        test_write(test_path("plain"), bytes, sizes[i]);
        assert_ok(wlmi_scale_add(scale, test_path("plain"), &got, &error), &error);
        assert_int_equal(got.plain, sizes[i]);
        assert_int_equal(got.gzip, gzip_at_once(bytes, sizes[i]));
        uint64_t zstd = zstd_at_once(bytes, sizes[i]);
        assert_in_range(got.zstd, zstd - zstd / 50 - 1, zstd + zstd / 50 + 4); /* read in parts, its size is not told */
        assert_ok(wlmi_output_open(&output, test_path("packed.zst"), &error), &error);
        assert_ok(wlmi_output_write(output, bytes, sizes[i], &error), &error);
        assert_ok(wlmi_output_finish(output, &error), &error);
        assert_ok(wlmi_scale_add(scale, test_path("packed.zst"), &packed, &error), &error);
        assert_memory_equal(&packed, &got, sizeof got);
        free(bytes);
    }
    wlmi_sizes none = {0};
    assert_int_equal(wlmi_scale_add(scale, test_path("no such file"), &none, &error), WLM_ERR_IO);
    wlmi_scale_free(scale);
}

/* Bytes that a program makes of a file, or 0 where it is not there. */
static uint64_t size_under(const char *program, const char *path)
{
    char command[700];
    unsigned long long bytes = 0;
    FILE *pipe;
    snprintf(command, sizeof command, "%s <'%s' 2>/dev/null | wc -c", program, path);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%llu", &bytes), 1);
    pclose(pipe);
    return bytes;
}

static void bytes_in_memory_take_what_the_programs_make_of_them(void **state)
{
    static const size_t sizes[] = {0, 100, 5000, 30000, LONG};
    wlmi_scale *scale;
    wlmi_rng rng;
    wlm_error error;
    (void)state;
    wlmi_rng_seed(&rng, 5);
    assert_ok(wlmi_scale_new(&scale, &error), &error);
    for (int i = 0; i < 5; i++) {
        uint8_t *bytes = bytes_of(sizes[i]);
        for (size_t j = 0; sizes[i] == LONG && j < LONG; j++) /* where nothing repeats, xz is quick */
            bytes[j] = (uint8_t)wlmi_rng_next(&rng);
        wlmi_sizes got = {0};
        uint64_t xz, zstd, alone = 0;
        const char *path = test_path("plain");
        test_write(path, bytes, sizes[i]);
        assert_ok(wlmi_scale_bytes(scale, bytes, sizes[i], &got, &error), &error);
        assert_ok(wlmi_scale_zstd(scale, bytes, sizes[i], &alone, &error), &error);
        assert_int_equal(got.plain, sizes[i]);
        assert_int_equal(got.gzip, gzip_at_once(bytes, sizes[i]));
        assert_int_equal(got.zstd, alone);
        zstd = zstd_at_once(bytes, sizes[i]) + 4; /* a checksum, as the program writes it */
        assert_int_equal(got.zstd, zstd);
        xz = size_under("xz -9e", path); /* from a pipe it does not know the file's size, and writes none */
        if (xz)
            assert_in_range(got.xz, xz - xz / 200 - 4, xz + xz / 200 + 4);
        free(bytes);
    }
    wlmi_scale_free(scale);
}

static void memory_that_fails_is_a_status(void **state)
{
    (void)state;
    for (uint64_t k = 1;; k++) {
        wlmi_scale *scale;
        wlm_error error;
        wlmi_alloc_fail_at(k);
        wlm_status status = wlmi_scale_new(&scale, &error);
        wlmi_alloc_fail_at(0);
        wlmi_scale_free(scale);
        if (status == WLM_OK)
            break;
        assert_int_equal(status, WLM_ERR_MEMORY);
        assert_true(k < 50);
    }
    for (uint64_t k = 1;; k++) {
        wlmi_sizes sizes = {0};
        wlmi_scale *scale;
        wlm_error error;
        assert_ok(wlmi_scale_new(&scale, &error), &error);
        wlmi_alloc_fail_at(k);
        wlm_status status = wlmi_scale_bytes(scale, (const uint8_t *)"text", 4, &sizes, &error);
        wlmi_alloc_fail_at(0);
        wlmi_scale_free(scale);
        if (status == WLM_OK)
            break;
        assert_int_equal(status, WLM_ERR_MEMORY);
        assert_true(k < 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_those_of_the_whole_file),
        cmocka_unit_test(bytes_in_memory_take_what_the_programs_make_of_them),
        cmocka_unit_test(memory_that_fails_is_a_status),
    };
    return cmocka_run_group_tests_name("scale", tests, NULL, NULL);
}
