# SPDX-License-Identifier: Apache-2.0
"""Hosts in namespaces of their own, and the relayed path between two of them."""

import ipaddress
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time

LAB = pathlib.Path(__file__).resolve().parent
DEVICE = "up0"
# The kernel kills a child when the thread that started it ends, so nothing
# outlives the recorder even if it is killed outright.
LEASH = ["setpriv", "--pdeathsig", "KILL", "--"]
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/srv/home", "LANG": "C.UTF-8", "TZ": "UTC", "TERM": "dumb",
}

_holders = set()
_holders_lock = threading.Lock()
_stopping = threading.Event()


class LabError(Exception):
    """A scenario could not be set up or its programs failed."""


def stop_everything():
    """Kill every namespace that is still up; for the recorder's way out."""
    _stopping.set()
    with _holders_lock:
        for holder in list(_holders):
            holder.kill()


def build(directory):
    """Compile the relay and the server that is a C program of ours; returns the relay."""
    directory = pathlib.Path(directory)
    for source, flags in (("relay.c", []), ("peers/modbusd.c", ["-I/usr/include/modbus", "-lmodbus"])):
        subprocess.run(["cc", "-std=gnu11", "-O2", "-o", str(directory / pathlib.Path(source).stem),
                        str(LAB / source)] + flags, check=True)
    return directory / "relay"


class Conditions:
    """What one direction of a path does to frames."""

    def __init__(self, delay_ms, jitter_ms, loss, rate_kbit, queue):
        self.delay_ms, self.jitter_ms = delay_ms, jitter_ms
        self.loss, self.rate_kbit, self.queue = loss, rate_kbit, queue

    def argument(self):
        return "%d,%d,%d,%d,%d" % (self.delay_ms * 1000, self.jitter_ms * 1000,
                                   self.loss * 1e6, self.rate_kbit, self.queue)


