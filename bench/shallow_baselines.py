#!/usr/bin/env python3
"""Shallow baselines on the packets that a model reads: `wirelm features` writes them, hidden by the same policy and
payload limit; a random forest and gradient boosting learn the labels of the train part and are scored on another.

  python3 -m venv venv && venv/bin/pip install -r bench/requirements.txt
  venv/bin/python bench/shallow_baselines.py -d DIR [--split val] [--hide ids,implicit,shape] [--out FILE.json]

Feature sets, of the first 32 packets at most:
  sizes   signed payload sizes and relative times, with summaries of both
  bytes   first 128 payload bytes of either direction
  stack   TTL, TOS, DF, IP ID, TCP flags, window, option kinds, segment size, window scale, protocol
  all     the three together
  shortcut (policy none alone): clock, link type, addresses, ports, which no honest score may rest on

Prints one JSON object: for each policy, feature set and model accuracy, macro-F1 over the labels that the scored part
has (predictions of other labels are errors), and a 95 % interval of it from resampling captures. Other parts of the
object, on demand: few labels (--per-label), altered flows (--stress), strangers (--open-set)."""
import argparse, ipaddress, json, os, subprocess, sys, tempfile, time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin cost the most beside a busy neighbour
from collections import defaultdict

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score, roc_auc_score

PACKETS, BYTES = 32, 128
ABSENT = -1e6
SETS = ("sizes", "bytes", "stack", "all")
SHAPE_SETS = ("sizes",)
RESAMPLES = 200


# ---------------------------------------------------------------- features

def padded(values, length, fill=ABSENT):
    values = list(values[:length])
    return values + [fill] * (length - len(values))


def packed(row):
    return np.asarray(row, dtype=np.float32)


def summary(values):
    if not values:
        return [0, 0, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT]
    v = np.asarray(values, dtype=np.float64)
    return [len(v), v.sum(), v.mean(), v.std(), v.min(), np.median(v), v.max()]


def sizes(flow):
    backward, size, times = flow["backward"], flow["payload"], flow["time"]
    gaps = [b - a for a, b in zip(times, times[1:])]
    row = padded([-s if b else s for s, b in zip(size, backward)], PACKETS)
    row += padded(times, PACKETS) + padded(gaps, PACKETS - 1)
    row += padded([-w if b else w for w, b in zip(flow["wire"], backward)], PACKETS)
    for way in (0, 1):
        row += summary([s for s, b in zip(size, backward) if b == way])
        row += summary([s for s, b in zip(size, backward) if b == way and s])
        own = [t for t, b in zip(times, backward) if b == way]
        row += summary([b - a for a, b in zip(own, own[1:])])
    row += summary(size) + summary(gaps)
    row += [len(times), times[-1] if times else 0, sum(a != b for a, b in zip(backward, backward[1:])), sum(backward)]
    return row


