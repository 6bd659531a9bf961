/* test_net.c: the whole model: gradients, packing, tasks, refused batches. */
#include "support/support.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/mixer.h"
#include "model/params.h"
#include "support/model.h"

static const char *const kinds[] = {"netgpt-nano", "trafficgpt-nano", "mixed", "wire-nano", "reversible"};
enum { KINDS = sizeof kinds / sizeof *kinds };
static const int lengths[] = {17, 1, 9, 12, 0};

static double loss_of(wlmi_net *net, const wlmi_batch *batch)
{
    wlmi_loss loss;
    wlm_error error;
    assert_ok(wlmi_net_forward(net, batch, &loss, &error), &error);
    return loss.tokens + loss.labels;
}

/* Larger values than training starts from, so that no part of the model is close to linear. */
static void roughen(wlmi_net *net)
{
    double *value = (double *)net->value;
    for (size_t i = 0; i < net->count; i++)
        value[i] += 0.3 * sin(1.7 * (double)i);
}

static void gradients_are_central_differences(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        wlmi_net *net = test_net(kinds[k], &wlmi_backend_ref64);
        test_batch b;
        wlm_error error;
        roughen(net);
        test_batch_fill(&b, net, lengths, 2);
        assert_ok(wlmi_net_train_memory(net, &error), &error);
        loss_of(net, &b.batch);
        assert_ok(wlmi_net_backward(net, &b.batch, &error), &error);
        for (int p = 0; p < net->params; p++) {
            const wlmi_param *param = &net->param[p];
            double *value = (double *)wlmi_value(net, param), *grad = (double *)wlmi_grad(net, param), largest = 0;
            for (size_t i = 0; i < param->count; i++)
                largest = fmax(largest, fabs(grad[i]));
            assert_true((largest > 0) == (strncmp(param->name, "summary.", 8) != 0));
            for (size_t i = 0; i < param->count && largest > 0; i += 1 + param->count / 40) {
                const double h = 1e-6, kept = value[i];
                double up, down;
                value[i] = kept + h;
                up = loss_of(net, &b.batch);
                value[i] = kept - h;
                down = loss_of(net, &b.batch);
                value[i] = kept;
                if (fabs((up - down) / (2 * h) - grad[i]) > 1e-6 * fmax(fabs(grad[i]), largest))
                    fail_msg("%s %s[%zu]: %.12g, by differences %.12g", kinds[k], param->name, i, grad[i],
                             (up - down) / (2 * h));
            }
        }
        wlmi_net_free(net);
    }
}

static void backward_adds_to_the_gradient(void **state)
{
    wlmi_net *net = test_net(kinds[1], &wlmi_backend_ref64);
    test_batch b;
    wlm_error error;
    double *grad, *once;
    (void)state;
    test_batch_fill(&b, net, lengths, 6);
    assert_ok(wlmi_net_train_memory(net, &error), &error);
    grad = (double *)net->grad;
    once = malloc(net->count * sizeof *once);
    loss_of(net, &b.batch);
    assert_ok(wlmi_net_backward(net, &b.batch, &error), &error);
    memcpy(once, grad, net->count * sizeof *once);
    loss_of(net, &b.batch);
    assert_ok(wlmi_net_backward(net, &b.batch, &error), &error);
    for (size_t i = 0; i < net->count; i++)
        assert_true(fabs(grad[i] - 2 * once[i]) <= 1e-12 + 1e-9 * fabs(once[i]));
    free(once);
    wlmi_net_free(net);
}

static void packed_segments_do_not_see_each_other(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        wlmi_net *net = test_net(kinds[k], &wlmi_backend_ref64);
        test_batch b;
        double apart = 0;
        roughen(net);
        test_batch_fill(&b, net, lengths, 7);
        for (int s = 0; s < b.batch.segments.count; s++) {
            int32_t start[2];
            wlmi_batch one = test_batch_segment(&b, s, start);
            apart += loss_of(net, &one);
        }
        assert_true(fabs(apart - loss_of(net, &b.batch)) < 1e-9);
        wlmi_net_free(net);
    }
}

