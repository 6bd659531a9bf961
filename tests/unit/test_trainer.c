/* test_trainer.c: the training step, its learning rate, and runs put aside: on synthetic batches. */
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "support/model.h"
#include "task/trainer.h"

typedef struct source {
    const wlmi_net *net;
    test_batch b;
    uint64_t poison; /* this batch has an infinite weight; 0: none */
} source;

static wlm_status give(void *user, uint64_t *cursor, wlmi_batch *batch, wlm_error *error)
{
    static const int lengths[] = {20, 31, 9, 0};
    source *s = user;
    (void)error;
    test_batch_fill(&s->b, s->net, lengths, *cursor % 4);
    ++*cursor;
    if (s->poison && *cursor == s->poison)
        s->b.weight[0] = INFINITY;
    *batch = s->b.batch;
    return WLM_OK;
}

static void train(wlmi_trainer *t, uint64_t until, uint64_t poison)
{
    source s = {.net = t->net, .poison = poison};
    while (t->step < until) {
        wlmi_step_options options = {{wlmi_learning_rate(WLMI_SCHEDULE_COSINE, 0.02, 0.1, (double)(t->step + 1) / 20), 1.0, 0.1, 0}, 2};
        wlmi_step_report report;
        wlm_error error;
        assert_ok(wlmi_trainer_step(t, &options, give, &s, &report, &error), &error);
    }
}

static void loss_falls(void **state)
{
    wlmi_net *net = test_net("trafficgpt-nano", &wlmi_backend_ref);
    wlmi_trainer t;
    wlm_error error;
    (void)state;
    assert_ok(wlmi_trainer_init(&t, net, &error), &error);
    assert_true(isnan(wlmi_trainer_loss(&t)));
    train(&t, 200, 0);
    assert_true(wlmi_trainer_loss(&t) < 0.8 * t.loss_first); /* random targets, but the same four batches */
    assert_int_equal(t.cursor, 400);
    assert_int_equal(t.tokens, 400 * 60);
    wlmi_trainer_clear(&t);
    wlmi_net_free(net);
}

static void a_resumed_run_ends_with_the_same_bits(void **state)
{
    json_t *options = json_pack("{s:i, s:f, s:s}", "steps", 20, "learning_rate", 0.02, "backend", "ref");
    const char *path = test_path("run.resume");
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        wlmi_net *straight = test_net(kind ? "netgpt-nano" : "trafficgpt-nano", &wlmi_backend_ref);
        wlmi_net *stopped = test_net(kind ? "netgpt-nano" : "trafficgpt-nano", &wlmi_backend_ref), *resumed;
        wlmi_trainer a, b, c;
        wlm_error error;
        assert_ok(wlmi_trainer_init(&a, straight, &error), &error);
        assert_ok(wlmi_trainer_init(&b, stopped, &error), &error);
        train(&a, 20, 0);
        train(&b, 7, 0);
        assert_ok(wlmi_resume_save(&b, options, path, &error), &error);
        assert_ok(wlmi_resume_load(&c, &resumed, options, path, &wlmi_backend_ref, &error), &error);
        assert_int_equal(c.step, 7);
        assert_int_equal(resumed->tasks, 2);
        train(&c, 20, 0);
        assert_int_equal(a.cursor, c.cursor);
        assert_true(a.loss_first == c.loss_first && wlmi_trainer_loss(&a) == wlmi_trainer_loss(&c));
        assert_memory_equal(straight->value, resumed->value, straight->count * sizeof(float));
        assert_memory_equal(a.optimiser.v, c.optimiser.v, straight->count * sizeof(float));
        wlmi_trainer_clear(&a);
        wlmi_trainer_clear(&b);
        wlmi_trainer_clear(&c);
        wlmi_net_free(straight);
        wlmi_net_free(stopped);
        wlmi_net_free(resumed);
    }
    json_decref(options);
}

static void other_options_do_not_resume(void **state)
{
    json_t *options = json_pack("{s:i, s:f}", "steps", 20, "learning_rate", 0.02);
    json_t *other = json_pack("{s:i, s:f}", "steps", 20, "learning_rate", 0.03);
    const char *path = test_path("other.resume");
    wlmi_net *net = test_net("netgpt-nano", &wlmi_backend_ref), *back;
    wlmi_trainer t, u;
    wlm_error error;
    (void)state;
    assert_ok(wlmi_trainer_init(&t, net, &error), &error);
    assert_ok(wlmi_resume_save(&t, options, path, &error), &error);
    assert_int_equal(wlmi_resume_load(&u, &back, other, path, &wlmi_backend_ref, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "learning_rate"));
    assert_non_null(strstr(error.cause, "0.02"));
    assert_null(back);
    assert_int_equal(wlmi_resume_load(&u, &back, options, test_path("absent"), &wlmi_backend_ref, &error), WLM_ERR_IO);
    assert_ok(wlmi_checkpoint_save(net, path, &error), &error); /* a checkpoint is no run */
    assert_int_equal(wlmi_resume_load(&u, &back, options, path, &wlmi_backend_ref, &error), WLM_ERR_FORMAT);
    wlmi_trainer_clear(&t);
    wlmi_net_free(net);
    json_decref(options);
    json_decref(other);
}

