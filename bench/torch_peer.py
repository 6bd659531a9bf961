#!/usr/bin/env python3
"""torch_peer.py: does with PyTorch what `wirelm bench train` and `wirelm bench stream` do, from their --dump.

  torch_peer.py losses PREFIX [--steps N] [--compile]   one line of JSON: the loss of each training step
  torch_peer.py agree PREFIX [--chunk N]                largest difference of stepped (or fed N at once) and chunked logits
  torch_peer.py train PREFIX --runs N                   timed steps, and
  torch_peer.py stream PREFIX --runs N [--chunk N] [--ask]   timed calls of 16 steps, in turn with another program: says
      "ready", then for each line on standard input does one run and answers with a line of JSON; details at the end
"""
import argparse
import functools
import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from torch_model import Model, rotary_angles
from torch_step import Streams

STEPS, LABELS = 16, 16
PRODUCTS = ("aten::mm", "aten::addmm", "mkl::_mkl_linear", "mkldnn::_linear_pointwise")
MIXERS = ("aten::bmm", "aten::baddbmm", "aten::linalg_solve_triangular")


class Training:
    """The optimiser's settings are those of wirelm bench train."""

    def __init__(self, prefix, compiled, fused=True):
        self.model = Model(prefix + ".safetensors")
        self.tokens = torch.from_numpy(np.load(prefix + ".npy")).long()
        self.angles = rotary_angles(torch.arange(self.tokens.shape[2] - 1), self.model.config["head_width"])
        matrices = self.model.matrices()
        chosen = {id(p) for p in matrices}
        others = [p for p in self.model.parameters() if id(p) not in chosen]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, fused=fused)
        self.losses = []
        if compiled:
            self.model.compile()

    def step(self):
        batch = self.tokens[len(self.losses) % len(self.tokens)]
        loss = self.model(batch[:, :-1], batch[:, 1:], self.angles)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.losses.append(loss.item())

    def amount(self):
        return self.tokens[0, :, 1:].numel()


class Streaming:
    """chunk: tokens that each stream takes in a step; ask: labels are read by a peek of two more, 0 and 1."""

    def __init__(self, prefix, compiled, chunk=1, ask=False):
        model = Model(prefix + ".safetensors")
        tokens = torch.from_numpy(np.load(prefix + ".npy")).long()[0]
        self.streams = Streams(model, len(tokens))
        if compiled:
            self.streams.compile()
        self.tokens, self.losses, self.chunk, self.ask, self.fed = tokens, [], chunk, ask, 0
        self.question = torch.tensor([0, 1]).expand(len(tokens), 2)
        for t in range(tokens.shape[1] - 1):
            self.streams.step(tokens[:, t], LABELS)

    def next_tokens(self):
        at = torch.arange(self.fed, self.fed + self.chunk) % self.tokens.shape[1]
        self.fed += self.chunk
        return self.tokens[:, at]

    def take(self, ids):
        columns = 0 if self.ask else LABELS
        if self.chunk > 1:
            self.streams.feed(ids, columns)
        else:
            self.streams.step(ids[:, 0], LABELS)
        if self.ask:
            self.streams.feed(self.question, LABELS, keep=False)

    def step(self):
        for _ in range(STEPS):
            self.take(self.next_tokens())

    def amount(self):
        return len(self.tokens) * STEPS * self.chunk


def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    work.step()
    return {"seconds": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def profile(work):
    """Shares of one run's time in matrix products, and in the mixers' own."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        work.step()
    rows = {row.key: row.self_cpu_time_total for row in profiler.key_averages()}
    total = sum(rows.values())
    mixers = sum(t for key, t in rows.items() if key in MIXERS or "scaled_dot_product" in key)
    return {"product_time_share": sum(rows.get(key, 0) for key in PRODUCTS) / total, "mixer_time_share": mixers / total}


def best(kind, prefix, modes):
    """The faster of the ways to run it: each is warmed up, then timed twice; the better time counts."""
    tried = {}
    for mode in modes:
        start = time.perf_counter()
        try:
            work = kind(prefix, mode == "compile")
            work.step()
        except Exception as error:  # no compiler, say
            print(f"torch_peer: {mode}: {error}".splitlines()[0], file=sys.stderr)
            continue
        ready = time.perf_counter() - start
        tried[mode] = (min(timed(work)["seconds"] for _ in range(2)), work)
        print(f"torch_peer: {mode}: ready after {ready:.0f} s, {tried[mode][0]:.3f} s a run", file=sys.stderr, flush=True)
    mode = min(tried, key=lambda m: tried[m][0])
    return mode, tried[mode][1], {m: t[0] for m, t in tried.items()}


def serve(kind, prefix, runs, modes):
    mode, work, tried = best(kind, prefix, modes)
    print("ready", flush=True)
    for _ in range(runs):
        if not sys.stdin.readline():
            return
        print(json.dumps(timed(work)), flush=True)
    details = {"torch": torch.__version__, "mode": mode, "tried_s": tried, "threads": torch.get_num_threads(),
               "amount": work.amount(), "losses": work.losses, **profile(work)}
    print(json.dumps(details), flush=True)


@torch.no_grad()
def agree(prefix, chunk):
    """The first columns' logits behind the last token: stepped, or fed some at once, and by the chunked model. A peek
    before it changes nothing."""
    tokens = torch.from_numpy(np.load(prefix + ".npy")).long()[0]
    model = Model(prefix + ".safetensors")
    streams = Streams(model, len(tokens))
    for t in range(0, tokens.shape[1] - 1, chunk):
        if chunk > 1:
            streams.feed(tokens[:, :2], LABELS, keep=False)
            logits = streams.feed(tokens[:, t : min(t + chunk, tokens.shape[1] - 1)], LABELS)
        else:
            logits = streams.step(tokens[:, t], LABELS)
    angles = rotary_angles(torch.arange(tokens.shape[1] - 1), model.config["head_width"])
    with torch.autocast("cpu", torch.bfloat16):
        x = model.embed(tokens[:, :-1], torch.arange(tokens.shape[1] - 1))
        for layer in model.layers:
            x = layer(x, angles)
    h = F.rms_norm(x[:, -1].float(), (x.shape[-1],), model.head.gain, 1e-6)
    other = F.linear(h, model.tokens[:LABELS])
    worst = ((logits.float() - other).abs().max() / other.abs().max()).item()
    print(json.dumps({"largest_relative_difference": worst}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=["losses", "agree", "train", "stream"])
    parser.add_argument("prefix")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--chunk", type=int, default=1, help="stream, agree: tokens that each stream takes at once")
    parser.add_argument("--ask", action="store_true", help="stream: labels are read by a peek behind each chunk")
    parser.add_argument("--modes", default="eager,compile")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.work == "losses":
        work = Training(args.prefix, args.compile)
        for _ in range(args.steps or len(work.tokens)):
            work.step()
        print(json.dumps({"losses": work.losses}))
    elif args.work == "agree":
        agree(args.prefix, args.chunk)
    else:
        streaming = functools.partial(Streaming, chunk=args.chunk, ask=args.ask)
        serve(Training if args.work == "train" else streaming, args.prefix, args.runs, args.modes.split(","))


if __name__ == "__main__":
    main()
