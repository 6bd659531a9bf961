# SPDX-License-Identifier: Apache-2.0
"""FTP: the control connection and every data connection that it opens."""

from scenario import client, server, shape

shape("ftp", conversations=(4, 7), ports=(21, 21, 21, 2121))


def shelf(s):
    """Files below the user's home; one is long and compressible."""
    names = []
    for _ in range(s.rng.randint(4, 10)):
        name = s.content.file_name()
        s.write(s.server, "home/files/" + name, s.content.file(s.size(60, 8000)))
        names.append(name)
    s.write(s.server, "home/files/long.log", s.content.repetitive(s.size(200_000, 1_200_000)))
    s.server.run(["sh", "-c", "mkdir /srv/home/upload; chown -R 1500:1500 /srv/home; chmod -R u+rwX,a+rX /srv/home"])
    s.state["names"] = names
    low = s.rng.randint(20000, 50000)
    s.state["passive"] = (low, low + 500)


@server("ftp", "vsftpd")
def vsftpd(s):
    shelf(s)
    low, high = s.state["passive"]
    s.write(s.server, "vsftpd.conf", """listen=%s
listen_ipv6=%s
listen_port=%d
background=NO
local_enable=YES
write_enable=YES
anonymous_enable=NO
pam_service_name=lab
pasv_min_port=%d
pasv_max_port=%d
secure_chroot_dir=/var/empty
ftpd_banner=%s
xferlog_enable=NO
seccomp_sandbox=NO
connect_from_port_20=%s
""" % ("NO" if s.family == 6 else "YES", "YES" if s.family == 6 else "NO", s.port, low, high,
       s.content.sentence(), s.rng.choice(("YES", "NO"))))
    s.write(s.server, "pam.d/lab", "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n")
    s.server.run(["sh", "-c", "chown root:root /srv/vsftpd.conf; cp -r /etc/pam.d /tmp/pam.d; cp /srv/pam.d/lab /tmp/pam.d/lab"])
    # PAM reads its services from /etc, so the host gets a view of that folder of its own.
    s.server.spawn(["sh", "-c", "mount --bind /tmp/pam.d /etc/pam.d; exec vsftpd /srv/vsftpd.conf"])


@server("ftp", "pyftpdlib")
def pyftpdlib(s):
    shelf(s)
    low, high = s.state["passive"]
    s.server.spawn(["/usr/bin/python3", "-m", "pyftpdlib", "-i", s.server_address, "-p", s.port, "-w", "-d", "/srv/home",
                    "-r", "%d-%d" % (low, high), "-u", s.user, "-P", s.password])


def path(s, i):
    return "files/long.log" if i == 1 else "files/" + s.rng.choice(s.state["names"])


@client("ftp", "curl")
def curl(s, i):
    command = ["curl", "-s", "-u", "%s:%s" % (s.user, s.password)]
    command += s.rng.choice(([], [], ["--disable-epsv"], ["-P", "-"], ["--ftp-method", "nocwd"]))
    roll = s.rng.random()
    if roll < 0.25 and i != 1:
        local = s.write(s.client, "out/" + s.content.file_name(), s.content.file(s.size(50, 8000)))
        command += ["-T", local, s.url("ftp", "upload/")]
    elif roll < 0.4 and i != 1:
        command += [s.url("ftp", "files/")]
    else:
        for n in range(s.rng.choice((1, 1, 2, 3))):
            command += ["-o", "/dev/null", s.url("ftp", path(s, i if n == 0 else 0))]
    s.client.run(command, timeout=40)


@client("ftp", "lftp")
def lftp(s, i):
    steps = ["set net:timeout 15", "set net:max-retries 1", "set ssl:verify-certificate no", "set ftp:ssl-allow no",
             "set ftp:passive-mode %s" % s.rng.choice(("yes", "yes", "no")), "set xfer:clobber yes",
             "open -u %s,%s -p %d %s" % (s.user, s.password, s.port, s.server_host)]
    for _ in range(s.rng.randint(1, 3)):
        steps.append(s.rng.choice(("ls", "cls files", "cat %s" % path(s, 0), "get %s -o /tmp/got" % path(s, 0), "pwd")))
    if i == 1:
        steps.append("get files/long.log -o /tmp/long")
    if s.rng.random() < 0.3:
        steps.append("put %s -o upload/%s" % (
            s.write(s.client, "out/up%d" % i, s.content.file(s.size(50, 5000))), s.content.file_name()))
    s.client.run(["lftp", "-c", "; ".join(steps)], timeout=40)


@client("ftp", "tnftp")
def tnftp(s, i):
    steps = ["open %s %d" % (s.server_address, s.port), "user %s %s" % (s.user, s.password), "binary"]
    if s.rng.random() < 0.3:
        steps.append("passive")
    for _ in range(s.rng.randint(1, 3)):
        steps.append(s.rng.choice(("dir", "get %s /tmp/got" % path(s, 0), "pwd", "nlist files")))
    if i == 1:
        steps.append("get files/long.log /tmp/long")
    if s.rng.random() < 0.3:
        steps.append("put %s upload/up%d" % (s.write(s.client, "out/up%d" % i, s.content.file(s.size(50, 5000))), i))
    s.client.run(["tnftp", "-n", "-i"], stdin="\n".join(steps + ["bye"]) + "\n", timeout=40, check=False)


@client("ftp", "wget")
def wget(s, i):
    command = ["wget", "-q", "-t1", "-T20", "-O", "/dev/null", "--ftp-user=" + s.user, "--ftp-password=" + s.password]
    command += s.rng.choice(([], [], ["--no-passive-ftp"]))
    s.client.run(command + [s.url("ftp", path(s, i)) for _ in range(s.rng.choice((1, 2)))], timeout=40)


@client("ftp", "python-ftplib")
def ftplib(s, i):
    s.peer("ftpsession.py", s.server_address, s.port, s.user, s.password, s.rng.randrange(10**6),
           *[path(s, i if n == 0 else 0) for n in range(s.rng.randint(1, 3))], timeout=40)
