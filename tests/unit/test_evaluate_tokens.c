/* test_evaluate_tokens.c: what captures cost a model: probabilities that sum, parts that add up, the same figures from
 * captures and from imported folders, in batches and through streams. */
#include "support/captures.h"
#include "support/fixture.h"
#include "support/model.h"
#include "support/support.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/recordings.h"
#include "task/scorer.h"
#include "token/streams.h"
#include "token/transcode.h"
#include "wirelm_evaluate.h"

enum { PATHS = 4 };

/* test_path() that lasts; i: which of those a test keeps. */
static const char *kept_path(int i, const char *name)
{
    static char paths[PATHS][512];
    snprintf(paths[i], sizeof paths[i], "%s", test_path(name));
    return paths[i];
}

static wlm_model *model_of(const test_model_options *options)
{
    wlm_model *model;
    wlm_error error;
    test_model_file(test_path("model"), options);
    assert_ok(wlm_model_load(&model, test_path("model"), 1, &error), &error);
    return model;
}

static wlm_model *plain_model(const char *codec, wlm_unit unit)
{
    const test_model_options options = {.hide = WLM_HIDE_NONE, .payload = WLM_PAYLOAD_FULL, .codec = codec,
                                        .unit = unit};
    return model_of(&options);
}

/* Frees the model. */
static json_t *evaluate(wlm_model *model, const wlm_evaluate_tokens_options *options)
{
    json_t *root;
    char *text;
    wlm_error error;
    assert_ok(wlm_evaluate_tokens(model, options, &text, &error), &error);
    root = json_loads(text, 0, NULL);
    assert_non_null(root);
    wlm_text_free(text);
    wlm_model_free(model);
    return root;
}

static wlm_evaluate_tokens_options options_for(const char *const *path)
{
    wlm_evaluate_tokens_options options = wlm_evaluate_tokens_options_default();
    options.paths = path;
    options.path_count = 1;
    return options;
}

/* By keys joined with dots; "contexts" stands for its first. */
static double number(const json_t *root, const char *path)
{
    char copy[128], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *key = strtok_r(copy, ".", &rest); key; key = strtok_r(NULL, ".", &rest)) {
        root = json_object_get(root, key);
        root = json_is_array(root) ? json_array_get(root, 0) : root;
    }
    if (!json_is_number(root))
        fail_msg("no number %s", path);
    return json_number_value(root);
}

static void near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-5 * (fabs(a) + fabs(b)) + 1e-9))
        fail_msg("%.9g is not %.9g", a, b);
}

/* ---------------------------------------------------------------- probabilities */

static void probabilities_of_what_is_allowed_sum_to_one(void **state)
{
    enum { V = 200, WORDS = (V + 63) / 64 };
    uint64_t row[WORDS];
    float logits[V], scratch[V];
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 7);
    for (int round = 0; round < 50; round++) {
        wlmi_allowed allowed = {row, (wlmi_token)wlmi_rng_below(&rng, 20), (wlmi_token)(150 + wlmi_rng_below(&rng, 50)),
                                round % 3 ? 60 : -1};
        wlmi_token best, first = 0;
        double sum = 0, ways = 0;
        for (int i = 0; i < WORDS; i++)
            row[i] = wlmi_rng_next(&rng);
        row[1] |= 1u << 3;
        for (int t = 0; t < V; t++)
            logits[t] = round < 40 ? (float)(4 * wlmi_rng_normal(&rng)) : 1.5f;
        for (int t = 0; t < V; t++)
            if (wlmi_is_allowed(&allowed, (wlmi_token)t)) {
                double bits = wlmi_token_bits(logits, &allowed, (wlmi_token)t, scratch, &best);
                first = ways == 0 ? (wlmi_token)t : first;
                sum += exp2(-bits);
                ways++;
                assert_true(wlmi_is_allowed(&allowed, best));
                assert_true(logits[best] >= logits[t]);
            }
        near(sum, 1);
        if (round >= 40) {
            near(wlmi_token_bits(logits, &allowed, first, scratch, &best), log2(ways));
            assert_int_equal(best, first);
        }
    }
}

/* ---------------------------------------------------------------- parts and totals */

