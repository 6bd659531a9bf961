# SPDX-License-Identifier: Apache-2.0
"""Reads the relay's captures, finds flows in them, and writes pcap and pcapng."""

import collections
import ipaddress
import struct

TCP, UDP = 6, 17
FIN, SYN, RST, ACK = 1, 2, 4, 16

Endpoint = collections.namedtuple("Endpoint", "address port")
Segment = collections.namedtuple("Segment", "proto source target flags payload")


def read_pcap(path):
    """Frames of a nanosecond pcap of ours as (time in ns, bytes)."""
    data = path.read_bytes()
    magic, = struct.unpack_from("<I", data)
    if magic != 0xa1b23c4d:
        raise ValueError("%s: not a nanosecond pcap" % path)
    frames, at = [], 24
    while at + 16 <= len(data):
        seconds, nanos, have, _ = struct.unpack_from("<IIII", data, at)
        at += 16
        if at + have > len(data):
            break
        frames.append((seconds * 10**9 + nanos, data[at:at + have]))
        at += have
    return frames


def dissect(frame):
    """The TCP or UDP segment of an Ethernet frame, or None."""
    kind, = struct.unpack_from("!H", frame, 12)
    if kind == 0x0800:
        length = (frame[14] & 15) * 4
        total, = struct.unpack_from("!H", frame, 16)
        fragment, = struct.unpack_from("!H", frame, 20)
        if fragment & 0x1fff:
            return None
        proto, source, target = frame[23], frame[26:30], frame[30:34]
        at, end = 14 + length, 14 + total
    elif kind == 0x86dd:
        proto, source, target = frame[20], frame[22:38], frame[38:54]
        at, end = 54, 54 + struct.unpack_from("!H", frame, 18)[0]
    else:
        return None
    if proto not in (TCP, UDP) or len(frame) < at + 8:
        return None
    sport, dport = struct.unpack_from("!HH", frame, at)
    flags = frame[at + 13] if proto == TCP else 0
    header = (frame[at + 12] >> 4) * 4 if proto == TCP else 8
    return Segment(proto, Endpoint(str(ipaddress.ip_address(source)), sport),
                   Endpoint(str(ipaddress.ip_address(target)), dport), flags, max(end - at - header, 0))


class Flow:
    """A bidirectional 5-tuple; `source` opened it."""

    def __init__(self, segment):
        self.proto, self.source, self.target = segment.proto, segment.source, segment.target
        self.packets = self.payload = 0
        self.opened = segment.proto == UDP or segment.flags & (SYN | ACK) == SYN
        self.closed = segment.proto == UDP

    def add(self, segment):
        self.packets += 1
        self.payload += segment.payload
        if segment.flags & (FIN | RST):
            self.closed = True

    @property
    def whole(self):
        return bool(self.opened and self.closed and self.payload)


def flows_of(frames):
    """Flows by key, in the order in which they began."""
    found = {}
    for _, frame in frames:
        segment = dissect(frame)
        if segment is None:
            continue
        key = (segment.proto,) + tuple(sorted((segment.source, segment.target)))
        if key not in found:
            found[key] = Flow(segment)
        found[key].add(segment)
    return found


def write_pcap(out, frames, nano):
    out.write(struct.pack("<IHHiIII", 0xa1b23c4d if nano else 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
    for when, frame in frames:
        seconds, nanos = divmod(when, 10**9)
        out.write(struct.pack("<IIII", seconds, nanos if nano else nanos // 1000, len(frame), len(frame)))
        out.write(frame)


def _block(kind, body):
    body += b"\0" * (-len(body) % 4)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def write_pcapng(out, frames, nano):
    out.write(_block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1)))
    resolution = struct.pack("<HHB3xHH", 9, 1, 9 if nano else 6, 0, 0)
    out.write(_block(1, struct.pack("<HHI", 1, 0, 262144) + resolution))
    for when, frame in frames:
        tick = when if nano else when // 1000
        out.write(_block(6, struct.pack("<IIIII", 0, tick >> 32, tick & 0xffffffff, len(frame), len(frame)) + frame))
