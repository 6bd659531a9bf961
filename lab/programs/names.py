# SPDX-License-Identifier: Apache-2.0
"""Name service, time service, and tunnels hidden in name service."""

import time

from net import LabError
from scenario import client, refuse, server, shape

shape("dns", conversations=(10, 18), ports=(53, 53, 53, 5353, 1053), proto="udp", think=(0.0, 0.4))
shape("ntp", conversations=(5, 9), ports=(123, 123, 123, 11123), proto="udp")
shape("dnstunnel", conversations=(3, 4), ports=(53,), proto="udp", family=4)


def make_zone(s):
    """An invented zone: its hosts and the questions that can be asked about it."""
    c, r = s.content, s.rng
    zone = s.state["zone"] = c.domain()
    records, asked = [], []
    for _ in range(r.randint(8, 25)):
        name = "%s.%s" % (c.label(), zone)
        records.append((name, "A", "192.0.2.%d" % r.randrange(1, 255)))
        asked.append((name, "A"))
        if r.random() < 0.5:
            records.append((name, "AAAA", "2001:db8:%x::%x" % (r.randrange(65536), r.randrange(1, 65536))))
            asked.append((name, "AAAA"))
        if r.random() < 0.2:
            records.append((name, "TXT", '"v=%s %s"' % (c.word(), c.words(r.randint(1, 12)))))
            asked.append((name, "TXT"))
    for i in range(r.randint(1, 3)):
        records.append((zone, "MX", "%d mx%d.%s." % (10 * (i + 1), i, zone)))
    service = "_%s._tcp.%s" % (c.word(), zone)
    records.append((service, "SRV", "5 10 %d host.%s." % (r.randrange(1, 65536), zone)))
    asked += [(zone, "MX"), (service, "SRV"), (zone, "NS"), (zone, "SOA")]
    s.state["records"], s.state["asked"] = sorted(set(records)), asked


def zone_file(s):
    zone = s.state["zone"]
    lines = ["$TTL %d" % s.rng.choice((60, 300, 3600, 86400)),
             "@ IN SOA ns1.%s. hostmaster.%s. ( %d 7200 900 1209600 300 )" % (zone, zone, s.rng.randrange(10**9)),
             "@ IN NS ns1.%s." % zone, "ns1 IN A 192.0.2.1"]
    lines += ["%s. IN %s %s" % record for record in s.state["records"]]
    return s.write(s.server, "zone.db", "\n".join(lines) + "\n")


@server("dns", "dnsmasq")
def dnsmasq(s):
    make_zone(s)
    flags = []
    for name, kind, value in s.state["records"]:
        if kind in ("A", "AAAA"):
            flags.append("--host-record=%s,%s" % (name, value))
        elif kind == "TXT":
            flags.append("--txt-record=%s,%s" % (name, value))
        elif kind == "MX":
            flags.append("--mx-host=%s,%s,%s" % (name, value.split()[1].rstrip("."), value.split()[0]))
    s.server.spawn(["dnsmasq", "-k", "-C", "/dev/null", "-p", s.port, "-R", "-h", "-u", "root", "-x", "/run/d.pid",
                    "--local=/%s/" % s.state["zone"], "--bind-interfaces", "-a", s.server_address] + flags)


@server("dns", "unbound")
def unbound(s):
    make_zone(s)
    zone = s.state["zone"]
    data = "\n".join("  local-data: '%s. %d IN %s %s'" % (n, s.rng.choice((60, 300, 3600)), k, v)
                     for n, k, v in s.state["records"])
    s.write(s.server, "unbound.conf", """server:
  interface: %s
  port: %d
  access-control: %s allow
  username: ""
  chroot: ""
  directory: "/srv"
  pidfile: "/run/unbound.pid"
  use-syslog: no
  module-config: "iterator"
  do-daemonize: no
  hide-identity: yes
  local-zone: "%s." static
  local-zone: "." refuse
%s
remote-control:
  control-enable: no
""" % (s.server_address, s.port, s.client_address, zone, data))
    s.server.spawn(["unbound", "-d", "-c", "/srv/unbound.conf"])