static void logits_are_those_of_the_loss(void **state)
{
    wlmi_net *net = test_net(kinds[0], &wlmi_backend_ref64);
    test_batch b;
    wlm_error error;
    float logits[2];
    const wlmi_task *task = &net->task[1];
    int32_t at;
    double nats;
    wlmi_loss loss;
    (void)state;
    test_batch_fill(&b, net, lengths, 10);
    at = b.starts[2] - 1; /* the label of segment 1, task 1 */
    assert_ok(wlmi_net_logits(net, &b.batch, NULL, 0, &at, 1, task->row + 1, task->row + 3, logits, &error), &error);
    nats = log(exp((double)logits[0]) + exp((double)logits[1])) - (double)logits[b.target[at] - task->row - 1];
    for (int t = 0; t < b.batch.tokens; t++)
        if (t != at)
            b.target[t] = -1;
    assert_ok(wlmi_net_forward(net, &b.batch, &loss, &error), &error);
    assert_true(fabs(loss.labels / loss.labels_weight - nats) < 1e-6);
    assert_true(loss.labels_weight == 3.0 && loss.tokens_weight == 0);
    wlmi_net_free(net);
}

static void a_new_task_leaves_the_rest_alone(void **state)
{
    static const char *const more[] = {"ssh", "ntp"}, *const mood[] = {"good"};
    wlmi_net *net = test_net(kinds[0], &wlmi_backend_ref64);
    test_batch b;
    wlm_error error;
    int32_t at = 16;
    float before[2], after[2];
    (void)state;
    test_batch_fill(&b, net, lengths, 11);
    for (int t = 0; t < b.batch.tokens; t++)
        b.id[t] %= net->config.vocabulary;
    assert_ok(wlmi_net_logits(net, &b.batch, NULL, 0, &at, 1, net->task[1].row + 1, net->task[1].row + 3, before, &error), &error);
    assert_ok(wlmi_net_add_task(net, "app", more, 2, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, "mood", mood, 1, 1, &error), &error);
    assert_int_equal(net->task[0].labels, 4);
    assert_string_equal(net->task[0].label[3], "ntp");
    assert_int_equal(wlmi_task_find_label(&net->task[0], "ssh"), 1);
    assert_int_equal(net->task[1].row, net->task[0].row + 5);
    assert_int_equal(net->rows, net->config.vocabulary + WLMI_SPECIALS + 5 + 3 + 2);
    assert_ok(wlmi_net_logits(net, &b.batch, NULL, 0, &at, 1, net->task[1].row + 1, net->task[1].row + 3, after, &error), &error);
    assert_memory_equal(before, after, sizeof before);
    wlmi_net_free(net);
}

static void new_embeddings_change_nothing_until_taught(void **state)
{
    static const char *const labels[] = {"yes", "no"};
    wlmi_config config = test_config("wire-nano");
    wlmi_net *net;
    test_batch b;
    wlm_error error;
    const int32_t at = 16;
    float before[2], after[2];
    (void)state;
    config.role_rows = 0;
    assert_ok(wlmi_net_new(&net, &config, &wlmi_backend_ref64, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, "t", labels, 2, 1, &error), &error);
    assert_int_equal(config.packet_rows + config.place_rows + config.summary_trees, 0);
    test_batch_fill(&b, net, lengths, 12);
    assert_ok(wlmi_net_logits(net, &b.batch, NULL, 0, &at, 1, net->task->row + 1, net->task->row + 3, before, &error), &error);
    assert_ok(wlmi_net_extend(net, 4, 3, WLMI_PLACE_ROWS, 2, &error), &error);
    assert_int_equal(net->tasks, 1);
    assert_int_equal(net->rows, config.vocabulary + WLMI_SPECIALS + 3);
    test_fill_summary(net);
    assert_ok(wlmi_net_logits(net, &b.batch, NULL, 0, &at, 1, net->task->row + 1, net->task->row + 3, after, &error), &error);
    assert_memory_equal(before, after, sizeof before);

    assert_ok(wlmi_net_train_memory(net, &error), &error);
    loss_of(net, &b.batch);
    assert_ok(wlmi_net_backward(net, &b.batch, &error), &error);
    for (size_t i = 0; i < (size_t)(4 + 3 + 1); i++) { /* rows of packets, roles and places follow each other */
        const double *row = (const double *)wlmi_grad(net, wlmi_packet_param(net)) + i * (size_t)net->config.width;
        assert_true(row[0] != 0);
    }

    assert_ok(wlmi_net_extend(net, 0, 3, WLMI_PLACE_ROWS, 0, &error), &error);
    assert_int_equal(wlmi_net_extend(net, 7, 0, 0, 0, &error), WLM_ERR_ARGUMENT);
    wlmi_net_free(net);
}

