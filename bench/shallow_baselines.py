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
has (predictions of other labels are errors), and a 95 % interval of it from resampling captures. Or, in place of that:
  --per-label N   from N training flows of each label, for each draw those of `wirelm train --per-label N --draw S`
  --stress A,B    on flows altered as `wirelm evaluate classify --stress` alters them, by models that learned from flows
                  as they are, and by models that saw each training flow once more, altered in one of these ways
  --open-set      without the labels of --left-out: how well the largest probability tells them and the flows of
                  --strangers from the others

Boosting stops early: on the dev part (val), which flatters its scores there a little; after few labels, which have no
dev part, after 100 rounds. Cost on two idle cores, in minutes for each fit: forest 0.1 for 10,000 flows (memory: 1 GB
for 20,000 flows of 49 labels), boosting 0.2 to --minutes, where it stops at the latest ("rounds" then depends on the
machine). A task with all policies takes 9 fits of each model at most, features that a policy leaves as they were
counting once: 3 to 12 minutes; --per-label 10 with five draws 3, --stress with 11 alterations 5, --open-set 3. --resume
FILE keeps every fit's answers: a run that was stopped goes on, and one that is run again takes seconds."""
import argparse, hashlib, json, os, sys, time, warnings, zlib

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin cost the most beside a busy neighbour

import lightgbm
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score, roc_auc_score

from shallow_features import PACKETS, SETS, SETS_OF, Reader, label_counts, mix2

warnings.filterwarnings("ignore", message=".*eval_set.*")  # its new name is not in LightGBM 4.0
RESAMPLES = 200
FEW_ROUNDS = 100


# ---------------------------------------------------------------- models

def forest(args, x, y):
    return RandomForestClassifier(n_estimators=args.trees, class_weight="balanced_subsample", random_state=args.seed,
                                  n_jobs=args.threads).fit(x, y)


def out_of_time(minutes):
    until = time.time() + 60 * minutes

    def check(env):
        if time.time() > until:
            raise lightgbm.callback.EarlyStopException(env.iteration, env.evaluation_result_list)
    return check


def boosting(args, x, y, dev):
    """As many rounds for many classes as still end: each round grows a tree for each class."""
    names, index, count = np.unique(y, return_inverse=True, return_counts=True)
    weight = np.sqrt(len(y) / (len(names) * count))[index]  # half way to balance: whole weights let tiny classes shout
    model = lightgbm.LGBMClassifier(n_estimators=300 if dev else FEW_ROUNDS, learning_rate=0.1, num_leaves=31,
                                    min_child_samples=20 if len(y) > 2000 else 3, subsample=0.8, subsample_freq=1,
                                    max_bin=127, colsample_bytree=0.4, reg_lambda=1.0, random_state=args.seed,
                                    n_jobs=args.threads, verbose=-1, deterministic=True, force_row_wise=True)
    stops, watched = [out_of_time(args.minutes)], None
    if dev:
        known = np.isin(dev[1], names)
        watched = [(dev[0][known], dev[1][known])] if known.any() else None
        stops += [lightgbm.early_stopping(15, verbose=False)] if watched else []
    return model.fit(x, y, sample_weight=weight, eval_set=watched, callbacks=stops)


class Learner:
    """Fits models and asks them; remembers answers by what was learned from and asked, in memory and in --resume."""
    def __init__(self, args):
        self.args, self.known = args, {}
        if args.resume and os.path.exists(args.resume):
            with open(args.resume) as f:
                self.known = {said["key"]: said for said in map(json.loads, f)}

    def key(self, name, *arrays):
        a, h = self.args, hashlib.sha256()
        h.update(repr((name, a.trees, a.seed, a.minutes if name == "boosting" else 0)).encode())
        for x in arrays:
            h.update(repr(x.shape).encode())
            h.update(np.ascontiguousarray(x) if x.dtype.kind == "f" else "\n".join(x).encode())
        return h.hexdigest()

    def answers(self, name, feature_set, train, tests, dev=None):
        """For each test (label said, its probability), and the rounds of boosting."""
        x, asked = train.matrix(feature_set), [t.matrix(feature_set) for t in tests]
        watched = dev and name == "boosting" and (dev.matrix(feature_set), dev.label)
        key = self.key(name, x, train.label, *asked, *(watched or ()))
        if key not in self.known:
            began = time.time()
            model = (forest(self.args, x, train.label) if name == "forest" else
                     boosting(self.args, x, train.label, watched))
            shares = [model.predict_proba(a) for a in asked]
            said = {"key": key, "seconds": round(time.time() - began, 1),
                    "rounds": model.n_estimators_ if name == "boosting" else None,
                    "said": [[str(l) for l in model.classes_[s.argmax(1)]] for s in shares],
                    "sure": [[round(float(v), 6) for v in s.max(1)] for s in shares]}
            self.known[key] = said
            if self.args.resume:
                with open(self.args.resume, "a") as f:
                    f.write(json.dumps(said) + "\n")
        said = self.known[key]
        say(f"  {feature_set:8} {name:8} {said['seconds']:6.1f} s")
        return [(np.asarray(l), np.asarray(s)) for l, s in zip(said["said"], said["sure"])], said["rounds"]