def payload_bytes(flow):
    row = []
    for name in ("bytes_forward", "bytes_backward"):
        row += padded(bytes.fromhex(flow[name]), BYTES, -1)
    return row + [len(flow["bytes_forward"]) // 2, len(flow["bytes_backward"]) // 2]


def stack(flow, layouts):
    row = [flow["ip"], flow["proto"], *flow["segment_size"], *flow["window_scale"]]
    for name in ("ttl", "tos", "df", "id", "flags", "window"):
        row += padded(flow[name], PACKETS, -1)
    row += padded([layouts.setdefault(o, len(layouts)) for o in flow["options"]], PACKETS, -1)
    ids = flow["id"][:PACKETS]
    return row + padded([b - a for a, b in zip(ids, ids[1:])], PACKETS - 1)


def shortcut(flow):
    def address(text):
        """Up to eight numbers: bytes of IPv4, 16-bit words of IPv6; none of a link layer's."""
        try:
            packed = ipaddress.ip_address(text).packed
        except ValueError:
            packed = b""
        return padded(packed if len(packed) == 4 else np.frombuffer(packed, ">u2").tolist(), 8)
    return [flow["clock_ns"] * 1e-9, flow["link_type"], *address(flow["src"]), *address(flow["dst"]), flow["src_port"],
            flow["dst_port"]]


class Table:
    """Features of some flows: one matrix per set, labels, capture groups, parts."""
    def __init__(self, rows, label, group, part, flow):
        self.x = {name: np.asarray(m, dtype=np.float32) for name, m in rows.items()}
        if "sizes" in self.x and "stack" in self.x:
            self.x["all"] = np.hstack([self.x["sizes"], self.x["bytes"], self.x["stack"]])
        self.label, self.group, self.part = np.asarray(label), np.asarray(group), np.asarray(part)
        self.flow = np.asarray(flow)

    def where(self, chosen):
        t = object.__new__(Table)
        t.x = {name: m[chosen] for name, m in self.x.items()}
        t.label, t.group, t.part, t.flow = (a[chosen] for a in (self.label, self.group, self.part, self.flow))
        return t

    def joined(self, other):
        t = object.__new__(Table)
        t.x = {name: np.vstack([m, other.x[name]]) for name, m in self.x.items()}
        t.label, t.group, t.part, t.flow = (np.concatenate([a, b]) for a, b in (
            (self.label, other.label), (self.group, other.group), (self.part, other.part), (self.flow, other.flow)))
        return t


def read_table(args, folders, hide, alter=None, sets=SETS, layouts=None):
    rows, label, group, part, flow_id = defaultdict(list), [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "features.jsonl")
        command = [args.wirelm, "features", "-d", *folders, "--labelled", "--hide", hide, "--payload", args.payload,
                   "--max-packets", str(args.max_packets), "-o", path]
        if alter:
            command += ["--alter", alter]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        with open(path) as f:
            for line in f:
                flow = json.loads(line)
                if "sizes" in sets:
                    rows["sizes"].append(packed(sizes(flow)))
                if "stack" in sets:
                    rows["bytes"].append(packed(payload_bytes(flow)))
                    rows["stack"].append(packed(stack(flow, layouts)))
                if "shortcut" in sets:
                    rows["shortcut"].append(packed(shortcut(flow)))
                label.append(flow["label"])
                group.append(f"{flow['data']}/{flow['group']}")
                part.append(flow["part"])
                flow_id.append(f"{flow['data']}/{flow['flow']}")
    return Table(rows, label, group, part, flow_id)


# ---------------------------------------------------------------- models and scores

def forest(args, seed):
    return RandomForestClassifier(n_estimators=args.trees, class_weight="balanced_subsample", random_state=seed,
                                  n_jobs=args.jobs)


def boosting(args, seed, classes, count):
    """As many rounds for many classes as still end: each round grows a tree for each class."""
    return LGBMClassifier(n_estimators=max(50, min(args.trees, 3000 // classes)), learning_rate=0.1, num_leaves=31,
                          min_child_samples=20 if count > 2000 else 3, subsample=0.8, subsample_freq=1, max_bin=127,
                          colsample_bytree=0.4, reg_lambda=1.0, random_state=seed, n_jobs=args.jobs, verbose=-1,
                          deterministic=True, force_row_wise=True)


def fit(args, name, x, y, seed):
    if name == "forest":
        return forest(args, seed).fit(x, y)
    names, index, count = np.unique(y, return_inverse=True, return_counts=True)
    weight = np.sqrt(len(y) / (len(names) * count))[index]  # half way to balance: whole weights let tiny classes shout
    return boosting(args, seed, len(names), len(y)).fit(x, y, sample_weight=weight)


def macro_f1(truth, guess):
    return float(f1_score(truth, guess, labels=np.unique(truth), average="macro", zero_division=0))


def interval(truth, guess, group):
    """Macro-F1 of resampled captures, the labels those that the part has."""
    rng = np.random.default_rng(1)
    names, index = np.unique(group, return_inverse=True)
    labels, t = np.unique(truth, return_inverse=True)
    code = {l: i for i, l in enumerate(labels)}
    g = np.asarray([code.get(v, len(labels)) for v in guess])
    n = len(labels) + 1
    counts = np.zeros((len(names), n * n))
    np.add.at(counts, (index, t * n + g), 1)
    drawn = []
    for _ in range(RESAMPLES):
        m = (rng.multinomial(len(names), [1 / len(names)] * len(names)) @ counts).reshape(n, n)
        hit, said, there = np.diag(m), m.sum(0), m.sum(1)
        seen = there[:-1] > 0
        drawn.append(float((2 * hit[:-1] / np.maximum(said[:-1] + there[:-1], 1))[seen].mean()))
    return [float(np.percentile(drawn, 2.5)), float(np.percentile(drawn, 97.5))]


def scores(truth, guess, group):
    return {"accuracy": float(np.mean(truth == guess)), "macro_f1": macro_f1(truth, guess),
            "interval": interval(truth, guess, group)}


def majority(train, test):
    names, count = np.unique(train.label, return_counts=True)
    guess = np.full(len(test.label), names[np.argmax(count)])
    return dict(scores(test.label, guess, test.group), label=str(guess[0]))


def capped(table, most, seed):
    """At most so many flows of each label, drawn at random; all labels stay."""
    if not most:
        return table
    rng = np.random.default_rng(seed)
    chosen = []
    for name in np.unique(table.label):
        at = np.flatnonzero(table.label == name)
        chosen.append(at if len(at) <= most else rng.choice(at, most, replace=False))
    return table.where(np.sort(np.concatenate(chosen)))


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def model_scores(args, train, tests, name, feature_set, seed):
    """Scores of one model on each part."""
    model = fit(args, name, train.x[feature_set], train.label, seed)
    return {part: scores(t.label, model.predict(t.x[feature_set]), t.group) for part, t in tests.items()}


def same(a, b):
    return a.shape == b.shape and np.array_equal(a, b)


# ---------------------------------------------------------------- what is asked

def policy_scores(args, train, tests, sets, before=None):
    """{part: {feature set: {model: scores}}}. before: (train, scores) of another policy, which are taken over where
    that leaves the very same features."""
    result = {part: {f: {} for f in sets} for part in tests}
    for feature_set in sets:
        if before and feature_set in before[0].x and same(before[0].x[feature_set], train.x[feature_set]):
            for part in tests:
                result[part][feature_set] = before[1][part][feature_set]
            continue
        for name in args.models:
            began = time.time()
            for part, score in model_scores(args, train, tests, name, feature_set, args.seed).items():
                result[part][feature_set][name] = score
                say(f"  {feature_set:8} {name:8} {part:5} {score['macro_f1']:.3f}  {time.time() - began:.0f} s")
    return result


def few_label_scores(args, train, tests, sets):
    """Mean over draws of so many flows per label."""
    result = {part: {f: {} for f in sets} for part in tests}
    for feature_set in sets:
        for name in args.models:
            drawn = [model_scores(args, capped(train, args.per_label, 1000 + d), tests, name, feature_set, 1000 + d)
                     for d in range(args.draws)]
            for part in tests:
                mean = {k: float(np.mean([s[part][k] for s in drawn])) for k in ("accuracy", "macro_f1")}
                result[part][feature_set][name] = dict(mean, macro_f1_draws=[s[part]["macro_f1"] for s in drawn])
                say(f"  {args.per_label} per label {feature_set:8} {name:8} {part:5} {mean['macro_f1']:.3f}")
    return result


def stress_scores(args, hide, train, sets, layouts):
    """Models trained on each flow as it is, and on each flow also once altered, as a model's training is."""
    altered = {a: read_table(args, args.data, hide, a, sets, layouts) for a in args.stress}
    rng = np.random.default_rng(args.seed)
    drawn = dict(zip(train.flow, np.asarray(args.stress)[rng.integers(len(args.stress), size=len(train.flow))]))
    mixed = train
    for a, table in altered.items():
        mixed = mixed.joined(table.where(np.asarray([drawn.get(f) == a for f in table.flow], dtype=bool)))
    result = {part: {a: {f: {} for f in sets} for a in args.stress} for part in args.split}
    for feature_set in sets:
        for name in args.models:
            models = {"trained_plain": fit(args, name, train.x[feature_set], train.label, args.seed),
                      "trained_altered": fit(args, name, mixed.x[feature_set], mixed.label, args.seed)}
            for part in args.split:
                for a, table in altered.items():
                    test = table.where(table.part == part)
                    result[part][a][feature_set][name] = {
                        how: scores(test.label, m.predict(test.x[feature_set]), test.group)
                        for how, m in models.items()}
                    say(f"  {a} {feature_set} {name} {part} "
                        f"{result[part][a][feature_set][name]['trained_altered']['macro_f1']:.3f}")
    return result


def told_apart(known, strangers):
    line = np.percentile(known, 5)
    truth = np.r_[np.ones(len(known)), np.zeros(len(strangers))]
    return {"auroc": float(roc_auc_score(truth, np.r_[known, strangers])),
            "false_positives_at_95": float(np.mean(strangers >= line)), "flows": len(strangers)}


def open_set_scores(args, train, tests, sets, strangers):
    """A fifth of the labels is left out of training; they and the flows of other folders are strangers. Told by the
    largest probability: AUROC, and the share of strangers taken for known where 95 % of the known are."""
    names = np.unique(train.label)
    left_out = np.random.default_rng(args.seed).choice(names, len(names) // 5, replace=False)
    known = train.where(~np.isin(train.label, left_out))
    result = {part: {"left_out": [str(n) for n in left_out]} for part in tests}
    for feature_set in sets:
        for name in args.models:
            model = fit(args, name, known.x[feature_set], known.label, args.seed)
            for part, test in tests.items():
                sure = model.predict_proba(test.x[feature_set]).max(1)
                inside = np.isin(test.label, np.unique(known.label))
                groups = {"left_out": sure[~inside]} if (~inside).any() else {}
                if part in strangers:
                    groups["other_tasks"] = model.predict_proba(strangers[part].x[feature_set]).max(1)
                if groups:
                    groups["both"] = np.concatenate(list(groups.values()))
                result[part].setdefault(feature_set, {})[name] = {k: told_apart(sure[inside], v)
                                                                  for k, v in groups.items()}
                say(f"  open {feature_set} {name} {part} {result[part][feature_set][name]}")
    return result


def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-d", "--data", nargs="+", required=True, help="imported folders of one task")
    p.add_argument("--wirelm", default=os.environ.get("WIRELM", "wirelm"))
    p.add_argument("--split", default="val", help="parts to score on: val, test")
    p.add_argument("--hide", default="ids,implicit,shape")
    p.add_argument("--payload", default="128", help="bytes of each packet that the model is shown")
    p.add_argument("--max-packets", type=int, default=PACKETS)
    p.add_argument("--models", default="forest,boosting")
    p.add_argument("--trees", type=int, default=300)
    p.add_argument("--cap", type=int, default=0, help="train on at most so many flows of each label (0: all)")
    p.add_argument("--per-label", type=int, default=0, help="also train on so many flows of each label")
    p.add_argument("--draws", type=int, default=5)
    p.add_argument("--stress", default="", help="alterations of flows, separated by commas")
    p.add_argument("--open-set", action="store_true")
    p.add_argument("--strangers", nargs="*", default=[], help="folders of other tasks, for --open-set")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--out", help="file to write the JSON to, else standard output; {} in it becomes the part")
    args = p.parse_args()
    args.hide, args.models, args.split = args.hide.split(","), args.models.split(","), args.split.split(",")
    if len(args.split) > 1 and args.out and "{}" not in args.out:
        p.error("several parts need an --out with {}")
    args.stress = [s for s in args.stress.split(",") if s]
    return args


def divide(args, table):
    train = capped(table.where(table.part == "train"), args.cap, args.seed)
    tests = {part: table.where(table.part == part) for part in args.split}
    for part, t in {"train": train, **tests}.items():
        if not len(t.label):
            sys.exit(f"no labelled flow in part {part}")
    return train, tests


def score_policy(args, hide, before):
    """({part: results}, what the next policy may take over)."""
    say(hide)
    sets, layouts = SHAPE_SETS if hide == "shape" else SETS, {}
    train, tests = divide(args, read_table(args, args.data, hide, None, sets, layouts))
    features = policy_scores(args, train, tests, sets, before)
    result = {part: {"train_flows": len(train.label), "flows": len(t.label), "captures": len(np.unique(t.group)),
                     "majority": majority(train, t), "features": features[part]} for part, t in tests.items()}
    more = {}
    if args.per_label:
        more["few_labels"] = few_label_scores(args, train, tests, sets)
    if args.stress:
        more["stress"] = stress_scores(args, hide, train, sets, layouts)
    if args.open_set:
        others = read_table(args, args.strangers, hide, None, sets, layouts) if args.strangers else None
        strangers = {p: capped(others.where(others.part == p), 100, args.seed) for p in tests} if others else {}
        more["open_set"] = open_set_scores(args, train, tests, sets, strangers)
    for name, by_part in more.items():
        for part in tests:
            result[part][name] = by_part[part]
    return result, (train, features)


def score_shortcut(args):
    say("shortcut")
    train, tests = divide(args, read_table(args, args.data, "none", None, ("shortcut",)))
    return policy_scores(args, train, tests, ("shortcut",))


def write(args, part, result):
    text = json.dumps(result)
    if not args.out:
        return print(text)
    path = args.out.replace("{}", part)
    with open(path + ".part", "w") as f:
        f.write(text + "\n")
    os.replace(path + ".part", path)


def main():
    args = parse_arguments()
    said = {"data": [os.path.basename(os.path.normpath(d)) for d in args.data], "payload": args.payload,
            "max_packets": args.max_packets, "trees": args.trees, "cap": args.cap, "seed": args.seed,
            "per_label": args.per_label}
    shortcut = score_shortcut(args)
    result = {part: dict(said, split=part, shortcut=shortcut[part]["shortcut"], hide={}) for part in args.split}
    before = None
    for hide in args.hide:
        scored, before = score_policy(args, hide, before)
        for part in args.split:
            result[part]["hide"][hide] = scored[part]
            write(args, part, result[part])


main()