@server("dns", "bind9")
def bind9(s):
    make_zone(s)
    zone_file(s)
    family = "listen-on-v6" if s.family == 6 else "listen-on"
    s.write(s.server, "named.conf", """options { directory "/tmp"; pid-file "/run/named.pid"; recursion no; version none;
  %s port %d { any; }; %s { none; }; dnssec-validation no; session-keyfile "/run/session.key"; };
controls { };
zone "%s" { type primary; file "/srv/zone.db"; };
""" % (family, s.port, "listen-on" if s.family == 6 else "listen-on-v6", s.state["zone"]))
    s.server.spawn(["named", "-g", "-n", "1", "-c", "/srv/named.conf"])


@server("dns", "nsd")
def nsd(s):
    make_zone(s)
    zone_file(s)
    s.write(s.server, "nsd.conf", """server:
  ip-address: %s@%d
  username: ""
  server-count: 1
  zonesdir: "/srv"
  database: ""
  zonelistfile: "/tmp/zone.list"
  xfrdfile: "/tmp/xfrd.state"
  xfrdir: "/tmp"
  pidfile: "/run/nsd.pid"
  hide-version: yes
remote-control:
  control-enable: no
zone:
  name: "%s"
  zonefile: "zone.db"
""" % (s.server_address, s.port, s.state["zone"]))
    s.server.spawn(["nsd", "-d", "-c", "/srv/nsd.conf"])


def questions(s, most):
    """Names and types; now and then one that does not exist."""
    out = []
    for _ in range(s.rng.randint(1, most)):
        name, kind = s.rng.choice(s.state["asked"])
        if s.rng.random() < 0.12:
            name = "%s.%s" % (s.content.label(), s.state["zone"])
        if s.rng.random() < 0.1:
            name = "".join(c.upper() if s.rng.random() < 0.5 else c for c in name)
        out.append((name, kind))
    return out


@client("dns", "dig")
def dig(s, i):
    command = ["dig", "@" + s.server_address, "-p", s.port, "+tries=2", "+timeout=3"]
    command += s.rng.choice(([], [], ["+noedns"], ["+dnssec"], ["+bufsize=1232"], ["+nocookie"], ["+tcp"], ["+norecurse"]))
    for name, kind in questions(s, 3):
        command += [name, kind]
    s.client.run(command)


@client("dns", "kdig")
def kdig(s, i):
    command = ["kdig", "@" + s.server_address, "-p", s.port, "+retry=1", "+timeout=3"]
    command += s.rng.choice(([], [], ["+edns"], ["+dnssec"], ["+padding"], ["+tcp"]))
    for name, kind in questions(s, 2):
        command += ["-q", name, "-t", kind]
    s.client.run(command)


@client("dns", "drill")
def drill(s, i):
    for name, kind in questions(s, 2):
        s.client.run(["drill", "-p", s.port] + s.rng.choice(([], ["-D"], ["-t"], ["-b", "4096"])) +
                     [name, "@" + s.server_address, kind])


@client("dns", "host")
def host(s, i):
    command = ["host", "-p", s.port, "-W", 3] + s.rng.choice(([], ["-a"], ["-T"], ["-t", "TXT"]))
    s.client.run(command + [questions(s, 1)[0][0], s.server_address], check=False)


@client("dns", "dnspython")
def dnspython(s, i):
    flat = [word for question in questions(s, 6) for word in question]
    s.peer("resolve.py", s.server_address, s.port, s.rng.choice(("udp", "udp", "udp", "tcp")), *flat)


@server("ntp", "chrony")
def chrony(s):
    if s.client_name == "ntpdig":
        s.port = 123  # it knows no other
    s.write(s.server, "chrony.conf", "port %d\ncmdport 0\nlocal stratum %d\nallow all\nbindaddress %s\n"
            "driftfile /tmp/drift\npidfile /run/chronyd.pid\n%s" % (
                s.port, s.rng.randint(1, 12), s.server_address,
                "ratelimit interval -4 burst 16\n" if s.rng.random() < 0.3 else ""))
    s.server.spawn(["chronyd", "-d", "-x", "-u", "root", "-f", "/srv/chrony.conf"])


