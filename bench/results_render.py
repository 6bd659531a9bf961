"""results_render: docs/RESULTS.md from what bench/results measured."""
import json, os

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KEPT = os.path.join(ROOT, "bench/measured")
TASKS = {"service": "pretrain", **{t: t for t in "device vpn malware dnstunnel industrial mining webshell".split()}}
ALTERATIONS = "nat midstream snap128 oneway snap96 sample10 loss1 reorder jitter noname offload".split()
FEW = ("malware", "device")
GENERATED = {"service": ["DNS", "TLS", "HTTP"], "device": ["HueBridge", "D-LinkSensor"], "dnstunnel": ["dns-benign"],
             "industrial": ["modbus"]}
STRATA = {"plain": "plain", "tls_sni": "TLS with SNI", "tls_no_sni": "TLS without", "quic": "QUIC", "other": "other"}
SECTIONS = ("opening", "header", "time", "payload")
FAULTS = ("ip_checksum", "transport_checksum", "ip_length", "udp_length")

TEXT = {
    "Labels": """
    Macro-F1 under policy `ids` of the model that ships, which sees so many payload bytes of so many packets, with a
    95 % interval by resampling captures, beside the best shallow baseline (128 payload bytes of 32 packets under the
    same policy), what always guessing the most common label scores, and a model that begins with random values and is
    taught as in stage `use` alone, in as many steps as the command below says. ECE: expected calibration
    error, the temperature fitted on the dev part (so none there).""",
    "Less to see": """
    The same under `implicit`, and under `shape`: sizes and times alone.""",
    "Controls": """
    Macro-F1 under `ids` of a linear probe and of the nearest neighbours on the frozen model's vectors (at most 300
    training flows of each label); and of what no other score may rest on: a tree, and the best of forest and
    boosting, that read clock, link type, addresses and ports alone.""",
    "Ten labels per class": """
    Macro-F1 under `ids`, mean of the draws given; model, random start and shallow baselines learn from the same
    flows. The pre-trained model saw no flow of these two tasks, with label or without (`scripts/held-out.conf`): it
    is not the one that ships, which has been taught all labels.""",
    "Stress": """
    Macro-F1 under `ids` on flows altered so ([ALTERATIONS.md](ALTERATIONS.md)), beside the best of the shallow
    baselines that learned from flows as they are, or from altered ones too, on the same altered flows.""",
    "Open set": """
    A model that was taught no label of a fifth of each task's (`scripts/held-out.conf`): how well its score tells
    flows of these labels, and of three other tasks (`service`: of none, since it names the traffic of all others),
    from those that it knows. FPR: share of strangers that pass where 95 % of the known flows do. Forest: its
    largest probability, the better of its feature sets.""",
    "Bits per byte": """
    Of captures, by models that tell everything (`scripts/lossless.conf`, `scripts/links.conf`: policy `none`,
    payload in full; the model that ships hides identities and does not tell all payload), with what travels beside
    the tokens, and with `--recall` ([EVALUATE.md](EVALUATE.md)): what each flow or capture has shown already mixed
    into what the model says; model alone: without. Flow and capture: a sample of the held-out captures of
    `pretrain`; links: the third of the Bluetooth LE and IEEE 802.15.4 captures that was kept back. Header and time:
    all but payload, over what xz makes of the same packets with payloads zeroed.""",
    "Context": """
    Bits per byte of long recordings of the lab (`sample/`), unit capture, by the tokens that the model remembers;
    the codec begins anew with the model.""",
    "Generated flows": """
    By the model that ships for it (`scripts/generate.conf`), 1,000 flows of each label, beside held-out real ones,
    which begin and break off as recorded, so generated ones may too (`--allow-cut`); chosen among four times as
    many, to be like the training flows ([GENERATE.md](GENERATE.md)). Divergences: mean over columns - the same between
    halves of the real flows; copy, there and behind other columns: what training flows themselves would score.
    Wrong: packets with a wrong checksum or length. Sequence: share of packets with a TCP sequence fault, generated /
    real. Programs: of the verdict that a program gives most real flows, its share of generated ones over that of real
    ones: the worst of ndpiReader, tcptrace and Suricata (7.0.10, of Debian's backports). AUC: a
    forest's that tells them from real flows (few: of less than 1,000 flows each, which says little). Copied: share
    of flows whose payload stands in training, generated / real.""",
    "How soon": """
    Macro-F1 under `ids` had the flow been asked about after so many packets, or tokens.""",
    "Size and speed": """
    The model that ships, and `wirelm bench classify` with it ([BENCH.md](BENCH.md)).""",
    "Ablation on the sample": """
    `wirelm bench ablate` ([BENCH.md](BENCH.md)): one small model per row, all of about one size, taught as many tokens
    of the same flows from the same seed; bits per captured byte (so that codecs compare) on the dev part, tokens/s
    of training, and memory for its activations.""",
    "Ablation on part 1 of the corpus": """
    The same.""",
}


