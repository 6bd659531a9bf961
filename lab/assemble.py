# SPDX-License-Identifier: Apache-2.0
"""Merges the captures of a run's scenarios into one and lists their labelled flows."""

import collections
import csv
import subprocess

import capture

COLUMNS = ["path", "label", "src_ip", "src_port", "dst_ip", "dst_port", "proto", "split", "capture"]
FORMATS = [("pcap", False), ("pcap", True), ("pcapng", False), ("pcapng", True)]
PROTO = {capture.TCP: "tcp", capture.UDP: "udp"}


def label_of(flow, scenario):
    """The label of a flow of this scenario, or None.

    The scenario's own program pair held every flow of its path, so its label is
    theirs.  A scenario whose programs speak two protocols at once (a call and
    its signalling) says which sockets it gave to the other one.
    """
    ends = {flow.source.address, flow.target.address}
    if ends != {scenario.client_address, scenario.server_address}:
        return None
    for port in (flow.source.port, flow.target.port):
        if (PROTO[flow.proto], port) in scenario.extra_labels:
            return scenario.extra_labels[PROTO[flow.proto], port]
    return scenario.label


def place(durations, rng):
    """Start offsets at which the scenarios overlap as flows on one link do."""
    span = max(durations, default=0)
    return [int(rng.random() * max(span * 1.2 - d, span * 0.2)) for d in durations]


def assemble(run, scenarios, directory):
    """Write the run's capture; returns its rows and a note of what got no label."""
    rows, merged, skipped = [], [], collections.Counter()
    parts = [(s, capture.read_pcap(s.pcap)) for s in scenarios]
    parts = [(s, frames) for s, frames in parts if frames]
    kind, nano = FORMATS[run.number % len(FORMATS)]
    path = "%s.%s.zst" % (run.id, kind)
    base = min(frames[0][0] for _, frames in parts)
    offsets = place([frames[-1][0] - frames[0][0] for _, frames in parts], run.rng)
    seen = set()
    for (scenario, frames), offset in zip(parts, offsets):
        shift = base + offset - frames[0][0]
        merged += [(when + shift, frame) for when, frame in frames]
        for key, flow in capture.flows_of(frames).items():
            label = label_of(flow, scenario)
            if label is None:
                skipped["no label"] += 1
            elif not flow.whole:
                skipped["%s not whole" % label] += 1
            else:
                if key in seen:
                    raise ValueError("%s: flow %s under two scenarios" % (path, key))
                seen.add(key)
                rows.append([path, label, flow.source.address, flow.source.port, flow.target.address,
                             flow.target.port, PROTO[flow.proto], run.split, run.id])
    merged.sort(key=lambda item: item[0])
    writer = capture.write_pcapng if kind == "pcapng" else capture.write_pcap
    with open(directory / path, "wb") as out:
        packer = subprocess.Popen(["zstd", "-q", "-19", "-c"], stdin=subprocess.PIPE, stdout=out)
        writer(packer.stdin, merged, nano)
        packer.stdin.close()
        if packer.wait() != 0:
            raise OSError("zstd failed on %s" % path)
    return rows, len(merged), skipped


def write_labels(rows, directory):
    with open(directory / "labels.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        out.writerows(rows)