static void a_step_without_a_finite_gradient_changes_nothing(void **state)
{
    wlmi_net *net = test_net("netgpt-nano", &wlmi_backend_ref);
    wlmi_trainer t;
    wlm_error error;
    float *before;
    (void)state;
    assert_ok(wlmi_trainer_init(&t, net, &error), &error);
    train(&t, 2, 0);
    before = wlmi_alloc(net->count * sizeof *before);
    memcpy(before, net->value, net->count * sizeof *before);
    train(&t, 3, 5);
    assert_int_equal(t.skipped, 1);
    assert_int_equal(t.step, 3);
    assert_int_equal(t.optimiser.updates, 2);
    assert_memory_equal(before, net->value, net->count * sizeof *before);
    assert_int_equal(t.skipped_in_row, 1);
    train(&t, 4, 0);
    assert_int_equal(t.skipped, 1);
    assert_int_equal(t.skipped_in_row, 0);
    assert_true(memcmp(before, net->value, net->count * sizeof *before) != 0);
    wlmi_free(before);
    wlmi_trainer_clear(&t);
    wlmi_net_free(net);
}

/* Accumulating two batches is one step over both together. */
static void accumulation_is_one_larger_batch(void **state)
{
    static const int both[] = {20, 31, 12, 0};
    wlmi_net *net = test_net("trafficgpt-nano", &wlmi_backend_ref64);
    test_batch b;
    wlmi_loss loss;
    wlm_error error;
    double *grad, *sum;
    (void)state;
    assert_ok(wlmi_net_train_memory(net, &error), &error);
    grad = (double *)net->grad;
    sum = wlmi_alloc(net->count * sizeof *sum);
    test_batch_fill(&b, net, both, 3);
    assert_ok(wlmi_net_forward(net, &b.batch, &loss, &error), &error);
    assert_ok(wlmi_net_backward(net, &b.batch, &error), &error);
    memcpy(sum, grad, net->count * sizeof *sum);
    net->backend->zero(net->grad, net->count);
    for (int part = 0; part < 2; part++) {
        wlmi_batch piece = b.batch;
        int32_t start[2];
        if (part == 0) {
            piece.tokens = both[0] + both[1];
            piece.segments.count = 2;
        } else
            piece = test_batch_segment(&b, 2, start);
        assert_ok(wlmi_net_forward(net, &piece, &loss, &error), &error);
        assert_ok(wlmi_net_backward(net, &piece, &error), &error);
    }
    for (size_t i = 0; i < net->count; i++)
        assert_true(fabs(grad[i] - sum[i]) < 1e-10);
    wlmi_free(sum);
    wlmi_net_free(net);
}

static void the_gradient_is_clipped_and_cleared(void **state)
{
    wlmi_net *net = test_net("netgpt-nano", &wlmi_backend_ref);
    wlmi_optimiser o;
    wlm_error error;
    const wlmi_rates rates = {0.001, 1.0, 0, 0};
    float *grad, *m;
    double norm;
    (void)state;
    assert_ok(wlmi_net_train_memory(net, &error), &error);
    assert_ok(wlmi_optimiser_init(&o, net, &error), &error);
    grad = (float *)net->grad;
    m = (float *)o.m;
    grad[0] = 300;
    grad[1] = 400;
    assert_int_equal(wlmi_optimiser_update(&o, &rates, 0.1, &norm), 1);
    assert_true(fabs(norm - 50) < 1e-4);
    assert_true(fabsf(m[0] - 0.06f) < 1e-6f && fabsf(m[1] - 0.08f) < 1e-6f); /* (1 - beta1) of a unit vector */
    assert_true(grad[0] == 0 && grad[1] == 0);
    wlmi_optimiser_clear(&o);
    wlmi_net_free(net);
}

