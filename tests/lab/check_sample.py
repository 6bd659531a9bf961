#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks sample/labels.csv against the captures beside it; one line per check."""

import collections
import csv
import ipaddress
import pathlib
import struct
import subprocess
import sys

COLUMNS = ["path", "label", "src_ip", "src_port", "dst_ip", "dst_port", "proto", "split", "capture"]
BYTES_MOST = 6_000_000
LABELS_LEAST = 12
FLOWS_LEAST = 1500
TEST_FLOWS_LEAST = 5
NUMBERS = {6: "tcp", 17: "udp"}

failed = 0


def check(what, good, detail=""):
    global failed
    failed += not good
    print("%s %s%s" % ("ok  " if good else "FAIL", what, ": %s" % detail if detail != "" else ""))


def pcap_frames(data):
    magic, = struct.unpack_from("<I", data)
    unit = {0xa1b2c3d4: 1000, 0xa1b23c4d: 1}[magic]
    at = 24
    while at < len(data):
        seconds, fraction, have, length = struct.unpack_from("<IIII", data, at)
        if have != length:
            raise ValueError("cut frame")
        yield seconds * 10**9 + fraction * unit, data[at + 16:at + 16 + have]
        at += 16 + have


def pcapng_frames(data):
    at, unit = 0, None
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if struct.unpack_from("<I", data, at + size - 4)[0] != size:
            raise ValueError("block lengths differ at %d" % at)
        if kind == 1:
            option = at + 16
            while option < at + size - 4:
                code, length = struct.unpack_from("<HH", data, option)
                if code == 9:
                    unit = 10 ** (9 - data[option + 4])
                if code == 0:
                    break
                option += 4 + (length + 3) // 4 * 4
        elif kind == 6:
            _, high, low, have, length = struct.unpack_from("<IIIII", data, at + 8)
            if have != length:
                raise ValueError("cut frame")
            yield (high << 32 | low) * unit, data[at + 28:at + 28 + have]
        at += size


def key_of(frame):
    """proto and the two ends in order, or None for what is neither TCP nor UDP."""
    kind, = struct.unpack_from("!H", frame, 12)
    if kind == 0x0800:
        proto, source, target, at = frame[23], frame[26:30], frame[30:34], 14 + (frame[14] & 15) * 4
        if struct.unpack_from("!H", frame, 20)[0] & 0x1fff:
            return None
    elif kind == 0x86dd:
        proto, source, target, at = frame[20], frame[22:38], frame[38:54], 54
    else:
        return None
    if proto not in NUMBERS:
        return None
    sport, dport = struct.unpack_from("!HH", frame, at)
    return NUMBERS[proto], (source, sport), (target, dport)


def read(path):
    """Packet counts by 5-tuple, who sent first, frame count, and whether time runs forward."""
    data = subprocess.run(["zstd", "-q", "-dc", str(path)], stdout=subprocess.PIPE, check=True).stdout
    frames = pcapng_frames(data) if data[:4] == b"\x0a\x0d\x0d\x0a" else pcap_frames(data)
    counts, first, total, last, forward = collections.Counter(), {}, 0, 0, True
    for when, frame in frames:
        total += 1
        forward &= when >= last
        last = when
        key = key_of(frame)
        if key:
            both = (key[0],) + tuple(sorted(key[1:]))
            counts[both] += 1
            first.setdefault(both, key[1])
    return counts, first, total, forward


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "sample")
    with open(folder / "labels.csv", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    check("columns of labels.csv", reader.fieldnames == COLUMNS)
    paths = sorted({row["path"] for row in rows})
    size = sum(p.stat().st_size for p in folder.iterdir() if p.suffix == ".zst")
    check("captures are at most %d bytes" % BYTES_MOST, size <= BYTES_MOST, size)
    on_disk = sorted(p.name for p in folder.iterdir() if p.suffix == ".zst")
    check("every capture is listed and every listed one is there", on_disk == paths, len(paths))
    labels = collections.Counter(row["label"] for row in rows)
    check("at least %d labels" % LABELS_LEAST, len(labels) >= LABELS_LEAST, len(labels))
    check("at least %d flows" % FLOWS_LEAST, len(rows) >= FLOWS_LEAST, len(rows))
    check("splits are train, val and test", {row["split"] for row in rows} == {"train", "val", "test"})
    in_test = collections.Counter(row["label"] for row in rows if row["split"] == "test")
    check("every label has at least %d flows in test" % TEST_FLOWS_LEAST,
          all(in_test[label] >= TEST_FLOWS_LEAST for label in labels), min(in_test[label] for label in labels))
    splits = collections.defaultdict(set)
    for row in rows:
        splits[row["capture"]].add(row["split"])
        splits[row["path"]].add(row["split"])
    check("no run in two splits", all(len(found) == 1 for found in splits.values()))

    listed, twice = {}, 0
    for row in rows:
        ends = [(ipaddress.ip_address(row[side + "_ip"]).packed, int(row[side + "_port"])) for side in ("src", "dst")]
        key = (row["path"], row["proto"]) + tuple(sorted(ends))
        twice += key in listed
        listed[key] = ends[0]
    check("no flow listed twice or under two labels", twice == 0, twice)

    missing = backwards = 0
    for path in paths:
        counts, first, total, forward = read(folder / path)
        check("%s reads to its end, in time order" % path, forward and total > 1000, "%d frames" % total)
        for key, source in listed.items():
            if key[0] == path:
                missing += counts[key[1:]] == 0
                backwards += first.get(key[1:]) != source
    check("every labelled flow is in its capture", missing == 0, missing)
    check("src of every flow sent its first packet", backwards == 0, backwards)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