static double sum_of(const json_t *object, const char *key)
{
    const char *name;
    json_t *value;
    double sum = 0;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
        sum += number(value, key);
    return sum;
}

static void check_sums(const json_t *root)
{
    static const char *const sections[] = {"opening", "header", "time", "payload"};
    const json_t *c = json_array_get(json_object_get(root, "contexts"), 0);
    const double beside = 8 * number(root, "beside_bytes"), all = number(c, "bits") - beside;
    double bits = 0, tokens = 0;
    for (int s = 0; s < 4; s++) {
        const json_t *section = json_object_get(c, sections[s]);
        bits += number(section, "bits");
        tokens += number(section, "tokens");
    }
    assert_true(all > 0);
    near(bits, all);
    near(tokens, number(c, "tokens"));
    near(sum_of(json_object_get(c, "layers"), "bits"), all);
    near(sum_of(json_object_get(c, "protocols"), "bits"), all);
    near(sum_of(json_object_get(c, "link_types"), "bits"), all);
    near(sum_of(json_object_get(c, "protocols"), "packets"), number(root, "packets"));
    near(sum_of(json_object_get(c, "protocols"), "bytes") + 24 * number(root, "files"), number(root, "bytes"));
    assert_true(sum_of(json_object_get(c, "fields"), "bits") <= all * (1 + 1e-9));
    near(number(root, "bits_per_byte"), number(c, "bits_per_byte"));
    near(number(c, "bits_per_byte"), (all + beside) / number(root, "bytes"));
    near(number(c, "bits_per_byte_tokens") + number(c, "bits_per_byte_beside"), number(c, "bits_per_byte"));
}

static void parts_add_up(void **state)
{
    const char *path = kept_path(0, "few.pcap");
    (void)state;
    test_capture_file(path, WLM_FORMAT_PCAP);
    for (int i = 0; i < 3; i++) {
        const wlm_unit unit = i == 2 ? WLM_UNIT_CAPTURE : WLM_UNIT_FLOW;
        wlm_evaluate_tokens_options options = options_for(&path);
        json_t *root = evaluate(plain_model(i == 0 ? "bytes" : "fields", unit), &options);
        check_sums(root);
        assert_int_equal(number(root, "packets"), TEST_CAPTURE_PACKETS);
        assert_int_equal(number(root, "flows"), TEST_CAPTURE_FLOWS + 1); /* ARP is one too */
        assert_true(json_is_true(json_object_get(root, "lossless")));
        assert_string_equal(json_string_value(json_object_get(root, "unit")), wlm_unit_name(unit));
        json_decref(root);
    }
}

/* Every field of the packets is there, and a model without knowledge that is right nowhere says so. */
static void fields_are_those_of_the_packets(void **state)
{
    const char *path = kept_path(0, "few.pcap");
    (void)state;
    test_capture_file(path, WLM_FORMAT_PCAP);
    for (int i = 0; i < 2; i++) {
        wlm_evaluate_tokens_options options = options_for(&path);
        json_t *root = evaluate(plain_model(i ? "fields" : "bytes", WLM_UNIT_FLOW), &options);
        const json_t *c = json_array_get(json_object_get(root, "contexts"), 0);
        const json_t *fields = json_object_get(c, "fields");
        const char *name;
        json_t *field;
        assert_int_equal(number(fields, "ttl.there"), TEST_CAPTURE_PACKETS - 1);
        assert_int_equal(number(fields, "src.there"), TEST_CAPTURE_PACKETS - 1);
        assert_int_equal(number(fields, "window.there"), 8 + 3);
        assert_int_equal(number(fields, "src-port.there"), 8 + 2 + 1 + 3);
        assert_int_equal(number(fields, "time.there"), TEST_CAPTURE_PACKETS);
        assert_true(number(fields, "src.told") < TEST_CAPTURE_PACKETS || i == 0);
        json_object_foreach((json_t *)(uintptr_t)fields, name, field) {
            assert_in_range(number(field, "told"), 0, number(field, "there"));
            assert_true(number(field, "accuracy") >= 0 && number(field, "accuracy") <= 1);
            assert_true(number(field, "accuracy_told") >= 0 && number(field, "accuracy_told") <= 1);
            assert_true(number(field, "accuracy") * number(field, "there") + 1e-6 >=
                        number(field, "accuracy_told") * number(field, "told"));
        }
        json_decref(root);
    }
}

