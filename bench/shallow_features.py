"""shallow_features: what `wirelm features` writes as rows of numbers, and which flows are learned from."""
import ipaddress, json, re, subprocess, sys
from collections import Counter, defaultdict

import numpy as np

PACKETS, BYTES = 32, 128
ABSENT = -1e6
SETS = ("sizes", "bytes", "stack", "all")
SETS_OF = {"none": ("shortcut",), "shape": ("sizes",)}  # policies under which the others hold nothing


# ---------------------------------------------------------------- which flows

WORD = 2 ** 64 - 1


def mix(x):
    """SplitMix64, as src/base/rng.c has it; so the three below."""
    x = x + 0x9e3779b97f4a7c15 & WORD
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9 & WORD
    x = (x ^ x >> 27) * 0x94d049bb133111eb & WORD
    return x ^ x >> 31


def mix2(seed, index):
    return mix(mix(seed) ^ index)


def permute(seed, i, n):
    half = 1
    while half < 32 and 1 << 2 * half < n:
        half += 1
    mask = (1 << half) - 1
    while True:
        left, right = i >> half, i & mask
        for turn in range(6):
            left, right = right, left ^ mix2(seed + turn & WORD, right) & mask
        i = left << half | right
        if i < n:
            return i


def few(draw, label, n, most):
    """Which of a label's n flows `train --per-label MOST --draw DRAW` learns from (src/task/labelled.c)."""
    seed = mix2(draw, 0)
    for byte in label.encode():
        seed = mix2(seed, byte)
    return {permute(seed, i, n) for i in range(min(n, most))}


def label_counts(wirelm, folders, part):
    counts = Counter()
    for folder in folders:
        said = json.loads(subprocess.run([wirelm, "info", folder], stdout=subprocess.PIPE, check=True).stdout)
        counts.update({label: parts[part] for label, parts in said["labels"].items()})
    return counts


# ---------------------------------------------------------------- rows

def padded(values, length, fill=ABSENT):
    values = list(values[:length])
    return values + [fill] * (length - len(values))


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


# ---------------------------------------------------------------- tables

class Table:
    """Features of some flows: a matrix for each part of the features, labels, capture groups. Nothing is held twice."""
    def __init__(self, x, label, group):
        self.x, self.label, self.group = x, label, group

    def matrix(self, name):
        return np.hstack([self.x[n] for n in ("sizes", "bytes", "stack")]) if name == "all" else self.x[name]

    def where(self, chosen):
        return Table({n: m[chosen] for n, m in self.x.items()}, self.label[chosen], self.group[chosen])

    def joined(self, others):
        tables = [self, *(o for o in others if len(o.label))]
        return Table({n: np.vstack([t.x[n] for t in tables]) for n in self.x},
                     np.concatenate([t.label for t in tables]), np.concatenate([t.group for t in tables]))


class Reader:
    """Reads tables of one task's folders under one policy; option layouts have the same numbers in all of them."""
    def __init__(self, wirelm, folders, hide, payload, max_packets):
        self.wirelm, self.folders, self.hide, self.payload = wirelm, folders, hide, payload
        self.max_packets, self.layouts = max_packets, {}

    def rows_of(self, flow):
        if self.hide == "none":
            return {"shortcut": shortcut(flow)}
        if self.hide == "shape":
            return {"sizes": sizes(flow)}
        return {"sizes": sizes(flow), "bytes": payload_bytes(flow), "stack": stack(flow, self.layouts)}

    def lines(self, folders, part, alter, labelled):
        command = [self.wirelm, "features", "-d", *folders, "--split", part, "--hide", self.hide,
                   "--payload", self.payload, "--max-packets", str(self.max_packets), "-o", "-"]
        command += ["--labelled"] * labelled + (["--alter", alter] if alter else [])
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            yield from process.stdout
        if process.returncode:
            sys.exit(f"{' '.join(command)}: exit status {process.returncode}")

    def read(self, part, most=0, draw=1, alter=None, choose=None, strangers=()):
        """The labelled flows of a part, or at most so many of each label; choose(label, i) picks among those once more.
        strangers: folders to read instead, all flows of them."""
        folders = strangers or self.folders
        kept = most and {l: few(draw, l, n, most) for l, n in label_counts(self.wirelm, folders, part).items()}
        x, label, group, seen = defaultdict(list), [], [], Counter()
        for line in self.lines(folders, part, alter, not strangers):
            name = json.loads(re.search(rb'"label":(null|"(?:[^"\\]|\\.)*")', line)[1]) or ""
            i = seen[name]
            seen[name] += 1
            if (kept and name in kept and i not in kept[name]) or (choose and not choose(name, i)):
                continue
            flow = json.loads(line)
            for n, row in self.rows_of(flow).items():
                x[n].append(np.asarray(row, dtype=np.float32))
            label.append(name)
            group.append(f"{flow['data']}/{flow['group']}")
        return Table({n: np.asarray(m) for n, m in x.items()}, np.asarray(label), np.asarray(group))
