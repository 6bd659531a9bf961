/* cmd_evaluate.c: wirelm evaluate WHAT: one small command for each thing that can be evaluated. */
#include "cli.h"

static const command parts[] = {
    {"evaluate classify", "scores a model's labels against those of imported flows",
     "[-m MODEL] -d DIR... [--split test] [options]", run_evaluate_classify},
    {"evaluate generate", "compares generated flows with real ones",
     "([-m MODEL] --task T --label L... --flows N | --fake PATH...) --real PATH... [--train PATH...]",
     run_evaluate_generate},
    {"evaluate tokens", "bits that captures cost a model, beside general compressors",
     "[-m MODEL] (-r PATH... | -d DIR...) [options]", run_evaluate_tokens},
    {NULL, NULL, NULL, NULL},
};

static int run(const command *self, int argc, char **argv)
{
    return run_part(self, parts, argc, argv);
}

const command command_evaluate = {"evaluate", "measures how good a model is", "classify|generate|tokens [options]", run};