/* ---------------------------------------------------------------- where packets come from */

static void an_imported_folder_costs_what_its_captures_cost(void **state)
{
    static const char *paths[2];
    wlm_import_options import = wlm_import_options_default();
    (void)state;
    paths[0] = kept_path(0, "one.pcap");
    test_capture_two("one.pcap", 4000);
    paths[1] = kept_path(1, "two.pcap");
    test_capture_file(paths[1], WLM_FORMAT_PCAPNG);
    import.paths = paths;
    import.path_count = 2;
    import.part = WLM_PART_VAL;
    wlmi_dataset_close(test_import(&import, NULL, NULL));
    for (int i = 0; i < 3; i++) {
        const test_model_options of = {.hide = i == 1 ? WLM_HIDE_IDS : WLM_HIDE_NONE, .payload = WLM_PAYLOAD_FULL,
                                       .codec = "fields", .unit = i == 2 ? WLM_UNIT_CAPTURE : WLM_UNIT_FLOW};
        const char *folder = kept_path(2, "import");
        wlm_evaluate_tokens_options options = wlm_evaluate_tokens_options_default();
        json_t *a, *b;
        options.paths = paths;
        options.path_count = 2;
        a = evaluate(model_of(&of), &options);
        options.path_count = 0;
        options.data = &folder;
        options.data_count = 1;
        b = evaluate(model_of(&of), &options);
        assert_int_equal(number(a, "bytes"), number(b, "bytes"));
        assert_int_equal(number(a, "flows"), number(b, "flows"));
        assert_int_equal(number(a, "beside_bytes"), number(b, "beside_bytes"));
        assert_true(number(a, "contexts.bits") == number(b, "contexts.bits"));
        assert_true(json_equal(json_object_get(a, "compressors"), json_object_get(b, "compressors")));
        assert_int_equal(json_is_true(json_object_get(a, "lossless")), i != 1);
        check_sums(a);
        json_decref(a);
        json_decref(b);
    }
}

static void a_sample_is_seeded_and_ends(void **state)
{
    const char *folder = kept_path(0, "many");
    wlm_evaluate_tokens_options options = options_for(&folder);
    json_t *a, *b;
    (void)state;
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "many/%d.pcap", i);
        test_capture_two(name, (uint16_t)(1000 + 10 * i));
    }
    options.flows = 5;
    options.models_only = 1;
    a = evaluate(plain_model("fields", WLM_UNIT_FLOW), &options);
    b = evaluate(plain_model("fields", WLM_UNIT_FLOW), &options);
    assert_int_equal(number(a, "flows"), 5);
    assert_int_equal(number(a, "files"), 3);
    assert_null(json_object_get(a, "compressors"));
    assert_true(number(a, "contexts.bits") == number(b, "contexts.bits"));
    json_decref(a);
    json_decref(b);
    options.flows = 0;
    options.bytes = 1000;
    options.by_file = 1;
    a = evaluate(plain_model("fields", WLM_UNIT_FLOW), &options);
    assert_in_range(number(a, "bytes"), 1000, 1100);
    assert_int_equal(json_array_size(json_object_get(a, "by_file")), number(a, "files"));
    json_decref(a);
}

