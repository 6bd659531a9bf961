# SPDX-License-Identifier: Apache-2.0
"""One scenario: a client program talks to a server program over one path."""

import importlib
import pathlib
import random
import time

import content
import net

PROGRAMS = ("web", "names", "shell", "mail", "files", "data", "calls")
SERVERS = {}
CLIENTS = {}
SHAPES = {}
REFUSED = set()


def server(label, name):
    """Register a function that starts a server of this label."""
    def add(function):
        SERVERS.setdefault(label, {})[name] = function
        return function
    return add


def client(label, name):
    """Register a function that holds one conversation of this label."""
    def add(function):
        CLIENTS.setdefault(label, {})[name] = function
        return function
    return add


def shape(label, pairs=2, conversations=(5, 10), ports=(), proto="tcp", think=(0.0, 0.6), family=None):
    """How often a label occurs in a run and the ports that it is usually found on."""
    SHAPES[label] = {"pairs": pairs, "conversations": conversations, "ports": ports,
                     "proto": proto, "think": think, "family": family}


def refuse(label, server_name, client_name):
    """A pair that cannot talk to each other."""
    REFUSED.add((label, server_name, client_name))


def load():
    for name in PROGRAMS:
        importlib.import_module("programs." + name)
    return sorted(SHAPES)


def pairs(label):
    return [(s, c) for s in sorted(SERVERS[label]) for c in sorted(CLIENTS[label])
            if (label, s, c) not in REFUSED]


def draw_port(rng, usual):
    """Mostly a usual port, but often enough another that the port tells little."""
    if usual and rng.random() < 0.6:
        return rng.choice(usual)
    return rng.choice((rng.randint(1024, 9999), rng.randint(10000, 31000)))


class Scenario:
    """The two hosts, their link, and what the programs need to know."""

    DEADLINE_S = 75

    def __init__(self, run, index, label, server_name, client_name, directory):
        self.run, self.label = run, label
        self.server_name, self.client_name = server_name, client_name
        self.id = "%s %s/%s" % (label, server_name, client_name)
        self.rng = random.Random("%s scenario %d %s" % (run.seed, index, self.id))
        self.content = content.Content("%s %d %s" % (run.seed, index, label))
        self.dir = pathlib.Path(directory)
        self.shape = SHAPES[label]
        self.port = draw_port(self.rng, self.shape["ports"])
        self.extra_labels = {}
        self.state = {}
        self.failures = 0
        self.family, addresses, macs = run.draw_addresses(self.rng, self.shape["family"])
        self.client_address, self.server_address = addresses
        self.macs = macs
        self.user = self.content.word().replace("-", "")[:12].ljust(4, "o")
        self.password = self.content.word() + str(self.rng.randrange(1000, 9999))
        self.server_host = self.content.hostname()
        self.client_host = self.content.hostname()

    @property
    def pcap(self):
        return self.dir / "path.pcap"

    @property
    def literal(self):
        return "[%s]" % self.server_address if self.family == 6 else self.server_address

    def host_or_address(self):
        return self.server_host if self.rng.random() < 0.5 else self.literal

    def url(self, scheme, path, name=False):
        where = self.server_host if name else self.host_or_address()
        standard = {"http": 80, "https": 443, "ftp": 21}.get(scheme)
        port = "" if self.port == standard else ":%d" % self.port
        return "%s://%s%s/%s" % (scheme, where, port, path.lstrip("/"))

    def write(self, host, name, data):
        """Put a file below /srv of a host."""
        path = host.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return "/srv/" + name

    def think(self):
        time.sleep(self.rng.uniform(*self.shape["think"]))

    def size(self, low, high):
        """Sizes spread evenly over orders of magnitude."""
        return int(low * (high / low) ** self.rng.random())

    def peer(self, script, *arguments, timeout=30, **kw):
        """Run one of our small client scripts with Debian's Python."""
        return self.client.run(["/usr/bin/python3", "/srv/peers/" + script] + list(arguments), timeout=timeout, **kw)

    def play(self):
        """Record the whole scenario; raises LabError if no conversation came about."""
        self.dir.mkdir(parents=True)
        hosts, link = [], None
        try:
            for role, name in (("server", self.server_host), ("client", self.client_host)):
                hosts.append(net.Host(name, self.dir / role, self.user, self.run.hash_of(self.password)))
            self.server, self.client = hosts
            for host in hosts:
                with open(host.dir / "etc/hosts", "a") as file:
                    file.write("%s %s\n%s %s\n" % (self.server_address, self.server_host,
                                                   self.client_address, self.client_host))
            conditions, mtu = self.run.draw_conditions(self.rng)
            nets = [{"address": a, "mac": m, "sysctl": self._sysctl()} for a, m in
                    ((self.client_address, self.macs[0]), (self.server_address, self.macs[1]))]
            link = net.Link(self.run.relay, self.client, self.server, nets[0], nets[1], conditions,
                            mtu, self.run.vantage, self.rng.getrandbits(60), self.pcap,
                            self.rng.random() < 0.7)
            self.round_trip = (conditions[0].delay_ms + conditions[1].delay_ms) / 1000
            self._converse()
            for host in (self.client, self.server):
                for process in host.spawned:
                    host.stop(process)
            time.sleep(0.7 + 3 * self.round_trip)
        finally:
            if link:
                link.close()
            for host in hosts:
                host.close()

    def _converse(self):
        SERVERS[self.label][self.server_name](self)
        self.server.wait_listening(self.shape["proto"], self.port)
        count = self.rng.randint(*self.shape["conversations"])
        end = time.monotonic() + self.DEADLINE_S
        done = 0
        for i in range(count):
            if time.monotonic() > end:
                break
            try:
                CLIENTS[self.label][self.client_name](self, i)
                done += 1
            except net.LabError as error:
                self.failures += 1
                self.client.note(str(error))
            self.think()
        if done == 0:
            raise net.LabError("no conversation succeeded")
        # Closing handshakes may still be on their way.
        time.sleep(0.3 + 2 * self.round_trip)

    def _sysctl(self):
        """Let hosts differ as operating systems and their settings do."""
        r = self.rng
        low, high = r.choice(((32768, 60999), (49152, 65535), (1024, 65535), (10000, 65000)))
        values = {
            "net__ipv4__ip_local_port_range": "%d %d" % (max(low, 1024), high),
            "net__ipv4__tcp_timestamps": r.choice((1, 1, 1, 0)),
            "net__ipv4__tcp_sack": r.choice((1, 1, 1, 1, 0)),
            "net__ipv4__tcp_ecn": r.choice((2, 2, 1)),
        }
        hops = r.choice((64, 128, 255)) - r.choice((0, 0, r.randint(1, 20)))
        if self.family == 4:
            values["net__ipv4__ip_default_ttl"] = hops
        else:
            values["net__ipv6__conf__%s__hop_limit" % net.DEVICE] = hops
        return values


