/* test_alter.c: alterations that leave packets out, cut them or move them in time; and what all of them hold to: the
 * seed decides, hostile packets pass, failures leak nothing. */
#include "support/altered.h"
#include "support/hostile.h"
#include "support/support.h"

#include <string.h>

#include "base/alloc.h"
#include "capture/flow_key.h"

static const test_end client = {"10.11.12.13", 40123}, server = {"172.16.99.88", 443};

/* ---------------------------------------------------------------- each for itself */

static void every_name_finds_its_alteration(void **state)
{
    (void)state;
    size_t i = 0;
    for (; wlm_alteration_name(i); i++)
        assert_int_equal(wlmi_alter_find(wlm_alteration_name(i)), i);
    assert_int_equal(i, WLMI_ALTERATIONS);
    assert_int_equal(wlmi_alter_find("nat"), WLMI_ALTER_NAT);
    assert_int_equal(wlmi_alter_find("NAT"), -1);
    assert_int_equal(wlmi_alter_find(""), -1);
}

static void oneway_keeps_one_direction(void **state)
{
    (void)state;
    test_altered f = test_altered_talk(client, server, 8);
    size_t seen[2] = {0, 0};
    for (uint64_t seed = 0; seed < 20; seed++) {
        test_alter(&f, WLMI_ALTER_ONEWAY, seed);
        assert_true(f.out.count > 0 && f.out.count < f.in.count && test_altered_subset(&f));
        wlm_packet first = wlmi_packet_list_at(&f.out, 0);
        wlmi_headers h = test_altered_headers(&first);
        int back = wlmi_flow_key_is_backward(&f.key, first.data, &h);
        seen[back] = f.out.count;
        for (size_t i = 0; i < f.out.count; i++) {
            wlm_packet p = wlmi_packet_list_at(&f.out, i);
            wlmi_headers g = test_altered_headers(&p);
            assert_int_equal(wlmi_flow_key_is_backward(&f.key, p.data, &g), back);
        }
    }
    assert_int_equal(seen[0] + seen[1], f.in.count); /* both were drawn */
    test_altered_end(&f);
}

static void midstream_takes_one_to_eight_from_the_front(void **state)
{
    (void)state;
    test_altered f = test_altered_talk(client, server, 20);
    int drawn[9] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        test_alter(&f, WLMI_ALTER_MIDSTREAM, seed);
        size_t gone = f.in.count - f.out.count;
        wlm_packet last = wlmi_packet_list_at(&f.out, f.out.count - 1);
        assert_in_range(gone, 1, 8);
        drawn[gone]++;
        assert_int_equal(last.number, f.in.count);
        assert_int_equal(f.out.packet[0].number, gone + 1);
        assert_true(test_altered_subset(&f));
    }
    for (int k = 1; k <= 8; k++)
        assert_true(drawn[k] > 0);
    test_altered_end(&f);
}

static void one_packet_stays_whatever_happens(void **state)
{
    (void)state;
    test_altered f = test_altered_begin();
    test_packet p = test_udp(client, server, "ab", 2);
    test_altered_add(&f, &p, 7);
    for (int kind = 0; kind < WLMI_ALTERATIONS; kind++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            test_alter(&f, (wlmi_alteration)kind, seed);
            assert_int_equal(f.out.count, 1);
            assert_int_equal(f.out.packet[0].time_ns, 7);
        }
    test_altered_end(&f);
}

static void snap_cuts_what_was_captured_and_not_what_was_sent(void **state)
{
    (void)state;
    static const wlmi_alteration kind[] = {WLMI_ALTER_SNAP96, WLMI_ALTER_SNAP128};
    test_altered f = test_altered_talk(client, server, 4);
    for (int k = 0; k < 2; k++) {
        test_alter(&f, kind[k], 1);
        assert_int_equal(f.out.count, f.in.count);
        for (size_t i = 0; i < f.out.count; i++) {
            wlm_packet was = wlmi_packet_list_at(&f.in, i), is = wlmi_packet_list_at(&f.out, i);
            uint32_t length = k ? 128 : 96;
            assert_int_equal(is.captured, was.captured < length ? was.captured : length);
            assert_int_equal(is.wire, was.wire);
            assert_memory_equal(is.data, was.data, is.captured);
        }
    }
    test_altered_end(&f);
}