/* Without a gradient, and with moments still 0, an update is the decay alone. */
static void decay_spares_norms_and_embeddings_unless_asked(void **state)
{
    (void)state;
    for (int embeddings = 0; embeddings < 2; embeddings++) {
        const wlmi_rates rates = {0.5, 1.0, 0.1, embeddings ? 0.1 : 0};
        wlmi_net *net = test_net("netgpt-nano", &wlmi_backend_ref);
        const float *value = (const float *)net->value;
        wlmi_optimiser o;
        wlm_error error;
        float *before;
        double norm;
        assert_ok(wlmi_net_train_memory(net, &error), &error);
        assert_ok(wlmi_optimiser_init(&o, net, &error), &error);
        before = wlmi_alloc(net->count * sizeof *before);
        memcpy(before, value, net->count * sizeof *before);
        assert_int_equal(wlmi_optimiser_update(&o, &rates, 1, &norm), 1);
        for (int i = 0; i < net->params; i++) {
            const wlmi_param *p = &net->param[i];
            int decays = p->dims == 2 && !p->fixed && (embeddings || !strstr(p->name, "embed"));
            for (size_t j = p->offset; j < p->offset + p->count; j++)
                assert_true(fabsf(value[j] - (decays ? 0.95f : 1.0f) * before[j]) <= 1e-6f * fabsf(before[j]));
        }
        wlmi_free(before);
        wlmi_optimiser_clear(&o);
        wlmi_net_free(net);
    }
}

/* Muon's update of X is its polar factor, the matrix with X's singular vectors and all singular values 1, but for
 * singular values that lie anywhere in 0.65 .. 1.25. The factor by the slow way: Newton's X <- X (3 - X^T X) / 2. */
static void muon_makes_momentum_orthogonal(void **state)
{
    enum { R = 7, C = 19, N = R * C };
    const wlmi_backend *b = &wlmi_backend_ref64;
    double grad[N], polar[N], value[2][N], momentum[2][N], scratch[N], a[R * R];
    wlm_error error;
    (void)state;
    for (int i = 0; i < N; i++)
        grad[i] = polar[i] = 0.1 * sin(1.7 * i * i + 0.3);
    for (int n = 0; n < 200; n++) {
        for (int i = 0; i < R * R; i++) {
            a[i] = i / R == i % R ? 1.5 : 0;
            for (int k = 0; k < C; k++)
                a[i] -= 0.5 * polar[i / R * C + k] * polar[i % R * C + k];
        }
        memcpy(scratch, polar, sizeof scratch);
        for (int i = 0; i < N; i++) {
            polar[i] = 0;
            for (int k = 0; k < R; k++)
                polar[i] += a[i / C * R + k] * scratch[k * C + i % C];
        }
    }
    memset(value, 0, sizeof value);
    memset(momentum, 0, sizeof momentum);
    for (int tall = 0; tall < 2; tall++) { /* the transposed gradient gives the transposed update */
        wlmi_muon muon = {0};
        int rows = tall ? C : R, cols = tall ? R : C;
        for (int i = 0; i < N; i++)
            scratch[i] = 2 * (tall ? grad[i % R * C + i / R] : grad[i]);
        assert_ok(wlmi_muon_init(&muon, b, N, R, &error), &error);
        wlmi_muon_update(&muon, (wlmi_real *)value[tall], (wlmi_real *)momentum[tall], (wlmi_real *)scratch, rows, cols,
                         0.5, 1 / (0.2 * sqrt(C)), 0);
        for (int i = 0; i < N; i++) {
            double there = value[tall][tall ? i % C * R + i / C : i];
            assert_true(fabs(momentum[tall][i] - scratch[i]) < 1e-15); /* from 0 */
            assert_true(fabs(there - value[0][i]) < 1e-9);
        }
        wlmi_muon_clear(&muon);
    }
    for (int i = 0; i < R; i++) { /* -update times the factor's transpose: symmetric, its diagonal near 1 */
        for (int j = 0; j < R; j++) {
            double ij = 0, ji = 0;
            for (int k = 0; k < C; k++) {
                ij -= value[0][i * C + k] * polar[j * C + k];
                ji -= value[0][j * C + k] * polar[i * C + k];
            }
            assert_true(fabs(ij - ji) < 1e-9);
            assert_true(i == j ? ij > 0.65 && ij < 1.25 : fabs(ij) < 0.35);
        }
    }
}