# ---------------------------------------------------------------- bricks

def number(x, form="{:.3f}"):
    """.123 for 0.123; empty where nothing was measured."""
    if x is None:
        return ""
    text = form.format(x)
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text


def at(x, *path):
    """x[path[0]][path[1]]..., or None where anything of it is missing."""
    for key in path:
        if isinstance(x, dict):
            x = x.get(key)
        else:
            x = x[key] if isinstance(x, list) and isinstance(key, int) and key < len(x) else None
    return x


def table(head, rows):
    rows = ["| " + " | ".join("" if c is None else str(c) for c in r) + " |" for r in rows]
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *rows, ""]


def mean(values):
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


def shortened(x):
    """To six digits."""
    if isinstance(x, dict):
        return {k: shortened(v) for k, v in x.items()}
    if isinstance(x, list):
        return [shortened(v) for v in x]
    return float(f"{x:.6g}") if isinstance(x, float) else x


def keep(folder, name, got):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump(shortened(got), f, separators=(",", ":"))
        f.write("\n")


def above(value, bar):
    return None if value is None or bar is None else value > bar


def both(*answers):
    """False where one is, None where one is not known."""
    return False if False in answers else None if None in answers else True


class Page:
    """The sections, and what each says of the figures that were asked for."""
    def __init__(self, a, models):
        self.models = models  # digests of those that ship: what was measured with others is left out
        self.a, self.lines, self.verdicts, self.commands = a, [], [], {}

    def load(self, name):
        """What OUT has, which is kept too; else what was kept."""
        for folder in (self.a.out, KEPT):
            path = os.path.join(folder, self.a.split, name + ".json")
            if not os.path.exists(path):
                continue
            with open(path) as f:
                got = json.load(f)
            if got["model"] and got["model"] not in self.models:
                continue
            if folder != KEPT:
                keep(os.path.join(KEPT, self.a.split), name, got)
            self.commands.setdefault(name.split("-")[0], got["commands"])
            return got["result"]
        return None

    def run(self, name, hide="ids"):
        """One policy's report of an evaluation."""
        got = self.load(name)
        return next((r for r in (got or {}).get("runs", [got]) if r and r["hide"] == hide), None)

    def verdict(self, figure, what, asked, measured, reached):
        if measured:
            said = {True: "yes", False: "**no**", None: "not known"}[reached]
            self.verdicts.append([figure, what, asked, measured, said])

    def section(self, title, *tables):
        """A section where a table has rows. Its commands are the first of each kind since the last one."""
        if any(rows for _, rows in tables):
            self.lines += [f"## {title}", "", " ".join(TEXT[title].split()), ""]
            for head, rows in tables:
                self.lines += table(head, rows) if rows else []
            if self.commands:
                self.lines += [*(f"`{c}`  " for commands in self.commands.values() for c in commands), ""]
        self.commands = {}


def best(scored, field="macro_f1"):
    """The highest score of any shallow baseline, and which it was."""
    found = [(at(s, *field.split("/")), f"{name} {model}") for name, models in (at(scored, "features") or {}).items()
             for model, s in models.items() if at(s, *field.split("/")) is not None]
    return max(found, default=(None, ""))