static void sampling_and_loss_keep_their_shares(void **state)
{
    (void)state;
    test_altered f = test_altered_talk(client, server, 400);
    double kept[2] = {0, 0};
    for (uint64_t seed = 0; seed < 40; seed++)
        for (int k = 0; k < 2; k++) {
            test_alter(&f, k ? WLMI_ALTER_LOSS1 : WLMI_ALTER_SAMPLE10, seed);
            assert_true(test_altered_subset(&f));
            kept[k] += (double)f.out.count / (double)f.in.count / 40;
        }
    assert_true(kept[0] > 0.09 && kept[0] < 0.11);
    assert_true(kept[1] > 0.985 && kept[1] < 0.995);
    test_altered_end(&f);
}

static void reorder_swaps_neighbours_and_leaves_times_in_place(void **state)
{
    (void)state;
    test_altered f = test_altered_talk(client, server, 100);
    size_t swaps = 0;
    test_alter(&f, WLMI_ALTER_REORDER, 3);
    assert_int_equal(f.out.count, f.in.count);
    test_altered_sound(&f.out);
    for (size_t i = 0; i < f.out.count; i++) {
        uint64_t from = f.out.packet[i].number - 1;
        assert_int_equal(f.out.packet[i].time_ns, f.in.packet[i].time_ns);
        assert_true(from == i || from == i + 1 || from + 1 == i);
        if (from == i + 1) {
            assert_int_equal(f.out.packet[i + 1].number, i + 1);
            swaps++;
        }
    }
    assert_in_range(swaps, 3, 25);
    test_altered_end(&f);
}

static void jitter_changes_gaps_and_nothing_else(void **state)
{
    (void)state;
    test_altered f = test_altered_talk(client, server, 100);
    size_t longer = 0;
    test_alter(&f, WLMI_ALTER_JITTER, 3);
    assert_int_equal(f.out.count, f.in.count);
    test_altered_sound(&f.out);
    assert_int_equal(f.out.packet[0].time_ns, f.in.packet[0].time_ns);
    for (size_t i = 1; i < f.out.count; i++) {
        wlm_packet was = wlmi_packet_list_at(&f.in, i), is = wlmi_packet_list_at(&f.out, i);
        double before = (double)(was.time_ns - f.in.packet[i - 1].time_ns);
        double factor = (double)(is.time_ns - f.out.packet[i - 1].time_ns) / before;
        assert_true(factor > 0.05 && factor < 20);
        longer += factor > 1;
        assert_memory_equal(is.data, was.data, was.captured);
    }
    assert_in_range(longer, f.in.count / 4, 3 * f.in.count / 4);
    test_altered_end(&f);
}

static void jitter_survives_times_at_their_limits(void **state)
{
    (void)state;
    static const int64_t time[] = {INT64_MIN, -5, INT64_MAX - 1, INT64_MIN, 0, INT64_MAX};
    test_altered f = test_altered_begin();
    test_packet p = test_udp(client, server, "ab", 2);
    for (size_t i = 0; i < sizeof time / sizeof *time; i++)
        test_altered_add(&f, &p, time[i]);
    for (uint64_t seed = 0; seed < 50; seed++) {
        test_alter(&f, WLMI_ALTER_JITTER, seed);
        for (size_t i = 1; i < f.out.count; i++)
            assert_true(f.out.packet[i].time_ns >= f.out.packet[i - 1].time_ns);
    }
    test_altered_end(&f);
}

/* ---------------------------------------------------------------- all of them */