static void muon_learns_and_resumes_to_the_same_bits(void **state)
{
    json_t *options = json_object();
    const char *path = test_path("muon.resume");
    wlmi_net *straight = test_net("trafficgpt-nano", &wlmi_backend_ref), *adamw, *stopped, *resumed;
    wlmi_trainer a, b, c, d;
    wlm_error error;
    (void)state;
    stopped = test_net("trafficgpt-nano", &wlmi_backend_ref);
    adamw = test_net("trafficgpt-nano", &wlmi_backend_ref);
    assert_ok(wlmi_trainer_init(&a, straight, &error), &error);
    assert_ok(wlmi_trainer_init(&b, stopped, &error), &error);
    assert_ok(wlmi_trainer_init(&d, adamw, &error), &error);
    assert_ok(wlmi_optimiser_use_muon(&a.optimiser, &error), &error);
    assert_ok(wlmi_optimiser_use_muon(&b.optimiser, &error), &error);
    train(&a, 40, 0);
    train(&b, 13, 0);
    train(&d, 40, 0);
    assert_ok(wlmi_resume_save(&b, options, path, &error), &error);
    assert_ok(wlmi_resume_load(&c, &resumed, options, path, &wlmi_backend_ref, &error), &error);
    assert_ok(wlmi_optimiser_use_muon(&c.optimiser, &error), &error);
    train(&c, 40, 0);
    assert_true(wlmi_trainer_loss(&a) < 0.9 * a.loss_first);
    assert_memory_equal(straight->value, resumed->value, straight->count * sizeof(float));
    assert_true(memcmp(straight->value, adamw->value, straight->count * sizeof(float)) != 0);
    wlmi_trainer_clear(&a);
    wlmi_trainer_clear(&b);
    wlmi_trainer_clear(&c);
    wlmi_trainer_clear(&d);
    wlmi_net_free(straight);
    wlmi_net_free(stopped);
    wlmi_net_free(resumed);
    wlmi_net_free(adamw);
    json_decref(options);
}

static void schedules_have_their_shapes(void **state)
{
    wlmi_schedule s;
    (void)state;
    assert_int_equal(wlmi_schedule_find("triangle", &s), 0);
    assert_int_equal(wlmi_schedule_find(NULL, &s), 1);
    assert_int_equal(s, WLMI_SCHEDULE_COSINE);
    assert_int_equal(wlmi_schedule_find("constant", &s), 1);
    assert_true(wlmi_learning_rate(s, 2.0, 0.1, 0.05) == 1.0);
    assert_true(wlmi_learning_rate(s, 2.0, 0.1, 0.2) == 2.0 && wlmi_learning_rate(s, 2.0, 0.1, 1.0) == 2.0);
    assert_int_equal(wlmi_schedule_find("wsd", &s), 1);
    assert_true(wlmi_learning_rate(s, 2.0, 0.1, 0.05) == 1.0);
    assert_true(wlmi_learning_rate(s, 2.0, 0.1, 0.1) == 2.0 && wlmi_learning_rate(s, 2.0, 0.1, 0.8) == 2.0);
    assert_true(fabs(wlmi_learning_rate(s, 2.0, 0.1, 0.85) - 1.0) < 1e-12); /* 1 - sqrt(1/4) */
    assert_true(wlmi_learning_rate(s, 2.0, 0.1, 1.0) == 0);
    assert_true(wlmi_learning_rate(s, 2.0, 0.9, 0.95) > 0 && wlmi_learning_rate(s, 2.0, 1.0, 1.0) == 0);
}

static void the_learning_rate_warms_up_and_falls_to_a_tenth(void **state)
{
    (void)state;
    assert_true(wlmi_learning_rate(WLMI_SCHEDULE_COSINE, 2.0, 0.1, 0.05) == 1.0);
    assert_true(fabs(wlmi_learning_rate(WLMI_SCHEDULE_COSINE, 2.0, 0.1, 0.1) - 2.0) < 1e-12);
    assert_true(fabs(wlmi_learning_rate(WLMI_SCHEDULE_COSINE, 2.0, 0.1, 1.0) - 0.2) < 1e-12);
    assert_true(fabs(wlmi_learning_rate(WLMI_SCHEDULE_COSINE, 2.0, 0.0, 0.5) - 1.1) < 1e-12);
    assert_true(fabs(wlmi_learning_rate(WLMI_SCHEDULE_COSINE, 2.0, 1.0, 1.0) - 0.2) < 1e-12);
    for (int i = 11; i <= 100; i++)
        assert_true(wlmi_learning_rate(WLMI_SCHEDULE_COSINE, 2.0, 0.1, i / 100.0) <= wlmi_learning_rate(WLMI_SCHEDULE_COSINE, 2.0, 0.1, (i - 1) / 100.0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_falls),
        cmocka_unit_test(a_resumed_run_ends_with_the_same_bits),
        cmocka_unit_test(other_options_do_not_resume),
        cmocka_unit_test(a_step_without_a_finite_gradient_changes_nothing),
        cmocka_unit_test(accumulation_is_one_larger_batch),
        cmocka_unit_test(the_gradient_is_clipped_and_cleared),
        cmocka_unit_test(decay_spares_norms_and_embeddings_unless_asked),
        cmocka_unit_test(muon_makes_momentum_orthogonal),
        cmocka_unit_test(muon_learns_and_resumes_to_the_same_bits),
        cmocka_unit_test(schedules_have_their_shapes),
        cmocka_unit_test(the_learning_rate_warms_up_and_falls_to_a_tenth),
    };
    return cmocka_run_group_tests_name("trainer", tests, NULL, NULL);
}
