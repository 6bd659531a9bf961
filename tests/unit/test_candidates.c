/* test_candidates.c: flows that wait are drawn by weight, each once, the oldest going first where there are too many. */
#include "support/support.h"

#include "base/alloc.h"
#include "task/candidates.h"

/* A flow of one packet of one byte, which tells it. */
static wlm_status add_to(wlmi_candidates *c, int stratum, uint8_t name, double weight, wlm_error *error)
{
    const wlm_packet packet = {.data = &name, .captured = 1, .wire = 1};
    uint64_t of = 0;
    wlmi_sampled_flow flow = {.of = &of, .flows = 1, .given_up = name};
    wlm_status status = wlmi_packet_list_add(&flow.packets, &packet, error);
    if (status == WLM_OK)
        status = wlmi_candidates_add(c, &flow, weight, stratum, error);
    wlmi_packet_list_free(&flow.packets);
    return status;
}

static wlm_status add(wlmi_candidates *c, uint8_t name, double weight, wlm_error *error)
{
    return add_to(c, 0, name, weight, error);
}

static uint8_t draw_by(wlmi_candidates *c, const double *share, wlmi_rng *rng)
{
    const wlmi_sampled_flow *flow = wlmi_candidates_draw(c, share, rng);
    assert_int_equal(flow->packets.count, 1);
    assert_int_equal(flow->of[0], 0);
    assert_int_equal(*wlmi_packet_list_at(&flow->packets, 0).data, flow->given_up);
    return (uint8_t)flow->given_up;
}

static uint8_t draw(wlmi_candidates *c, wlmi_rng *rng)
{
    static const double share[WLMI_LIKENESS_STRATA] = {1};
    return draw_by(c, share, rng);
}

static void each_is_drawn_once_and_none_without_weight(void **state)
{
    wlmi_candidates c = {.count = 0};
    wlmi_rng rng;
    wlm_error error;
    int drawn[8] = {0};
    (void)state;
    wlmi_rng_seed(&rng, 1);
    for (uint8_t i = 0; i < 8; i++)
        assert_ok(add(&c, i, i % 2, &error), &error);
    for (int i = 0; i < 4; i++)
        drawn[draw(&c, &rng)]++;
    for (int i = 0; i < 8; i++)
        assert_int_equal(drawn[i], i % 2);
    assert_int_equal(draw(&c, &rng), 6); /* none that is left has a weight: the latest */
    wlmi_candidates_free(&c);
}

static void weights_are_odds(void **state)
{
    enum { DRAWS = 4000 };
    wlmi_candidates c = {.count = 0};
    wlmi_rng rng;
    wlm_error error;
    int heavy = 0;
    (void)state;
    wlmi_rng_seed(&rng, 2);
    for (int i = 0; i < DRAWS; i++) {
        assert_ok(add(&c, 1, 3, &error), &error);
        assert_ok(add(&c, 2, 1, &error), &error);
        heavy += draw(&c, &rng) == 1;
        draw(&c, &rng);
        assert_int_equal(c.count, 0);
    }
    assert_true(heavy > DRAWS * .72 && heavy < DRAWS * .78); /* four deviations of chance */
    wlmi_candidates_free(&c);
}

/* Three flows of one stratum to one of another, whatever their weights. */
static void strata_have_their_shares(void **state)
{
    static const double share[WLMI_LIKENESS_STRATA] = {.75, .25};
    wlmi_candidates c = {.count = 0};
    wlmi_rng rng;
    wlm_error error;
    int first = 0;
    (void)state;
    wlmi_rng_seed(&rng, 5);
    for (int i = 0; i < 100; i++) {
        for (int k = 0; k < 3; k++) {
            assert_ok(add_to(&c, 0, 1, .01, &error), &error);
            assert_ok(add_to(&c, 1, 2, 99, &error), &error);
        }
        first += draw_by(&c, share, &rng) == 1;
    }
    assert_int_equal(first, 75);
    wlmi_candidates_free(&c);
}

static void the_oldest_goes_where_too_many_wait(void **state)
{
    wlmi_candidates c = {.count = 0};
    wlmi_rng rng;
    wlm_error error;
    (void)state;
    wlmi_rng_seed(&rng, 3);
    for (uint8_t i = 0; i < WLMI_CANDIDATES_MOST + 3; i++)
        assert_ok(add(&c, i, i < 3, &error), &error);
    assert_int_equal(c.count, WLMI_CANDIDATES_MOST);
    assert_int_equal(draw(&c, &rng), WLMI_CANDIDATES_MOST + 2); /* those of weight are gone */
    wlmi_candidates_free(&c);
}

static void a_failed_allocation_loses_nothing(void **state)
{
    wlmi_candidates c = {.count = 0};
    wlmi_rng rng;
    wlm_error error;
    (void)state;
    wlmi_rng_seed(&rng, 4);
    assert_ok(add(&c, 1, 1, &error), &error);
    for (uint64_t k = 1; c.count == 1; k++) {
        wlm_status status;
        wlmi_alloc_fail_at(k);
        status = add(&c, 2, 1, &error);
        wlmi_alloc_fail_at(0);
        assert_int_equal(status, c.count == 1 ? WLM_ERR_MEMORY : WLM_OK);
    }
    assert_int_equal(draw(&c, &rng) + draw(&c, &rng), 3);
    wlmi_candidates_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_drawn_once_and_none_without_weight),
        cmocka_unit_test(weights_are_odds),
        cmocka_unit_test(strata_have_their_shares),
        cmocka_unit_test(the_oldest_goes_where_too_many_wait),
        cmocka_unit_test(a_failed_allocation_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
