/* test_filter.c: BPF filters over several link types, and what is refused. */
#include "support/packets.h"
#include "support/support.h"

#include <string.h>

static const test_end client = {"192.0.2.7", 40000}, server = {"198.51.100.9", 443};

static wlm_filter *filter_of(const char *expression)
{
    wlm_filter *filter;
    wlm_error error;
    assert_ok(wlm_filter_new(&filter, expression, &error), &error);
    return filter;
}

static int passes(const char *expression, const test_packet *p, uint32_t link_type)
{
    wlm_filter *filter = filter_of(expression);
    wlm_packet view = test_view(p, link_type, 0);
    int match = wlm_filter_match(filter, &view);
    assert_int_equal(wlm_filter_match(filter, &view), match);
    wlm_filter_free(filter);
    return match;
}

static void one_filter_serves_every_link_type(void **state)
{
    static const uint8_t cooked[16] = {[3] = 1, [5] = 6, [14] = 8, 0}, cooked2[20] = {8, 0, [9] = 1, [11] = 6};
    static const uint8_t loop[4] = {2, 0, 0, 0};
    test_packet ip = test_tcp(client, server, WLMI_TCP_ACK, "x", 1), all[4];
    static const uint32_t links[] = {WLMI_LINK_ETHERNET, WLMI_LINK_SLL, WLMI_LINK_SLL2, WLMI_LINK_NULL};
    wlm_filter *yes = filter_of("tcp port 443 and host 192.0.2.7"), *no = filter_of("udp or net 10.0.0.0/8");
    (void)state;
    all[0] = test_ethernet(&ip);
    all[1] = test_behind(cooked, sizeof cooked, &ip);
    all[2] = test_behind(cooked2, sizeof cooked2, &ip);
    all[3] = test_behind(loop, sizeof loop, &ip);
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < 4; i++) {
            wlm_packet view = test_view(&all[i], links[i], 0);
            assert_int_equal(wlm_filter_match(yes, &view), 1);
            assert_int_equal(wlm_filter_match(no, &view), 0);
            view.link_type |= 0x24000000;
            assert_int_equal(wlm_filter_match(yes, &view), 1);
        }
    wlm_packet raw = test_view(&ip, WLMI_LINK_RAW, 0);
    assert_int_equal(wlm_filter_match(yes, &raw), 1);
    raw.link_type = WLMI_LINK_RAW_BSD;
    assert_int_equal(wlm_filter_match(yes, &raw), 1);
    raw.captured = 10; /* cut before what the filter looks at */
    assert_int_equal(wlm_filter_match(yes, &raw), 0);
    raw.captured = 0;
    assert_int_equal(wlm_filter_match(yes, &raw), 0);
    wlm_filter_free(yes);
    wlm_filter_free(no);
}

static void what_makes_no_sense_for_a_link_type_does_not_pass(void **state)
{
    test_packet ip = test_tcp(client, server, WLMI_TCP_ACK, "x", 1), framed = test_ethernet(&ip);
    (void)state;
    assert_int_equal(passes("ether host 00:00:5e:00:53:01", &framed, WLMI_LINK_ETHERNET), 1);
    assert_int_equal(passes("ether host 00:00:5e:00:53:01", &ip, WLMI_LINK_RAW), 0);
    assert_int_equal(passes("tcp", &ip, 9999), 0);
    assert_int_equal(passes("", &framed, WLMI_LINK_ETHERNET), 1);
    assert_int_equal(passes("type mgt", &framed, WLMI_LINK_ETHERNET), 0); /* for 802.11 alone */
}

static void nonsense_is_refused_with_a_reason(void **state)
{
    wlm_filter *filter = (wlm_filter *)1;
    wlm_error error;
    (void)state;
    assert_int_equal(wlm_filter_new(&filter, "port and and", &error), WLM_ERR_ARGUMENT);
    assert_null(filter);
    assert_non_null(strstr(error.cause, "port and and"));
    assert_non_null(strstr(error.cause, "syntax error"));
    assert_int_equal(wlm_filter_new(&filter, "portt 80", NULL), WLM_ERR_ARGUMENT);
    wlm_filter_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_filter_serves_every_link_type),
        cmocka_unit_test(what_makes_no_sense_for_a_link_type_does_not_pass),
        cmocka_unit_test(nonsense_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
