/* cmd_train.c: wirelm train. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* "plain=.5,classify=.4,generate=.1" into the shares; 0 where it is something else. */
static int parse_prompts(const char *text, wlm_train_options *o)
{
    const struct {
        const char *name;
        double *share;
    } kinds[] = {{"plain", &o->plain}, {"classify", &o->classify}, {"generate", &o->generate}};
    while (*text) {
        size_t length = strcspn(text, "="), kind = 0;
        char *end;
        while (kind < 3 && (strlen(kinds[kind].name) != length || strncmp(kinds[kind].name, text, length)))
            kind++;
        if (kind == 3 || text[length] != '=')
            return 0;
        text += length + 1;
        *kinds[kind].share = strtod(text, &end);
        if (end == text || !isfinite(*kinds[kind].share) || *kinds[kind].share < 0 || (*end && *end != ','))
            return 0;
        text = *end ? end + 1 : end;
    }
    return o->plain + o->classify + o->generate > 0;
}

static json_t *real_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static int print_report(const wlm_train_options *o, const wlm_train_report *r)
{
    return print_json(json_pack(
        "{s:i, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:f, s:f, s:s}", "ranks", r->ranks, "steps", (json_int_t)r->steps, "skipped",
        (json_int_t)r->skipped, "tokens", (json_int_t)r->tokens, "parameters", (json_int_t)r->parameters, "loss_first",
        real_or_null(r->loss_first), "loss_last", real_or_null(r->loss_last), "loss_val", real_or_null(r->loss_val),
        "seconds", r->seconds, "tokens_per_s", r->tokens_per_s, "model", o->out));
}

/* Whether mpirun started several of us: Open MPI says so, and those that speak PMI. */
static int under_mpi(void)
{
    const char *size = getenv("OMPI_COMM_WORLD_SIZE");
    if (!size)
        size = getenv("PMI_SIZE");
    return size && atoi(size) > 1;
}