# ---------------------------------------------------------------- labels: figures 1, 2, 4

def labels(page):
    rows, policies, strata, controls = [], [], [], []
    for t in TASKS:
        own, shape, implicit = page.run(f"classify-{t}"), page.run(f"policies-{t}", "shape"), page.run(
            f"policies-{t}", "implicit")
        shallow, control, start = page.load(f"shallow-{t}"), page.run(f"controls-{t}"), page.run(f"random-{t}")
        f1, start_f1 = at(own, "macro_f1"), at(start, "macro_f1")
        scored, which = best(at(shallow, "hide", "ids"))
        by_shape, by_implicit = (best(at(shallow, "hide", h))[0] for h in ("shape", "implicit"))
        majority = at(own, "controls", "majority", "macro_f1")
        ece = None if at(own, "calibration", "in_sample") else at(own, "calibration", "calibrated", "error")
        if own:
            low, high = own["intervals"]["macro_f1"]
            sees = f"{own['payload']} B of {own['max_packets']}"
            rows.append([t, own["flows"], sees, f"**{number(f1)}** ({number(low)}-{number(high)})",
                         number(own["accuracy"]),
                         f"{number(scored)} {which}", number(majority), number(start_f1), number(ece)])
            strata.append([t] + [f"{number(at(own, 'strata', k, 'macro_f1'))} ({own['strata'][k]['flows']})"
                                 if own["strata"][k]["flows"] else "" for k in STRATA])
        if shape or implicit:
            policies.append([t, number(at(implicit, "macro_f1")), number(by_implicit), number(at(shape, "macro_f1")),
                             number(by_shape), number(at(page.run(f"random-{t}", "shape"), "macro_f1"))])
        if control:
            c = control["controls"]
            given_away = [s["macro_f1"] for s in (at(shallow, "shortcut") or {}).values()]
            controls.append([t, number(f1), *(number(at(c, k, "macro_f1")) for k in ("probe", "nearest", "shortcut")),
                             number(max(given_away, default=None))])
        page.load("train-random-start")
        judge(page, t, f1, scored, majority, start_f1, ece)
        page.verdict(1, f"{t}, shape", "above shallow by .02, or .99", at(shape, "macro_f1") is not None and by_shape
                     and f"{number(shape['macro_f1'])}, shallow {number(by_shape)}",
                     None if by_shape is None else (at(shape, "macro_f1") or 0) >= min(by_shape + .02, .99))
    page.section("Labels", (["task", "flows", "sees", "wirelm", "accuracy", "best shallow", "majority", "random start",
                             "ECE"], rows), (["macro-F1 (flows)", *STRATA.values()], strata))
    page.section("Less to see", (["task", "implicit", "shallow", "shape", "shallow", "random start, shape"], policies))
    page.section("Controls", (["task", "wirelm", "probe", "nearest", "shortcut, tree", "shortcut, shallow"], controls))


def judge(page, task, f1, scored, majority, start, ece):
    if f1 is None:
        return
    if task == "webshell":
        page.verdict(2, task, "above majority and every shallow baseline",
                     f"{number(f1)}, majority {number(majority)}, shallow {number(scored)}",
                     both(above(f1, majority), above(f1, scored)))
    else:
        page.verdict(1, task, "above shallow by .02, or .99", f"{number(f1)}, shallow {number(scored)}",
                     None if scored is None else f1 >= min(scored + .02, .99))
        page.verdict(1, task, "above random start", start is not None and f"{number(f1)}, random start {number(start)}",
                     above(f1, start))
    page.verdict(4, task, "calibration error at most .05", ece is not None and number(ece), (ece or 0) <= .05)


# ---------------------------------------------------------------- few labels, stress, open set: figures 3, 4

