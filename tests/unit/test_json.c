/* test_json.c: reports are JSON whatever names and figures come in. */
#include "support/support.h"

#include <math.h>

#include "task/json.h"

static void a_figure_that_is_none_is_null(void **state)
{
    const double none[] = {NAN, INFINITY, -INFINITY};
    json_t *value = wlmi_json_real(.5);
    (void)state;
    assert_true(json_real_value(value) == .5);
    json_decref(value);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        value = wlmi_json_real(none[i]);
        assert_true(json_is_null(value));
        json_decref(value);
    }
    value = wlmi_json_text(NULL);
    assert_true(json_is_null(value));
    json_decref(value);
}

static void bytes_become_text(void **state)
{
    static const char *const names[][2] = {
        {"a.pcap", "a.pcap"}, {"\xc3\xa4\"\n", "\xc3\xa4\"\n"}, {"a\xff\xc3.pcap", "a??.pcap"}};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *value = wlmi_json_text(names[i][0]);
        assert_string_equal(json_string_value(value), names[i][1]);
        json_decref(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_figure_that_is_none_is_null),
        cmocka_unit_test(bytes_become_text),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