static void damage_is_told_and_what_stands_before_it_counts(void **state)
{
    const char *path = kept_path(0, "cut.pcap"), *folder = kept_path(1, "mixed");
    wlm_evaluate_tokens_options options = options_for(&path);
    wlm_model *model = plain_model("fields", WLM_UNIT_FLOW);
    wlm_error error;
    size_t size;
    uint8_t *bytes;
    char *text;
    json_t *root;
    (void)state;
    test_capture_two("mixed/whole.pcap", 5000);
    bytes = test_read(test_path("mixed/whole.pcap"), &size);
    test_write(path, bytes, size - 5);
    test_write(test_path("mixed/notes.txt"), "no capture", 10);
    test_write(test_path("empty.pcap"), bytes, 24);
    free(bytes);
    root = evaluate(model, &options);
    assert_int_equal(number(root, "files_damaged"), 1);
    assert_string_equal(json_string_value(json_object_get(json_object_get(root, "damage"), "file")), path);
    check_sums(root);
    json_decref(root);
    options = options_for(&folder);
    root = evaluate(plain_model("fields", WLM_UNIT_FLOW), &options);
    assert_int_equal(number(root, "files"), 1);
    assert_int_equal(number(root, "files_skipped"), 1);
    json_decref(root);
    model = plain_model("fields", WLM_UNIT_FLOW);
    path = kept_path(0, "mixed/notes.txt");
    options = options_for(&path);
    assert_int_equal(wlm_evaluate_tokens(model, &options, &text, &error), WLM_ERR_FORMAT);
    assert_null(text);
    path = kept_path(0, "empty.pcap");
    assert_int_equal(wlm_evaluate_tokens(model, &options, &text, &error), WLM_ERR_ARGUMENT);
    options.hide = WLM_HIDE_IDS;
    assert_int_equal(wlm_evaluate_tokens(model, &options, &text, &error), WLM_ERR_REFUSED);
    options.hide = WLM_HIDE_NONE;
    options.path_count = 0;
    assert_int_equal(wlm_evaluate_tokens(model, &options, &text, &error), WLM_ERR_ARGUMENT);
    wlm_model_free(model);
}

/* ---------------------------------------------------------------- beside the tokens */

static wlm_status keep(void *owner, const void *data, size_t size, wlm_error *error)
{
    return wlmi_beside_bytes(owner, data, size, error);
}

static wlm_status give(void *owner, void *out, size_t size, size_t *got, wlm_error *error)
{
    wlmi_beside *b = owner;
    (void)error;
    *got = size < b->size - b->run ? size : (size_t)(b->size - b->run);
    memcpy(out, b->bytes + b->run, *got);
    b->run += *got;
    return WLM_OK;
}

/* What the token file of a plain capture holds beside its tokens. */
static void beside_of_token_file(const char *path, wlm_unit unit, wlmi_beside *beside)
{
    const wlmi_coder_options options = {.capture = unit == WLM_UNIT_CAPTURE};
    wlmi_beside file = {0};
    wlmi_tokfile_reader *reader;
    wlmi_tokfile_head head;
    wlm_token_report trailer;
    wlmi_frame frame;
    wlmi_packer *packer;
    wlm_capture *capture;
    wlm_status status;
    wlm_error error;
    assert_ok(wlm_capture_open(&capture, path, &error), &error);
    assert_ok(wlmi_packer_new(&packer, capture, wlmi_codec_find("fields"), &options, (wlmi_sink){keep, &file},
                              (wlmi_sink){NULL, NULL}, &error), &error);
    while ((status = wlmi_packer_step(packer, &error)) == WLM_OK)
        ;
    assert_int_equal(status, WLM_END);
    assert_ok(wlmi_tokfile_reader_new(&reader, (wlmi_source){give, &file, "memory"}, &error), &error);
    assert_ok(wlmi_tokfile_get_head(reader, &head, &error), &error);
    while ((status = wlmi_tokfile_next(reader, &frame, &trailer, &error)) == WLM_OK)
        assert_ok(wlmi_beside_bytes(beside, frame.beside, frame.beside_size, &error), &error);
    assert_int_equal(status, WLM_END);
    wlmi_tokfile_reader_free(reader);
    wlmi_packer_free(packer);
    wlmi_beside_free(&file);
}

/* The first capture of a path. */
static void record(const char *path, wlm_unit unit, wlmi_recording *recording)
{
    const wlmi_recordings_options options = {.path = &path, .paths = 1, .unit = unit};
    wlmi_recordings *all;
    const char *name;
    uint64_t file;
    wlm_error error;
    *recording = (wlmi_recording){0};
    assert_ok(wlmi_recordings_new(&all, &options, &error), &error);
    assert_ok(wlmi_recordings_next(all, recording, &file, &name, &error), &error);
    assert_string_equal(name, path);
    wlmi_recordings_free(all);
}

