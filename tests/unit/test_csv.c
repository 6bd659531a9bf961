/* test_csv.c: comma-separated values. */
#include "support/captures.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "task/csv.h"

/* All rows as text: fields between | and rows ended by $, with their line numbers; or the cause of failure. */
static const char *read_back(const char *text)
{
    static char out[512];
    wlmi_csv csv;
    static wlm_error error;
    wlm_status status;
    out[0] = 0;
    test_write_text(test_path("t.csv"), text);
    assert_ok(wlmi_csv_open(&csv, test_path("t.csv"), &error), &error);
    while ((status = wlmi_csv_row(&csv, &error)) == WLM_OK) {
        sprintf(out + strlen(out), "%d:", (int)csv.line);
        for (size_t i = 0; i < csv.fields; i++)
            sprintf(out + strlen(out), "%s|", csv.field[i]);
        strcat(out, "$");
    }
    wlmi_csv_close(&csv);
    return status == WLM_END ? out : error.cause;
}

static void rows_and_fields(void **state)
{
    (void)state;
    assert_string_equal(read_back("a,b\n1,2\n"), "1:a|b|$2:1|2|$");
    assert_string_equal(read_back("a,b\r\n1,2\r\n"), "1:a|b|$2:1|2|$");
    assert_string_equal(read_back("a,b\n1,2"), "1:a|b|$2:1|2|$");
    assert_string_equal(read_back("a,,\n,,c\n"), "1:a|||$2:||c|$");
    assert_string_equal(read_back(""), "");
    assert_string_equal(read_back("\n\n\na\n\n"), "4:a|$");
    assert_string_equal(read_back("\xef\xbb\xbfpath\n"), "1:path|$");
    assert_string_equal(read_back("a,"), "1:a||$");
}

static void quotes(void **state)
{
    (void)state;
    assert_string_equal(read_back("\"a,b\",c\n"), "1:a,b|c|$");
    assert_string_equal(read_back("\"say \"\"hi\"\"\",c\n"), "1:say \"hi\"|c|$");
    assert_string_equal(read_back("\"two\nlines\",c\nd,e\n"), "1:two\nlines|c|$3:d|e|$");
    assert_string_equal(read_back("\"\",\"\"\r\nx,y"), "1:||$2:x|y|$");
    assert_string_equal(read_back("a\"b,c\n"), "1:a\"b|c|$");
    assert_string_equal(read_back("a\n\"b"), "line 2: a quote is never closed");
    assert_string_equal(read_back("\"a\"b\n"), "line 1: text behind a closing quote");
}

static void not_text(void **state)
{
    wlmi_csv csv;
    wlm_error error;
    (void)state;
    test_write(test_path("nul.csv"), "a,b\0c\n", 6);
    assert_int_equal(wlmi_csv_open(&csv, test_path("nul.csv"), &error), WLM_ERR_FORMAT);
    assert_int_equal(error.offset, 3);
    assert_int_equal(wlmi_csv_open(&csv, test_path("absent.csv"), &error), WLM_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_fields),
        cmocka_unit_test(quotes),
        cmocka_unit_test(not_text),
    };
    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