static void the_seed_decides(void **state)
{
    (void)state;
    test_altered f = test_altered_talk(client, server, 40), g = test_altered_talk(client, server, 40);
    for (int kind = 0; kind < WLMI_ALTERATIONS; kind++) {
        wlm_flow_key a = test_alter(&f, (wlmi_alteration)kind, 11), b = test_alter(&g, (wlmi_alteration)kind, 11);
        assert_memory_equal(&a, &b, sizeof a);
        assert_true(test_altered_same(&f.out, &g.out));
    }
    test_alter(&f, WLMI_ALTER_NAT, 1);
    test_alter(&g, WLMI_ALTER_NAT, 2);
    assert_false(test_altered_same(&f.out, &g.out));
    test_altered_end(&f);
    test_altered_end(&g);
}

static void packets_of_all_kinds_pass(void **state)
{
    (void)state;
    static hostile_packets s;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        hostile_make(&s, seed, 1 + (int)(seed % 3));
        if (!s.count)
            continue;
        test_altered f = test_altered_begin();
        wlm_error error;
        for (size_t i = 0; i < s.count; i++)
            assert_ok(wlmi_packet_list_add(&f.in, &s.packet[i], &error), &error);
        wlmi_headers h = test_altered_headers(&s.packet[seed % s.count]);
        wlmi_flow_key_of(&s.packet[seed % s.count], &h, &f.key);
        for (int kind = 0; kind < WLMI_ALTERATIONS; kind++) {
            test_alter(&f, (wlmi_alteration)kind, seed);
            assert_in_range(f.out.count, 1, s.count);
            for (size_t i = 0; i < f.out.count; i++) {
                wlm_packet p = wlmi_packet_list_at(&f.out, i);
                wlmi_headers after = test_altered_headers(&p);
                assert_true(after.network_end <= p.captured || after.network == WLMI_ABSENT);
            }
        }
        test_altered_end(&f);
    }
}

static void no_packets_give_none(void **state)
{
    (void)state;
    test_altered f = test_altered_begin();
    for (int kind = 0; kind < WLMI_ALTERATIONS; kind++) {
        test_alter(&f, (wlmi_alteration)kind, 1);
        assert_int_equal(f.out.count, 0);
    }
    test_altered_end(&f);
}

static void failed_allocations_leak_nothing(void **state)
{
    (void)state;
    for (int kind = 0; kind < WLMI_ALTERATIONS; kind++) {
        test_altered f = test_altered_talk(client, server, 8);
        wlm_status status = WLM_ERR_MEMORY;
        for (uint64_t k = 1; status == WLM_ERR_MEMORY; k++) {
            wlm_flow_key key = f.key;
            wlmi_alterer *alterer;
            wlm_error error;
            wlmi_packet_list_free(&f.out);
            assert_true(k < 100);
            wlmi_alloc_fail_at(k);
            status = wlmi_alterer_new(&alterer, &error);
            if (status == WLM_OK)
                status = wlmi_alter_flow(alterer, (wlmi_alteration)kind, 1, &key, &f.in, &f.out, &error);
            wlmi_alloc_fail_at(0);
            wlmi_alterer_free(alterer);
            if (status != WLM_OK)
                assert_memory_equal(&key, &f.key, sizeof key);
        }
        assert_int_equal(status, WLM_OK);
        test_altered_end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_finds_its_alteration),
        cmocka_unit_test(oneway_keeps_one_direction),
        cmocka_unit_test(midstream_takes_one_to_eight_from_the_front),
        cmocka_unit_test(one_packet_stays_whatever_happens),
        cmocka_unit_test(snap_cuts_what_was_captured_and_not_what_was_sent),
        cmocka_unit_test(sampling_and_loss_keep_their_shares),
        cmocka_unit_test(reorder_swaps_neighbours_and_leaves_times_in_place),
        cmocka_unit_test(jitter_changes_gaps_and_nothing_else),
        cmocka_unit_test(jitter_survives_times_at_their_limits),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(packets_of_all_kinds_pass),
        cmocka_unit_test(no_packets_give_none),
        cmocka_unit_test(failed_allocations_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