static void what_travels_beside_is_what_the_token_file_holds(void **state)
{
    const char *path = kept_path(0, "few.pcap"), *plain = kept_path(1, "plain.pcap");
    const wlm_unit units[] = {WLM_UNIT_FLOW, WLM_UNIT_CAPTURE};
    (void)state;
    test_capture_file(path, WLM_FORMAT_PCAPNG);
    for (int i = 0; i < 2; i++) {
        wlmi_recording recording;
        wlmi_beside expected = {0};
        wlmi_file_image image = {0}, again = {0};
        wlm_error error;
        record(path, units[i], &recording);
        assert_ok(wlmi_recording_image(&recording, NULL, WLM_PAYLOAD_FULL, &image, &error), &error);
        assert_int_equal(wlmi_recording_bytes(&recording), image.size);
        test_write(plain, image.bytes, image.size);
        wlmi_recording_free(&recording);
        record(plain, units[i], &recording);
        beside_of_token_file(plain, units[i], &expected);
        assert_int_equal(recording.beside.size, expected.size);
        assert_memory_equal(recording.beside.bytes, expected.bytes, expected.size);
        assert_ok(wlmi_recording_image(&recording, NULL, WLM_PAYLOAD_FULL, &again, &error), &error);
        assert_int_equal(again.size, image.size);
        assert_memory_equal(again.bytes, image.bytes, image.size);
        wlmi_free(image.bytes);
        wlmi_free(again.bytes);
        wlmi_beside_free(&expected);
        wlmi_recording_free(&recording);
    }
}

/* ---------------------------------------------------------------- batches and streams */

static double bits_with(wlmi_net *net, const wlmi_view *view, const wlmi_recording *recording, int rows,
                        int same_tokens, uint64_t *tokens)
{
    const wlmi_scorer_options options = {.rows = rows, .same_tokens = same_tokens};
    const wlmi_end end = WLMI_END_CUT;
    wlmi_scorer *scorer;
    wlm_error error;
    double bits = 0;
    assert_ok(wlmi_scorer_new(&scorer, net, view, &options, &error), &error);
    for (int again = 0; again < 2; again++) {
        wlmi_scorer_start(scorer, &bits);
        for (size_t i = 0; i < recording->packets.count; i++) {
            const wlm_packet packet = wlmi_packet_list_at(&recording->packets, i);
            assert_ok(wlmi_scorer_packet(scorer, &packet, recording->of[i].flow, recording->of[i].backward, &error),
                      &error);
        }
        assert_ok(wlmi_scorer_end(scorer, &end, &error), &error);
    }
    assert_ok(wlmi_scorer_flush(scorer, &error), &error);
    *tokens = wlmi_scorer_tokens(scorer);
    wlmi_scorer_free(scorer);
    return bits;
}

/* A piece longer than a batch goes through a state, and costs the same. */
static void a_context_of_any_length_is_exact(void **state)
{
    const char *path = kept_path(0, "few.pcap");
    wlmi_recording recording;
    wlm_error error;
    (void)state;
    test_capture_file(path, WLM_FORMAT_PCAP);
    record(path, WLM_UNIT_CAPTURE, &recording);
    for (int i = 0; i < 2; i++) {
        const char *presets[] = {"mixed", "reversible"};
        wlmi_config config = test_config(presets[i]);
        wlmi_view view = wlmi_view_default(&wlmi_codec_fields);
        wlmi_net *net;
        config.vocabulary = (int)wlmi_codec_fields.vocabulary;
        config.role_rows = (int)wlmi_codec_fields.roles + 1;
        assert_ok(wlmi_net_new(&net, &config, &wlmi_backend_ref, 3, &error), &error);
        view.unit = WLM_UNIT_CAPTURE;
        view.context = 100000;
        uint64_t all, tokens;
        double whole = bits_with(net, &view, &recording, 8192, 0, &all), other;
        for (int rows = 16; rows <= 64; rows *= 4) {
            other = bits_with(net, &view, &recording, rows, 0, &tokens);
            assert_true(fabs(other / whole - 1) < 1e-5);
            assert_int_equal(tokens, all);
        }
        view.context = 64;
        for (int same = 0; same < 2; same++) {
            other = bits_with(net, &view, &recording, 8192, same, &tokens);
            assert_true(other != whole);
            assert_true(same ? tokens == all : tokens > all);
            assert_true(fabs(bits_with(net, &view, &recording, 20, same, &tokens) / other - 1) < 1e-5);
        }
        wlmi_net_free(net);
    }
    wlmi_recording_free(&recording);
}