# ---------------------------------------------------------------- scores

def macro_f1(truth, guess):
    return float(f1_score(truth, guess, labels=np.unique(truth), average="macro", zero_division=0))


def interval(truth, guess, group):
    """Macro-F1 of resampled captures, the labels those that the part has."""
    rng = np.random.default_rng(1)
    names, index = np.unique(group, return_inverse=True)
    labels, t = np.unique(truth, return_inverse=True)
    code = {l: i for i, l in enumerate(labels)}
    g = np.asarray([code.get(v, len(labels)) for v in guess])
    n, drawn = len(labels) + 1, []
    cell = t * n + g
    for _ in range(RESAMPLES):
        times = rng.multinomial(len(names), [1 / len(names)] * len(names))
        m = np.bincount(cell, weights=times[index], minlength=n * n).reshape(n, n)
        hit, said, there = np.diag(m), m.sum(0), m.sum(1)
        seen = there[:-1] > 0
        drawn.append(float((2 * hit[:-1] / np.maximum(said[:-1] + there[:-1], 1))[seen].mean()))
    return [float(np.percentile(drawn, 2.5)), float(np.percentile(drawn, 97.5))]


def scores(test, guess):
    return {"accuracy": float(np.mean(test.label == guess)), "macro_f1": macro_f1(test.label, guess),
            "interval": interval(test.label, guess, test.group)}


def majority(args, test):
    label = label_counts(args.wirelm, args.data, "train").most_common(1)[0][0]
    return dict(scores(test, np.full(len(test.label), label)), label=label)


def told_apart(known, strangers):
    truth = np.r_[np.ones(len(known)), np.zeros(len(strangers))]
    return {"auroc": float(roc_auc_score(truth, np.r_[known, strangers])),
            "fpr_at_95": float(np.mean(strangers >= np.percentile(known, 5))), "flows": len(strangers)}


def say(*words):
    print(*words, file=sys.stderr, flush=True)


# ---------------------------------------------------------------- what is asked

def sets_of(args, hide):
    return [s for s in SETS_OF.get(hide, SETS) if hide in SETS_OF or s in args.sets]


def fits(args, hide):
    return [(s, m) for s in sets_of(args, hide) for m in args.models]


def whole(args, learner, reader):
    train, test = reader.read("train", args.cap, args.seed), reader.read(args.split)
    dev = reader.read("val", args.cap, args.seed) if "boosting" in args.models else None
    features = {}
    for feature_set, name in fits(args, reader.hide):
        [(guess, _)], rounds = learner.answers(name, feature_set, train, [test], dev)
        features.setdefault(feature_set, {})[name] = dict(scores(test, guess), rounds=rounds)
    return {"train_flows": len(train.label), "flows": len(test.label), "captures": len(np.unique(test.group)),
            "majority": majority(args, test), "features": features}


def few_labels(args, learner, reader):
    test, features = reader.read(args.split), {}
    tables = [reader.read("train", args.per_label, draw) for draw in args.draw]
    for feature_set, name in fits(args, reader.hide):
        drawn = [scores(test, learner.answers(name, feature_set, t, [test])[0][0][0]) for t in tables]
        features.setdefault(feature_set, {})[name] = dict(
            {k: float(np.mean([s[k] for s in drawn])) for k in ("accuracy", "macro_f1")},
            macro_f1_draws=[s["macro_f1"] for s in drawn])
    return {"flows": len(test.label), "train_flows": [len(t.label) for t in tables], "features": features}


def stress(args, learner, reader):
    def drawn_for(a):
        return lambda label, i: mix2(mix2(args.seed, zlib.crc32(label.encode())), i) % len(args.stress) == a
    plain, dev = reader.read("train", args.cap, args.seed), reader.read("val", args.cap, args.seed)
    altered = [reader.read("train", args.cap, args.seed, name, drawn_for(a)) for a, name in enumerate(args.stress)]
    tests = {"none": reader.read(args.split), **{a: reader.read(args.split, alter=a) for a in args.stress}}
    result = {a: {} for a in tests}
    for how, train in (("trained_plain", plain), ("trained_altered", plain.joined(altered))):
        for feature_set, name in fits(args, reader.hide):
            answers, _ = learner.answers(name, feature_set, train, list(tests.values()), dev)
            for (a, test), (guess, _) in zip(tests.items(), answers):
                result[a].setdefault(feature_set, {}).setdefault(name, {})[how] = {
                    "accuracy": float(np.mean(test.label == guess)), "macro_f1": macro_f1(test.label, guess)}
    return {"flows": len(tests["none"].label), "stress": result}