def few_labels(page):
    rows = []
    for t in FEW:
        runs = {kind: [at(page.run(f"few-{kind}{t}-{d}"), "macro_f1") for d in range(1, 6)] for kind in ("", "random-")}
        ours, start = mean(runs[""]), mean(runs["random-"])
        shallow = at(page.load(f"few-shallow-{t}"), "hide", "ids")
        scored, which = best(shallow)
        if ours is None and start is None:
            continue
        drawn = " ".join(number(v) for v in runs[""] if v is not None)
        rows.append([t, number(ours), drawn, f"{number(scored)} {which}", number(start)])
        page.verdict(3, t, "above shallow by .05, above random start",
                     f"{number(ours)}, shallow {number(scored)}, random start {number(start)}",
                     both(above(ours, None if scored is None else scored + .05), above(ours, start)))
    page.section("Ten labels per class", (["task", "wirelm", "draws", "best shallow", "random start"], rows))


def stress(page):
    rows = []
    for t in TASKS:
        plain = {}
        for name in (f"stress-{t}", f"stress-more-{t}"):
            got = page.run(name)
            plain.update(at(got, "stress") or {})
        shallow = at(page.load(f"shallow-stress-{t}"), "hide", "ids", "stress") or {}
        whole = at(page.run(f"classify-{t}"), "macro_f1")
        if not plain:
            continue
        cells = []
        for a in ALTERATIONS:
            ours, lost = at(plain, a, "macro_f1"), at(plain, a, "macro_f1_lost")
            theirs = max((best({"features": shallow.get(a)}, f"{how}/macro_f1")[0] or 0
                          for how in ("trained_plain", "trained_altered"))) or None
            cells.append(f"{number(ours)} / {number(theirs)}" if ours is not None else "")
            if a in ALTERATIONS[:3]:
                page.verdict(4, f"{t}, {a}", "at most .10 lost, not below shallow", ours is not None and
                             f"{number(ours)}, lost {number(lost)}, shallow {number(theirs)}",
                             both((lost or 0) <= .1, None if theirs is None else (ours or 0) >= theirs))
        rows.append([t, number(whole), *cells])
    page.section("Stress", (["task", "unaltered", *ALTERATIONS], rows))


def open_set(page):
    rows = []
    for t in TASKS:
        got, shallow = page.run(f"open-{t}"), page.load(f"open-shallow-{t}")
        o = at(got, "open_set")
        forest = max(((at(m, "forest", "all", "auroc"), at(m, "forest", "all", "fpr_at_95")) for m in
                      (at(shallow, "hide", "ids", "features") or {}).values()), default=(None, None))
        if not o:
            continue
        rows.append([t, number(got["macro_f1"]), number(at(o, "left_out", "auroc")),
                     number(at(o, "other_folders", "auroc")), number(o["auroc"]), number(o["fpr_at_95"]),
                     *map(number, forest)])
        page.verdict(4, f"{t}, open set", "AUROC at least .85", o["auroc"] is not None and
                     f"{number(o['auroc'])}, forest {number(forest[0])}", (o["auroc"] or 0) >= .85)
    page.section("Open set", (["task", "macro-F1, known", "AUROC left out", "other tasks", "both", "FPR",
                               "forest AUROC", "forest FPR"], rows))


# ---------------------------------------------------------------- bits per byte: figures 5, 7, 8