/* A stream of several pieces is remembered as a whole, and by no other stream. */
static void recall_lasts_for_a_stream(void **state)
{
    const char *path = kept_path(0, "few.pcap");
    const wlmi_scorer_options options = {.rows = 100, .recall = 1};
    wlmi_config config = test_config("mixed");
    wlmi_view view = wlmi_view_default(&wlmi_codec_fields);
    wlmi_recording recording;
    wlmi_scorer *scorer;
    wlmi_net *net;
    wlm_error error;
    double bits[3] = {0};
    (void)state;
    test_capture_file(path, WLM_FORMAT_PCAP);
    record(path, WLM_UNIT_CAPTURE, &recording);
    config.vocabulary = (int)wlmi_codec_fields.vocabulary;
    config.role_rows = (int)wlmi_codec_fields.roles + 1;
    assert_ok(wlmi_net_new(&net, &config, &wlmi_backend_ref, 3, &error), &error);
    view.unit = WLM_UNIT_CAPTURE;
    view.context = 64;
    assert_ok(wlmi_scorer_new(&scorer, net, &view, &options, &error), &error);
    for (int stream = 0; stream < 3; stream++) { /* the last one has the packets twice */
        wlmi_scorer_start(scorer, &bits[stream]);
        for (int again = 0; again < 1 + (stream == 2); again++)
            for (size_t i = 0; i < recording.packets.count; i++) {
                const wlm_packet packet = wlmi_packet_list_at(&recording.packets, i);
                assert_ok(wlmi_scorer_packet(scorer, &packet, recording.of[i].flow, recording.of[i].backward, &error),
                          &error);
            }
        assert_ok(wlmi_scorer_end(scorer, NULL, &error), &error);
    }
    assert_ok(wlmi_scorer_flush(scorer, &error), &error);
    assert_true(wlmi_scorer_pieces(scorer) > 8);
    assert_true(fabs(bits[1] / bits[0] - 1) < 1e-5);
    assert_true(bits[2] < 1.5 * bits[0]);
    assert_true(bits[0] + bits[1] + bits[2] < wlmi_scorer_own_bits(scorer));
    wlmi_scorer_free(scorer);
    wlmi_net_free(net);
    wlmi_recording_free(&recording);
}

static void memory_that_fails_is_a_status(void **state)
{
    const char *path = kept_path(0, "few.pcap");
    wlm_evaluate_tokens_options options = options_for(&path);
    wlm_model *model = plain_model("fields", WLM_UNIT_CAPTURE);
    uint64_t count;
    wlm_error error;
    char *text;
    (void)state;
    test_capture_file(path, WLM_FORMAT_PCAP);
    options.recall = 1;
    wlmi_alloc_fail_at(0);
    assert_ok(wlm_evaluate_tokens(model, &options, &text, &error), &error);
    count = wlmi_alloc_count();
    wlm_text_free(text);
    assert_true(count > 50);
    for (uint64_t k = 1; k <= count; k += 1 + k / 20) {
        wlmi_alloc_fail_at(k);
        wlm_status status = wlm_evaluate_tokens(model, &options, &text, &error);
        wlmi_alloc_fail_at(0);
        assert_true(status == WLM_ERR_MEMORY || status == WLM_OK);
        wlm_text_free(text);
    }
    wlm_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probabilities_of_what_is_allowed_sum_to_one),
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(fields_are_those_of_the_packets),
        cmocka_unit_test(an_imported_folder_costs_what_its_captures_cost),
        cmocka_unit_test(a_sample_is_seeded_and_ends),
        cmocka_unit_test(damage_is_told_and_what_stands_before_it_counts),
        cmocka_unit_test(what_travels_beside_is_what_the_token_file_holds),
        cmocka_unit_test(a_context_of_any_length_is_exact),
        cmocka_unit_test(recall_lasts_for_a_stream),
        cmocka_unit_test(memory_that_fails_is_a_status),
    };
    return cmocka_run_group_tests_name("evaluate_tokens", tests, NULL, NULL);
}
