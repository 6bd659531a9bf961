#!/bin/bash
# peer.sh: the PyTorch model of bench/ is the same model: over 50 training steps from the same first values on the same
# tokens the losses agree within 1 %, and its steps, and packets fed at once, agree with its chunks. Skipped where there is no PyTorch.
set -eu
for python in "${WIRELM_TORCH:-$WIRELM_ROOT/build/torch/bin/python}" python3; do
    "$python" -c 'import torch, numpy, safetensors' 2> /dev/null && break
    python=
done
[ -n "$python" ] || { echo "no PyTorch: bench/vs_torch installs one into build/torch, WIRELM_TORCH names another"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "FAILED: $*"; exit 1; }

for preset in wire-nano trafficgpt-nano; do
    "$WIRELM" bench train --preset $preset --context 240 --tokens-per-batch 960 --runs 48 --threads 2 --dump d \
        --codec bytes \
        > ours.json 2> progress || fail "bench train: $(cat progress)"
    "$python" "$WIRELM_ROOT/bench/torch_peer.py" losses d > theirs.json 2> progress || fail "losses: $(cat progress)"
    "$WIRELM" bench stream --preset $preset --context 150 --streams 3 --dump s > /dev/null 2> progress ||
        fail "bench stream: $(cat progress)"
    "$python" "$WIRELM_ROOT/bench/torch_peer.py" agree s > agree.json 2> progress || fail "agree: $(cat progress)"
    "$python" "$WIRELM_ROOT/bench/torch_peer.py" agree s --chunk 40 > chunk.json 2> progress ||
        fail "agree --chunk: $(cat progress)"
    python3 - $preset <<'PYTHON'
import json, sys
ours, theirs = json.load(open("ours.json"))["losses"], json.load(open("theirs.json"))["losses"]
assert len(ours) == len(theirs) == 50, (len(ours), len(theirs))
assert ours[-1] < 0.9 * ours[0], f"{sys.argv[1]}: nothing was learned: {ours}"
worst = max(abs(a - b) / a for a, b in zip(ours, theirs))
assert worst < 0.01, f"{sys.argv[1]}: losses differ by {worst:.2%}: {ours} {theirs}"
steps = json.load(open("agree.json"))["largest_relative_difference"]
chunks = json.load(open("chunk.json"))["largest_relative_difference"]
assert steps < 0.05 and chunks < 0.05, f"{sys.argv[1]}: logits differ by {steps:.2%}, {chunks:.2%}"
print(f"{sys.argv[1]}: losses differ by at most {worst:.3%}, stepped logits by {steps:.2%}, fed 40 at once by {chunks:.2%}")
PYTHON
done