def tokens(page):
    rows, parts, contexts = [], [], []
    for what, by, share in (("flow", "by_flow", .8), ("capture", "by_file", 1), ("links", "by_file", 1)):
        got = page.load("tokens-" + what)
        if not got:
            continue
        c = got["contexts"][0]
        bits, xz = c["bits_per_byte"], at(got, "compressors", by, "xz_9e", "bits_per_byte")
        header = at(c, "against", by, "xz_9e", "header_time")
        alone = c.get("bits_per_byte_model")
        alone = f" (without recall {number(alone)}: {number(alone / xz)})" if alone else ""
        rows.append([what, got["files"], got["bytes"], f"**{number(bits)}**", number(c.get("bits_per_byte_model")),
                     number(c["bits_per_byte_beside"]),
                     *(number(at(got, "compressors", by, k, "bits_per_byte")) for k in ("xz_9e", "zstd_19", "gzip_9")),
                     "flow by flow" if by == "by_flow" else "file by file", number(header),
                     "yes" if got["lossless"] else "no"])
        parts.append([what, *(number(at(c, s, "bits_per_byte")) for s in SECTIONS)])
        page.verdict(8 if what == "links" else 5, what, f"bits per byte at most {share:.2f} of xz -9e" if share < 1 else
                     "bits per byte below xz -9e", f"{number(bits)}, xz {number(xz)}: {number(bits / xz)}" + alone,
                     got["lossless"] and (bits <= share * xz if share < 1 else bits < xz))
        if what != "links" and header is not None:
            page.verdict(5, f"{what}, header and time", "at most .50 of xz with payloads zeroed", number(header),
                         header <= .5)
    got = page.load("tokens-context")
    if got:
        bits = {c["context"]: c["bits_per_byte"] for c in got["contexts"]}
        contexts = [[k, number(v)] for k, v in bits.items()]
        short = bits.pop(min(bits))
        page.verdict(7, "context", "bits per byte at 12,032 and 65,536 tokens below 2,048",
                     f"{number(short)} at 2,048, then " + ", ".join(number(v) for v in bits.values()),
                     all(v < short for v in bits.values()))
    page.section("Bits per byte", (["unit", "files", "bytes", "wirelm", "model alone", "of it beside", "xz -9e",
                                    "zstd -19", "gzip -9", "compressors", "header and time", "lossless"], rows),
                 (["bits per byte by section", *SECTIONS], parts))
    page.section("Context", (["context", "bits per byte"], contexts))


# ---------------------------------------------------------------- generation: figure 6

def generate(page):
    rows, tstr = [], []
    for t in GENERATED:
        got = page.load(f"generate-{t}")
        for name, r in (at(got, "labels") or {}).items():
            fields, features = r["fields"], r["features"]
            apart = [None if p["mean"] is None else p["mean"] - (p["floor"] or 0) for p in (fields, features)]
            wrong = sum(at(r, "validity", "faults", f, "fake", "packets") or 0 for f in FAULTS)
            sequence = [at(r, "validity", "faults", "tcp_sequence", side, "share") or 0 for side in ("fake", "real")]
            ratios = [at(p, "agreement", "ratio") for p in (at(r, "programs") or {}).values()]
            ratio = min([x for x in ratios if x is not None], default=None)
            copies = [at(p, "agreement", "copy_of_training") for p in (at(r, "programs") or {}).values()]
            copy = min([x for x in copies if x is not None], default=None)
            auc, few = at(r, "discriminator", "auc"), at(r, "discriminator", "too_few")
            copied = [at(r, "copies", s, "flows_share") for s in ("fake", "real")]
            rows.append([t, name, f"{number(fields['mean'])} - {number(fields['floor'])}",
                         number(fields.get("copy_of_training")),
                         f"{number(features['mean'])} - {number(features['floor'])}",
                         number(features.get("copy_of_training")), wrong,
                         f"{number(sequence[0])} / {number(sequence[1])}", number(ratio), number(copy),
                         number(auc) + " (few)" * bool(few), number(at(r, "discriminator", "copy_of_training")),
                         f"{number(copied[0])} / {number(copied[1])}"])
            for asked, measured, reached in (
                    ("field JSD above the floor by at most .08", apart[0], (apart[0] or 0) <= .08),
                    ("feature JSD above the floor by at most .12", apart[1], (apart[1] or 0) <= .12),
                    ("no wrong checksum or length", wrong, wrong == 0),
                    ("TCP sequence faults not above real", sequence[0], sequence[0] <= sequence[1]),
                    ("copied flows not above real", copied[0], (copied[0] or 0) <= (copied[1] or 0)),
                    ("other programs agree at .9", ratio, (ratio or 0) >= .9),
                    ("forest AUC at most .65", auc, None if few and auc and auc <= .65 else (auc or 0) <= .65)):
                page.verdict(6, f"{t}, {name}", asked, measured is not None and f"{number(measured)}", reached)
        s = at(got, "train_on_synthetic")
        if s:
            tstr.append([t, number(s["macro_f1_synthetic"]), number(s["macro_f1_real"]), number(s["ratio"]),
                         number(at(s, "few", "macro_f1_real")), number(at(s, "few", "macro_f1_real_and_synthetic"))])
            page.verdict(6, f"{t}, train on synthetic", "at least .9 of train on real", number(s["ratio"]),
                         (s["ratio"] or 0) >= .9)
    page.section("Generated flows", (["task", "label", "field JSD", "copy", "feature JSD", "copy", "wrong",
                                      "sequence", "programs", "copy", "AUC", "copy", "copied"], rows),
                 (["task", "train on synthetic", "on real", "ratio", "10 real per label", "and synthetic"], tstr))