class Host:
    """A machine of our own: network, UTS, mount, IPC and PID namespaces.

    `directory` appears as /srv inside.  The first process of the PID namespace
    is a bounded sleep; when it dies, the kernel kills all the others.
    """

    LIFETIME_S = 600

    def __init__(self, name, directory, user, password_hash):
        self.name, self.user = name, user
        self.dir = pathlib.Path(directory)
        self.log = None
        self.spawned = []
        for sub in ("home", "tmp", "etc"):
            (self.dir / sub).mkdir(parents=True)
        self.dir.chmod(0o755)
        shutil.copytree(LAB / "peers", self.dir / "peers")
        self._accounts(password_hash)
        (self.dir / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n" % name)
        (self.dir / "etc/resolv.conf").write_text("")
        (self.dir / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
        self._start()
        os.chown(self.dir / "home", 1500, 1500)

    def _accounts(self, password_hash):
        lines = {
            "passwd": "%s:x:1500:1500::/srv/home:/bin/sh\n" % self.user,
            "group": "%s:x:1500:\n" % self.user,
            "shadow": "%s:%s:19000:0:99999:7:::\n" % (self.user, password_hash),
        }
        for file, line in lines.items():
            text = pathlib.Path("/etc", file).read_text()
            (self.dir / "etc" / file).write_text(text + line)
        (self.dir / "etc/shadow").chmod(0o600)

    def _start(self):
        if _stopping.is_set():
            raise LabError("the recorder is ending")
        self.log = open(self.dir.parent / (self.dir.name + ".log"), "ab")
        script = """set -e
hostname "$1"
mount --make-rprivate /
mount --bind "$2" /srv
for f in passwd group shadow hosts resolv.conf nsswitch.conf; do
  [ -e /etc/$f ] && mount --bind /srv/etc/$f /etc/$f
done
for d in /run /tmp /var/log /var/spool /var/mail /root; do mount -t tmpfs -o mode=755 tmpfs $d; done
chmod 1777 /tmp
mkdir -p /run/lock /run/sshd /var/empty
ip link set lo up
echo ready
exec sleep "$3"
"""
        self.holder = subprocess.Popen(
            LEASH + ["unshare", "--net", "--uts", "--mount", "--ipc", "--pid", "--fork",
                     "--kill-child=KILL", "--mount-proc", "sh", "-c", script, "sh",
                     self.name, str(self.dir), str(self.LIFETIME_S)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log,
            env=ENVIRONMENT, start_new_session=True, cwd="/")
        with _holders_lock:
            _holders.add(self.holder)
        if self.holder.stdout.readline() != b"ready\n":
            raise LabError("namespace of %s did not start" % self.name)
        children = pathlib.Path("/proc/%d/task/%d/children" % (self.holder.pid, self.holder.pid))
        self.first_pid = int(children.read_text().split()[0])

    @property
    def netns(self):
        return "/proc/%d/ns/net" % self.first_pid

    def _enter(self, command, cwd):
        """nsenter resolves a folder before it enters, so env changes to it afterwards."""
        return LEASH + ["nsenter", "--target", str(self.first_pid), "--net", "--uts", "--mount", "--ipc", "--pid",
                        "--wd=/", "--", "env", "--chdir=" + cwd] + [str(c) for c in command]

    def _environment(self, extra):
        env = dict(ENVIRONMENT, USER=self.user, LOGNAME=self.user)
        env.update(extra or {})
        return env

    def run(self, command, timeout=30, stdin=None, cwd="/srv", env=None, check=True):
        """Run a program to its end inside the host; returns its standard output."""
        wrapped = ["timeout", "--kill-after=1", str(timeout)] + list(command)
        done = subprocess.run(
            self._enter(wrapped, cwd), input=stdin.encode() if isinstance(stdin, str) else stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self._environment(env), start_new_session=True, timeout=timeout + 20)
        if done.returncode != 0:
            self.note("%s: exit status %d\n%s%s" % (" ".join(map(str, command)), done.returncode,
                      done.stdout[-1000:].decode(errors="replace"), done.stderr[-2000:].decode(errors="replace")))
            if check:
                raise LabError("%s: exit status %d" % (command[0], done.returncode))
        return done.stdout

    def spawn(self, command, cwd="/srv", env=None, stdin=None):
        """Start a long-lived program inside the host."""
        process = subprocess.Popen(
            self._enter(command, cwd), stdin=stdin or subprocess.DEVNULL,
            stdout=self.log, stderr=self.log,
            env=self._environment(env), start_new_session=True)
        self.spawned.append(process)
        return process

    def stop(self, process, sig=signal.SIGTERM):
        """Ask a spawned program to end; nsenter's child is the program itself."""
        try:
            text = pathlib.Path("/proc/%d/task/%d/children" % (process.pid, process.pid)).read_text()
            for pid in text.split():
                os.kill(int(pid), sig)
        except (OSError, ValueError):
            pass

    def note(self, text):
        self.log.write(text.encode() + b"\n")
        self.log.flush()

    def wait_listening(self, proto, port, timeout=15):
        """Wait until a socket is bound, by reading the kernel's tables: no packet is sent."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for table in (proto, proto + "6"):
                text = pathlib.Path("/proc/%d/net/%s" % (self.first_pid, table)).read_text()
                for line in text.splitlines()[1:]:
                    field = line.split()
                    listening = field[3] == ("0A" if proto == "tcp" else "07")
                    if listening and int(field[1].rsplit(":", 1)[1], 16) == port:
                        return
            time.sleep(0.05)
        raise LabError("nothing listens on %s port %d of %s" % (proto, port, self.name))

    def ip(self, *words):
        self.run(["ip"] + [str(w) for w in words])

    def sysctl(self, **values):
        for name, value in values.items():
            path = pathlib.Path("/proc/sys", name.replace("__", "/"))
            # Written through the host's own /proc, where net/ means its own network.
            self.run(["sh", "-c", 'echo "$2" >"$1"', "sh", path, value], check=False)

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        with _holders_lock:
            _holders.discard(self.holder)
        for process in self.spawned:
            process.kill()
            process.wait()
        self.log.close()


class Link:
    """A relayed path between two hosts, recorded from the first packet to the last."""

    def __init__(self, relay, client, server, client_net, server_net, conditions, mtu,
                 vantage, seed, pcap, static_neighbours):
        self.pcap = pathlib.Path(pcap)
        self.process = subprocess.Popen(
            LEASH + [str(relay), client.netns, server.netns, DEVICE, str(mtu), str(pcap),
                     vantage, str(seed), conditions[0].argument(), conditions[1].argument()],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=client.log,
            start_new_session=True)
        if self.process.stdout.readline() != b"ready\n":
            raise LabError("relay did not start")
        for host, own, peer in ((client, client_net, server_net), (server, server_net, client_net)):
            self._configure(host, own, peer, mtu, static_neighbours)

    @staticmethod
    def _configure(host, own, peer, mtu, static_neighbours):
        """Only the peer has a route: nothing else can be reached from here."""
        address, other = ipaddress.ip_address(own["address"]), peer["address"]
        script = ["link set %s address %s mtu %d" % (DEVICE, own["mac"], mtu)]
        width = 128 if address.version == 6 else 32
        if address.version == 6:
            host.sysctl(**{"net__ipv6__conf__%s__%s" % (DEVICE, k): v for k, v in (
                ("accept_ra", 0), ("router_solicitations", 0), ("addr_gen_mode", 1),
                ("dad_transmits", 0))})
        else:
            host.sysctl(**{"net__ipv6__conf__%s__disable_ipv6" % DEVICE: 1})
        script.append("link set %s up" % DEVICE)
        script.append("addr add %s/%d dev %s%s" % (address, width, DEVICE,
                                                   " nodad" if width == 128 else ""))
        script.append("route add %s dev %s src %s" % (other, DEVICE, address))
        if static_neighbours:
            script.append("neigh replace %s lladdr %s dev %s nud permanent" % (other, peer["mac"], DEVICE))
        host.run(["ip", "-batch", "-"], stdin="\n".join(script) + "\n")
        host.sysctl(**own.get("sysctl", {}))

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