static void only_models_of_one_kind_have_a_mean(void **state)
{
    wlmi_config config;
    wlmi_net *net[4];
    wlm_error error;
    float first, second, mean;
    size_t at = 0;
    (void)state;
    assert_ok(wlmi_config_preset(&config, "wire-nano", &error), &error);
    config.vocabulary = 64;
    for (int i = 0; i < 4; i++) {
        if (i == 2)
            config.other.group[1].window = 64; /* parameters of the same names and sizes */
        if (i == 3)
            config.other.group[1] = (wlmi_head_group){WLMI_MIXER_FULL, config.other.group[1].heads, 0};
        assert_ok(wlmi_net_new(&net[i], &config, &wlmi_backend_ref, (uint64_t)i + 1, &error), &error);
    }
    for (int i = 0; i < net[0]->params; i++)
        if (net[0]->param[i].dims == 2) /* norms begin with the same values */
            at = net[0]->param[i].offset;
    wlmi_backend_ref.to_float(&first, wlmi_at(&wlmi_backend_ref, net[0]->value, at), 1);
    wlmi_backend_ref.to_float(&second, wlmi_at(&wlmi_backend_ref, net[1]->value, at), 1);
    assert_int_equal(wlmi_net_average(net[0], net[2], 0.5, &error), WLM_ERR_ARGUMENT);
    assert_int_equal(wlmi_net_average(net[0], net[3], 0.5, &error), WLM_ERR_ARGUMENT);
    assert_ok(wlmi_net_average(net[0], net[1], 0.5, &error), &error);
    wlmi_backend_ref.to_float(&mean, wlmi_at(&wlmi_backend_ref, net[0]->value, at), 1);
    assert_float_equal(mean, (first + second) / 2, 1e-7);
    assert_true(first != second);
    for (int i = 0; i < 4; i++)
        wlmi_net_free(net[i]);
}

static void task_names_are_checked(void **state)
{
    static const char *const good[] = {"x"}, *const empty[] = {""};
    wlmi_net *net = test_net(kinds[0], &wlmi_backend_ref);
    wlm_error error;
    (void)state;
    assert_int_equal(wlmi_net_add_task(net, "", good, 1, 1, &error), WLM_ERR_ARGUMENT);
    assert_int_equal(wlmi_net_add_task(net, "a/b", good, 1, 1, &error), WLM_ERR_ARGUMENT);
    assert_int_equal(wlmi_net_add_task(net, "a b", good, 1, 1, &error), WLM_ERR_ARGUMENT);
    assert_int_equal(wlmi_net_add_task(net, "ok", empty, 1, 1, &error), WLM_ERR_ARGUMENT);
    assert_int_equal(net->tasks, 2);
    wlmi_net_free(net);
}

static void bad_batches_are_refused(void **state)
{
    wlmi_net *net = test_net(kinds[0], &wlmi_backend_ref);
    test_batch good, b;
    wlmi_loss loss;
    wlm_error error;
    (void)state;
    test_batch_fill(&good, net, lengths, 12);
    for (int wrong = 0; wrong < 8; wrong++) {
        test_batch_fill(&b, net, lengths, 12);
        switch (wrong) {
        case 0: b.id[3] = net->rows; break;
        case 1: b.packet[2] = -1; break;
        case 2: b.role[2] = 3; break;
        case 3: b.target[0] = b.last[0]; break;
        case 4: b.last[0] = net->rows + 1; break;
        case 5: b.starts[2] = b.starts[1]; break;
        case 6: b.measure[2] = -1; break;
        default: b.batch.tokens--; break;
        }
        assert_int_equal(wlmi_net_forward(net, &b.batch, &loss, &error), WLM_ERR_ARGUMENT);
    }
    assert_int_equal(wlmi_net_forward(net, &good.batch, &loss, &error), WLM_OK);
    wlmi_net_free(net);
}

static void same_seed_same_values(void **state)
{
    wlmi_config config = test_config(kinds[0]);
    wlmi_net *a, *b;
    wlm_error error;
    (void)state;
    assert_ok(wlmi_net_new(&a, &config, &wlmi_backend_ref, 3, &error), &error);
    assert_ok(wlmi_net_new(&b, &config, &wlmi_backend_ref, 3, &error), &error);
    assert_memory_equal(a->value, b->value, a->count * sizeof(float));
    wlmi_net_free(b);
    assert_ok(wlmi_net_new(&b, &config, &wlmi_backend_ref, 4, &error), &error);
    assert_true(memcmp(a->value, b->value, a->count * sizeof(float)) != 0);
    wlmi_net_free(a);
    wlmi_net_free(b);
}