@client("ntp", "chrony")
def chrony_client(s, i):
    s.client.run(["chronyd", "-Q", "-u", "root", "-f", "/dev/null", "-t", "12", "pidfile /run/chronyd.pid", "cmdport 0",
                  "server %s port %d iburst maxsamples %d%s" % (
                      s.server_address, s.port, s.rng.randint(1, 4), s.rng.choice(("", "", " version 3", " xleave")))],
                 check=False)


@client("ntp", "ntpdig")
def ntpdig(s, i):
    s.client.run(["ntpdig", "-t", "2", "-p", str(s.rng.randint(1, 3)), s.server_address], check=False)


@client("ntp", "ntplib")
def ntplib(s, i):
    s.peer("ntpask.py", s.server_address, s.port, s.rng.choice((2, 3, 3, 4)), s.rng.randint(1, 4))


@server("dnstunnel", "iodine")
def iodined(s):
    s.port = 53
    s.state["zone"] = "t%d.%s" % (s.rng.randrange(100), s.content.domain())
    s.write(s.server, "www/note.txt", s.content.text(s.size(300, 6000)))
    s.server.spawn(["iodined", "-f", "-c", "-P", s.password, "-l", s.server_address, "10.%d.77.1/27" % s.rng.randrange(256),
                    s.state["zone"]])
    s.server.spawn(["busybox", "httpd", "-f", "-h", "/srv/www", "-p", "80"])


@client("dnstunnel", "iodine")
def iodine(s, i):
    command = ["iodine", "-f", "-r", "-P", s.password, "-m", s.rng.choice((150, 400, 700, 1100)),
               "-M", s.rng.choice((120, 180, 255)), "-T", s.rng.choice(("NULL", "TXT", "SRV", "MX", "CNAME", "PRIVATE"))]
    if s.rng.random() < 0.3:
        command += ["-L", "0"]
    process = s.client.spawn(command + [s.server_address, s.state["zone"]])
    try:
        for _ in range(60):
            time.sleep(0.25)
            address = s.client.run(["sh", "-c", "ip -4 -o addr show dev dns0 2>/dev/null | awk '{print $4}'"]).decode()
            if address:
                break
        else:
            raise LabError("the tunnel did not come up")
        far = address.split("/")[0].rsplit(".", 1)[0] + ".1"
        for _ in range(s.rng.randint(1, 3)):
            if s.rng.random() < 0.4:
                s.client.run(["ping", "-n", "-c", s.rng.randint(2, 6), "-i", "0.3", far], check=False)
            else:
                s.client.run(["curl", "-s", "-m", "12", "-o", "/dev/null", "http://%s/note.txt" % far], check=False)
            s.think()
    finally:
        s.client.stop(process)
        time.sleep(0.3)


@server("dnstunnel", "dns2tcp")
def dns2tcpd(s):
    s.port = 53
    s.state["zone"] = "d%d.%s" % (s.rng.randrange(100), s.content.domain())
    s.write(s.server, "www/note.txt", s.content.text(s.size(300, 6000)))
    s.write(s.server, "dns2tcpd.conf", "listen = %s\nport = 53\nuser = nobody\nkey = %s\nchroot = /tmp\ndomain = %s\n"
            "resources = web:127.0.0.1:80\n" % (s.server_address, s.password, s.state["zone"]))
    s.server.spawn(["busybox", "httpd", "-f", "-h", "/srv/www", "-p", "127.0.0.1:80"])
    s.server.spawn(["dns2tcpd", "-F", "-f", "/srv/dns2tcpd.conf"])


@client("dnstunnel", "dns2tcp")
def dns2tcpc(s, i):
    local = 3000 + i
    command = ["dns2tcpc", "-z", s.state["zone"], "-k", s.password, "-r", "web", "-l", local,
               "-T", s.rng.choice(("TXT", "TXT", "KEY"))]
    if s.rng.random() < 0.3:
        command += ["-c"]
    process = s.client.spawn(command + [s.server_address])
    try:
        s.client.wait_listening("tcp", local)
        for _ in range(s.rng.randint(1, 3)):
            s.client.run(["curl", "-s", "-m", "12", "-o", "/dev/null", "http://127.0.0.1:%d/note.txt" % local], check=False)
            s.think()
    finally:
        s.client.stop(process)
        time.sleep(0.3)


refuse("dnstunnel", "iodine", "dns2tcp")
refuse("dnstunnel", "dns2tcp", "iodine")