def open_set(args, learner, reader):
    test = reader.read(args.split)
    train, dev = (reader.read(part, args.cap, args.seed) for part in ("train", "val"))
    train, dev = (t.where(~np.isin(t.label, args.left_out)) for t in (train, dev))
    outside = np.isin(test.label, args.left_out)
    asked = [test.where(~outside), *([test.where(outside)] if outside.any() else [])]
    kinds = ["left_out"] if outside.any() else []
    if args.strangers:
        asked.append(reader.read(args.split, strangers=args.strangers))
        kinds.append("other_folders")
    features = {}
    for feature_set, name in fits(args, reader.hide):
        answers, _ = learner.answers(name, feature_set, train, asked, dev)
        known, *strangers = [sure for _, sure in answers]
        said = {kind: told_apart(known, s) for kind, s in zip(kinds, strangers)}
        features.setdefault(feature_set, {})[name] = dict(said, all=told_apart(known, np.concatenate(strangers)),
                                                          macro_f1=macro_f1(asked[0].label, answers[0][0]))
    return {"known": len(asked[0].label), "left_out": args.left_out, "features": features}


def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-d", "--data", nargs="+", required=True, help="imported folders of one task")
    p.add_argument("--wirelm", default=os.environ.get("WIRELM", "wirelm"))
    p.add_argument("--split", default="val", help="part to score on: val, test")
    p.add_argument("--hide", default="ids,implicit,shape")
    p.add_argument("--payload", default="128", help="bytes of each packet that the model is shown")
    p.add_argument("--max-packets", type=int, default=PACKETS)
    p.add_argument("--models", default="forest,boosting")
    p.add_argument("--sets", default=",".join(SETS), help="feature sets where the policy leaves all four")
    p.add_argument("--trees", type=int, default=300, help="of a forest")
    p.add_argument("--minutes", type=float, default=1, help="that a fit of boosting may take")
    p.add_argument("--cap", type=int, default=1000, help="learn from at most so many flows of each label (0: all)")
    p.add_argument("--per-label", type=int, default=0, metavar="N", help="few labels: so many flows of each label")
    p.add_argument("--draw", default="1,2,3,4,5", metavar="S,S", help="which ones; scores are means over the draws")
    p.add_argument("--stress", default="", metavar="A,A", help="alterations of flows (docs/ALTERATIONS.md)")
    p.add_argument("--open-set", action="store_true")
    p.add_argument("--left-out", default="", metavar="L,L", help="labels that are not taught")
    p.add_argument("--strangers", nargs="*", default=[], metavar="DIR", help="folders all of whose flows are strangers")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--resume", metavar="FILE", help="keeps answers of all fits, for the next run")
    p.add_argument("--out", metavar="FILE", help="file to write the JSON to, else standard output")
    args = p.parse_args()
    for name in ("hide", "models", "sets", "stress", "left_out", "draw"):
        setattr(args, name, [word for word in getattr(args, name).split(",") if word])
    args.draw = [int(d) for d in args.draw]
    if args.open_set and not args.left_out and not args.strangers:
        p.error("--open-set needs --left-out or --strangers")
    return args


def main():
    args = parse_arguments()
    learner = Learner(args)
    ask = few_labels if args.per_label else stress if args.stress else open_set if args.open_set else whole
    result = {"data": [os.path.basename(os.path.normpath(d)) for d in args.data], "split": args.split,
              "payload": args.payload, "max_packets": args.max_packets, "trees": args.trees, "cap": args.cap,
              "seed": args.seed, "per_label": args.per_label, "draws": args.draw if args.per_label else [], "hide": {}}
    for hide in args.hide + ["none"] * (ask is whole):
        say(hide)
        result["hide"][hide] = ask(args, learner, Reader(args.wirelm, args.data, hide, args.payload, args.max_packets))
    if ask is whole:
        result["shortcut"] = result["hide"].pop("none")["features"]["shortcut"]
    text = json.dumps(result)
    if not args.out:
        return print(text)
    with open(args.out + ".part", "w") as f:
        f.write(text + "\n")
    os.replace(args.out + ".part", args.out)


main()