static void presets_are_valid_and_of_their_size(void **state)
{
    static const struct {
        const char *size; /* the preset's name, or what stands behind its dash */
        double millions;
    } sizes[] = {{"wire-tiny", 1.6}, {"nano", 1}, {"tiny", 4}, {"small", 25}, {"base", 100}, {"paper", 202}};
    (void)state;
    for (size_t i = 0; wlmi_preset_name(i); i++) {
        const char *name = wlmi_preset_name(i);
        size_t s = 0;
        wlmi_config config;
        wlmi_net *net;
        wlm_error error;
        double millions;
        while (strcmp(name, sizes[s].size) && strcmp(strchr(name, '-') + 1, sizes[s].size))
            assert_true(++s < sizeof sizes / sizeof *sizes);
        assert_ok(wlmi_config_preset(&config, name, &error), &error);
        config.vocabulary = 320;
        assert_ok(wlmi_config_check(&config, &error), &error);
        millions = (double)wlmi_config_count(&config) / 1e6;
        assert_true(millions > 0.7 * sizes[s].millions && millions < 1.3 * sizes[s].millions);
        if (millions > 10)
            continue;
        assert_ok(wlmi_net_new(&net, &config, &wlmi_backend_ref, 1, &error), &error);
        assert_int_equal(net->count, wlmi_config_count(&config));
        wlmi_net_free(net);
    }
}

/* What one stream of wire-tiny remembers, windows full: 512 KiB at the most. */
static void wire_tiny_remembers_little(void **state)
{
    const wlmi_backend *cpu = wlmi_backend_find("cpu");
    wlmi_config config;
    wlm_error error;
    size_t values = 0;
    (void)state;
    assert_ok(wlmi_config_preset(&config, "wire-tiny", &error), &error);
    for (int l = 0; l < config.layers; l++) {
        const wlmi_plan *plan = wlmi_config_layer(&config, l).plan;
        for (int g = 0; g < plan->groups; g++)
            values += wlmi_mixer_of(plan->group[g].kind)->state_size(cpu, &plan->group[g], config.head_width, INT_MAX);
    }
    assert_true(values * sizeof(float) <= 512 * 1024);
    assert_int_equal(values * sizeof(float) / 1024, 210);
}

/* Everything once, with the k-th allocation failing, those inside the backend's ops included. */
static wlm_status all_of_it(const wlmi_backend *backend, const char *kind, wlmi_net **net)
{
    static const char *const labels[] = {"a", "b"};
    wlmi_config config = test_config(kind);
    test_batch b;
    wlmi_loss loss;
    WLMI_TRY(wlmi_net_new(net, &config, backend, 1, NULL));
    WLMI_TRY(wlmi_net_add_task(*net, "t", labels, 2, 1, NULL));
    if (!(*net)->config.summary_trees)
        WLMI_TRY(wlmi_net_extend(*net, 0, 0, 0, 5, NULL));
    WLMI_TRY(wlmi_net_train_memory(*net, NULL));
    test_batch_fill(&b, *net, lengths, 1);
    WLMI_TRY(wlmi_net_forward(*net, &b.batch, &loss, NULL));
    return wlmi_net_backward(*net, &b.batch, NULL);
}

static void failed_allocations_leak_nothing(void **state)
{
    const wlmi_backend *const backends[] = {&wlmi_backend_ref, wlmi_backend_find("cpu")};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (uint64_t k = 1, done = 0; !done; k++) {
            wlmi_net *net = NULL;
            wlmi_alloc_fail_at(k);
            wlm_status status = all_of_it(backends[i % 2], kinds[1 + 2 * (i / 2)], &net);
            done = status == WLM_OK && wlmi_alloc_count() < k;
            wlmi_alloc_fail_at(0);
            assert_true(status == WLM_ERR_MEMORY || done);
            wlmi_net_free(net);
            assert_true(k < 1000);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_central_differences),
        cmocka_unit_test(backward_adds_to_the_gradient),
        cmocka_unit_test(packed_segments_do_not_see_each_other),
        cmocka_unit_test(logits_are_those_of_the_loss),
        cmocka_unit_test(a_new_task_leaves_the_rest_alone),
        cmocka_unit_test(new_embeddings_change_nothing_until_taught),
        cmocka_unit_test(task_names_are_checked),
        cmocka_unit_test(bad_batches_are_refused),
        cmocka_unit_test(same_seed_same_values),
        cmocka_unit_test(only_models_of_one_kind_have_a_mean),
        cmocka_unit_test(presets_are_valid_and_of_their_size),
        cmocka_unit_test(wire_tiny_remembers_little),
        cmocka_unit_test(failed_allocations_leak_nothing),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