static int run(const command *self, int argc, char **argv)
{
    wlm_train_options o = wlm_train_options_default();
    wlm_train_report report;
    wlm_error error;
    wlm_status status;
    list data = {NULL, 0};
    const char *prompts = NULL;
    uint32_t threads = 0;
    const option table[] = {
        {'d', "data", OPTION_LIST, "DIR...", &data, "imported folders", 1},
        {'o', "output", OPTION_TEXT, "MODEL", &o.out, "checkpoint to write (safetensors)", 1},
        {0, "preset", OPTION_TEXT, "NAME", &o.preset, "shape of a new model (default trafficgpt-nano); see info --build", 0},
        {0, "roles", OPTION_FLAG, NULL, &o.roles, "the model also sees the role of the token to come", 0},
        {0, "places", OPTION_FLAG, NULL, &o.places, "and where in its payload the next byte stands (codec fields)", 0},
        {0, "segments", OPTION_U32, "N", &o.segments,
         "and the index of the packet in its flow, N - 1 apart and the rest as one (default: as the preset has it)", 0},
        {0, "init", OPTION_TEXT, "MODEL", &o.init, "start from this checkpoint instead", 0},
        {0, "summary", OPTION_FLAG, NULL, &o.summary,
         "grow trees that judge by sums of sizes and times, from --steps batches; the rest of it stays", 0},
        {0, "prompts", OPTION_TEXT, "SHARES", &prompts,
         "e.g. plain=.5,classify=.4,generate=.1 (default: plain=1; with labels .2, .6, .2)", 0},
        {0, "codec", OPTION_TEXT, "NAME", &o.codec, "tokens (default: fields, or those of --init)", 0},
        {0, "unit", OPTION_UNIT, "UNIT", &o.unit,
         "flow, or capture: pieces of whole captures, flows interleaved (default: flow, or that of --init)", 0},
        {0, "hide", OPTION_TEXT, "POLICY|SHARES", &o.hide_shares,
         "none, ids, implicit or shape; or several, drawn per sequence: ids=.6,shape=.4 (default: ids, or as --init)", 0},
        {0, "payload", OPTION_TEXT, "N|full|SHARES", &o.payload_shares,
         "bytes of payload per packet; or several: 64=.8,full=.2 (default: full, or as --init)", 0},
        {0, "max-packets", OPTION_TEXT, "N|SHARES", &o.max_packets_shares,
         "packets per flow; or several: 16=.8,32=.2 (default: as many as fit, or as --init)", 0},
        {0, "alter", OPTION_TEXT, "SHARES", &o.alter,
         "alterations, as shares of all sequences: nat=.05,oneway=.05; docs/ALTERATIONS.md (default: none, or as --init)", 0},
        {0, "balance", OPTION_REAL, "X", &o.balance,
         "labels of a task: 0 as frequent as they are, 1 all equally (default %default)", 0},
        {0, "task-balance", OPTION_REAL, "X", &o.task_balance, "the same for tasks (default %default)", 0},
        {0, "task-shares", OPTION_TEXT, "SHARES", &o.task_shares, "or how often each task comes: device=1,service=2", 0},
        {0, "per-label", OPTION_U32, "N", &o.per_label, "use N labelled training flows of each label only (default: all)", 0},
        {0, "draw", OPTION_U64, "SEED", &o.draw, "which ones (default %default)", 0},
        {0, "leave-out", OPTION_TEXT, "L,L", &o.leave_out, "labels that the model is not taught (default: none)", 0},
        {0, "shuffle-fields", OPTION_U64, "SEED", &o.shuffle_fields,
         "tags of each packet in a drawn order; codec fields only (default 0: as --init, or never)", 0},
        {0, "steps", OPTION_U64, "N", &o.steps, "length of the run (default: 1000 steps, without --time)", 0},
        {0, "time", OPTION_SECONDS, "TIME", &o.seconds, "or how long to train: 90, 10m, 2h", 0},
        {0, "tokens-per-batch", OPTION_U32, "N", &o.tokens_per_batch, "default: 2048, or the context where that is longer", 0},
        {0, "accumulate", OPTION_U32, "N", &o.accumulate, "batches per step, under mpirun of each rank (default %default)", 0},
        {0, "context", OPTION_U32, "N", &o.context, "longest sequence in tokens (default: the preset's, or that of --init)", 0},
        {0, "recompute", OPTION_FLAG, NULL, &o.recompute, "compute activations twice, to keep fewer of them in memory", 0},
        {0, "learning-rate", OPTION_REAL, "X", &o.learning_rate, "peak of the schedule (default %default)", 0},
        {0, "optimiser", OPTION_TEXT, "NAME", &o.optimiser,
         "adamw, or muon: Muon on the layers' matrices, AdamW on the rest (default adamw)", 0},
        {0, "schedule", OPTION_TEXT, "NAME", &o.schedule,
         "after the warm-up: cosine (to a tenth), wsd (stays, and in the last fifth falls to 0 as 1 - sqrt) or constant"
         " (default cosine)", 0},
        {0, "warmup", OPTION_REAL, "SHARE", &o.warmup, "share of the run in which the rate rises (default %default)", 0},
        {0, "weight-decay", OPTION_REAL, "X", &o.weight_decay, "of matrices (default %default)", 0},
        {0, "decay-embeddings", OPTION_FLAG, NULL, &o.decay_embeddings, "of embeddings too; norms never decay", 0},
        {0, "clip", OPTION_REAL, "NORM", &o.clip, "largest gradient norm, 0: any (default %default)", 0},
        {0, "seed", OPTION_U64, "N", &o.seed, "default %default", 0},
        {0, "resume", OPTION_FLAG, NULL, &o.resume, "go on with the run that MODEL.resume holds", 0},
        {0, "validate-every", OPTION_U64, "N", &o.validate_every,
         "steps between losses on val parts, in log and progress (default: only at the end)", 0},
        {0, "checkpoint-every", OPTION_U64, "N", &o.checkpoint_every,
         "steps after which MODEL is written as it stands (default: only at the end)", 0},
        {0, "save-every", OPTION_SECONDS, "TIME", &o.save_every_s, "how often MODEL.resume is written (default %default s)", 0},
        {0, "threads", OPTION_U32, "N", &threads, "0: one per processor (default %default)", 0},
        {0, "backend", OPTION_TEXT, "NAME", &o.backend, "cpu or ref (default cpu)", 0},
        {0, "reduce", OPTION_TEXT, "TYPE", &o.reduce,
         "under mpirun: gradients travel as f32 or bf16 (default f32)", 0},
        {0, "log", OPTION_TEXT, "FILE", &o.log, "append one JSON line per step", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    if (prompts && !parse_prompts(prompts, &o))
        return usage_error(self, "option '--prompts' cannot be '%s'", prompts);
    if (threads > 4096)
        return usage_error(self, "option '--threads' cannot be '%u'", threads);
    o.threads = (int)threads;
    o.data = data.item;
    o.data_count = data.count;
    o.progress = show_progress;
    o.stop = install_stop();
    o.ranks = under_mpi() ? WLM_RANKS_MPI : WLM_RANKS_ALONE;
    status = wlm_train(&o, &report, &error);
    end_progress();
    if (report.rank > 0) /* rank 0 has the same result and tells it; an exit status here might end it before it has */
        return EXIT_DONE;
    if (status == WLM_STOPPED && !o.summary) {
        fprintf(stderr, "wirelm train: stopped after %llu steps; the same command with --resume goes on from %s\n",
                (unsigned long long)report.steps, error.file);
        return EXIT_DONE;
    }
    return status == WLM_OK ? print_report(&o, &report) : report_error(&error);
}

const command command_train = {
    "train", "pre-trains or fine-tunes a model on imported folders",
    "-d DIR... -o MODEL [--preset P | --init MODEL] [--steps N | --time T] [options]", run};