# ---------------------------------------------------------------- the rest

def curves(page):
    rows = []
    for t in TASKS:
        got = at(page.run(f"curves-{t}"), "curves") or {}
        for by in ("packets", "tokens"):
            if got.get(by):
                rows.append([t, by, ", ".join(f"{p[by]}: {number(p['macro_f1'])}" for p in got[by])])
    page.section("How soon", (["task", "by", "macro-F1"], rows))


def size(page):
    model, bench, rows = page.load("model"), page.load("bench-classify"), []
    if model:
        rows += [["bytes", model["bytes"]], ["parameters", model["parameters"]], ["values", model["dtype"]],
                 ["SHA-256", model["sha256"][:16] + "..."]]
    for key, value in (bench or {}).items():
        if isinstance(value, dict) and "median" in value:
            value = value["median"]
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            rows.append([key, f"{value:.4g}" if isinstance(value, float) else value])
    page.section("Size and speed", (["what", "how much"], rows))


def ablation(page):
    """A table for each folder: bits per captured byte, and what a row cost."""
    for name, title in (("sample", "the sample"), ("part1", "part 1 of the corpus")):
        by = {(r["heads"], r["roles"], r["codec"]): r for r in page.load(f"ablate-{name}") or []}
        rows = []
        for heads, roles in dict.fromkeys(k[:2] for k in by):
            row = [heads, "yes" if roles else "no"]
            for codec in ("bytes", "fields"):
                r = by.get((heads, roles, codec), {})
                row += [number(r.get("bits_per_byte")), at(r, "train_tokens_per_s") and round(r["train_tokens_per_s"]),
                        at(r, "activation_bytes") and round(r["activation_bytes"] / 2**20)]
            rows.append(row)
        page.section(f"Ablation on {title}", (["heads", "roles", "`bytes`: bits per byte", "tokens/s", "MiB",
                                            "`fields`: bits per byte", "tokens/s", "MiB"], rows))


def render(a, models):
    page = Page(a, models)
    for part in (labels, few_labels, stress, open_set, tokens, generate, curves, size, ablation):
        part(page)
    where = ("the given held-out parts (`test` of the imported folders)" if a.split == "test" else
             "the dev tenth (`val` of the imported folders)")
    head = ["# Results", "", f"Made by `bench/results CORPUS OUT --split {a.split}`; nothing here was typed by hand "
            f"between the head and the trials. Everything above the ablation is scored on {where}; choices were made "
            "on the dev tenth. One model, one seed; what was not measured is left out. What the figures mean: "
            "[EVALUATE.md](EVALUATE.md), [CONTROLS.md](CONTROLS.md).", ""]
    if page.verdicts:
        page.verdicts.sort(key=lambda v: v[0])
        yes = sum(v[-1] == "yes" for v in page.verdicts)
        head += ["## What was asked, and what was reached", "", f"{yes} of {len(page.verdicts)} reached.", "",
                 *table(["figure", "of", "asked", "measured", "reached"], page.verdicts)]
    trials = os.path.join(ROOT, "bench/trials.md")
    tail = [open(trials).read().rstrip(), ""] if os.path.exists(trials) else []
    with open(os.path.join(ROOT, "docs/RESULTS.md"), "w") as f:
        f.write("\n".join(head + page.lines + tail))
