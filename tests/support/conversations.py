"""Writes captures of small made-up conversations for command-line tests: FOLDER/LABEL/NN.pcap, one label "name" (a
question and an answer over UDP) and one "shell" (TCP from SYN to FIN), each file with several flows."""
import os
import random
import struct
import sys


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(source, target, protocol, body):
    pseudo = source + target + struct.pack("!BBH", 0, protocol, len(body))
    at = 16 if protocol == 6 else 6
    body = body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0x4000, 64, protocol, 0) + source + target
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return b"\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\0" + head + body


def udp(a, b, payload):
    return ip(a[0], b[0], 17, struct.pack("!HHHH", a[1], b[1], 8 + len(payload), 0) + payload)


def tcp(a, b, flags, sequence, acknowledged, payload=b""):
    head = struct.pack("!HHIIBBHHH", a[1], b[1], sequence, acknowledged, 0x50, flags, 64000, 0, 0)
    return ip(a[0], b[0], 6, head + payload)


def name(rng, a, b):
    word = bytes(rng.choice(b"abcdefgh") for _ in range(rng.randrange(3, 9)))
    query = struct.pack("!HHHHHH", rng.randrange(65536), 0x100, 1, 0, 0, 0) + bytes([len(word)]) + word + b"\0\0\1\0\1"
    return [udp(a, b, query), udp(b, a, query + bytes(rng.randrange(256) for _ in range(4)))]


def shell(rng, a, b):
    x, y = rng.randrange(1 << 31), rng.randrange(1 << 31)
    hello = b"SSH-2.0-%d\r\n" % rng.randrange(1000)
    return [tcp(a, b, 2, x, 0), tcp(b, a, 18, y, x + 1), tcp(a, b, 16, x + 1, y + 1),
            tcp(b, a, 24, y + 1, x + 1, hello), tcp(a, b, 17, x + 1, y + 1 + len(hello)),
            tcp(b, a, 17, y + 1 + len(hello), x + 2), tcp(a, b, 16, x + 2, y + 2 + len(hello))]


def write(path, rng, make, port):
    packets = []
    for flow in range(8):
        a = (bytes([10, 0, 0, rng.randrange(1, 250)]), rng.randrange(40000, 60000))
        b = (bytes([10, 0, 1, rng.randrange(1, 250)]), port)
        start = 1700000000 + flow + rng.random()
        packets += [(start + 0.01 * i, frame) for i, frame in enumerate(make(rng, a, b))]
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for time, frame in sorted(packets):
            out.write(struct.pack("<IIII", int(time), int(time % 1 * 1e6), len(frame), len(frame)) + frame)


def main(folder):
    rng = random.Random(1)
    for label, make, port in (("name", name, 53), ("shell", shell, 22)):
        os.makedirs(os.path.join(folder, label))
        for number in range(10):
            write(os.path.join(folder, label, f"{number:02}.pcap"), rng, make, port)


main(sys.argv[1])
