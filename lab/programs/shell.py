# SPDX-License-Identifier: Apache-2.0
"""SSH sessions, and file copies over SSH."""

from net import LabError
from scenario import client, refuse, server, shape

shape("ssh", conversations=(4, 7), ports=(22, 22, 22, 2222))
shape("scp", conversations=(3, 5), ports=(22, 22, 22, 2222))

ASKPASS = "#!/bin/sh\ncat /srv/secret\n"


def keys(s):
    """Host keys and a user key of this scenario's own."""
    for kind in ("ed25519", s.rng.choice(("ecdsa", "rsa"))):
        s.server.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", s.server_host, "-f", "/srv/etc/host_" + kind])
        s.state["kinds"] = s.state.get("kinds", []) + [kind]
    user_kind = s.rng.choice(("ed25519", "ecdsa"))
    s.client.run(["ssh-keygen", "-q", "-t", user_kind, "-N", "", "-C", s.user, "-f", "/srv/key"])
    public = (s.client.dir / "key.pub").read_text()
    s.write(s.server, "home/.ssh/authorized_keys", public)
    s.write(s.client, "secret", s.password + "\n")
    s.write(s.client, "askpass", ASKPASS)
    (s.client.dir / "askpass").chmod(0o755)
    for _ in range(s.rng.randint(4, 9)):
        s.write(s.server, "home/" + s.content.file_name(), s.content.file(s.size(100, 4000)))
    s.server.run(["chown", "-R", "1500:1500", "/srv/home"])
    s.server.run(["chmod", "755", "/srv/home"])


def sshd(s):
    keys(s)
    s.write(s.server, "sshd_config", "Port %d\nListenAddress %s\nUsePAM no\nPidFile /run/sshd.pid\nPrintMotd no\n"
            "UseDNS no\nSubsystem sftp internal-sftp\n%s%s" % (
                s.port, s.server_address, "".join("HostKey /srv/etc/host_%s\n" % k for k in s.state["kinds"]),
                s.rng.choice(("", "Compression no\n"))))
    s.server.spawn(["/usr/sbin/sshd", "-D", "-e", "-f", "/srv/sshd_config"])


def dropbear(s):
    keys(s)
    flags = []
    for kind in s.state["kinds"]:
        s.server.run(["dropbearconvert", "openssh", "dropbear", "/srv/etc/host_" + kind, "/srv/etc/db_" + kind])
        flags += ["-r", "/srv/etc/db_" + kind]
    s.server.spawn(["dropbear", "-F", "-E", "-p", "%s:%d" % (s.literal, s.port)] + flags)


for _label in ("ssh", "scp"):
    server(_label, "openssh")(sshd)
    server(_label, "dropbear")(dropbear)


def openssh_options(s):
    """Options of ssh and scp, and the environment that answers its password question."""
    options = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
               "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=15", "-o", "IdentitiesOnly=yes"]
    if s.rng.random() < 0.3:
        options += ["-o", "KexAlgorithms=" + s.rng.choice(("curve25519-sha256", "ecdh-sha2-nistp256"))]
    if s.rng.random() < 0.3:
        options += ["-c", s.rng.choice(("aes128-ctr", "chacha20-poly1305@openssh.com", "aes256-ctr"))]
    if s.rng.random() < 0.2:
        options += ["-C"]
    if s.rng.random() < 0.3:
        return options + ["-o", "PubkeyAuthentication=no"], {
            "SSH_ASKPASS": "/srv/askpass", "SSH_ASKPASS_REQUIRE": "force"}
    return options + ["-i", "/srv/key"], {}


def shell_lines(s, count):
    """Harmless commands whose output is the scenario's own content."""
    names = sorted(p.name for p in (s.server.dir / "home").iterdir() if p.is_file())
    makers = (
        lambda: "ls -l", lambda: "cat %s" % s.rng.choice(names), lambda: "wc %s" % s.rng.choice(names),
        lambda: "head -n %d %s" % (s.rng.randint(1, 20), s.rng.choice(names)),
        lambda: "echo %s" % s.content.words(s.rng.randint(1, 8)), lambda: "pwd", lambda: "id -u",
        lambda: "grep -c %s %s" % (s.content.word(), s.rng.choice(names)), lambda: "sort %s" % s.rng.choice(names))
    return [s.rng.choice(makers)() for _ in range(count)]


def typing(s, lines):
    """A shell fragment that types the lines with pauses between them."""
    parts = []
    for line in lines + ["exit"]:
        parts.append("sleep %.2f; echo '%s'" % (s.rng.uniform(0.1, 0.7), line))
    return "{ " + "; ".join(parts) + "; }"


def converse(s, command, env, tty_flag):
    """Either one remote command, or a typed session."""
    if s.rng.random() < 0.6:
        s.client.run(command + ["; ".join(shell_lines(s, s.rng.randint(1, 3)))], env=env, check=False, timeout=25)
        return
    script = typing(s, shell_lines(s, s.rng.randint(2, 6))) + ' | "$@"'
    s.client.run(["sh", "-c", script, "sh"] + [str(c) for c in command] + tty_flag, env=env, check=False, timeout=40)


@client("ssh", "openssh")
def ssh(s, i):
    options, env = openssh_options(s)
    tty = ["-tt"] if s.rng.random() < 0.6 else ["-T"]
    converse(s, ["ssh"] + options + ["-p", s.port, "-l", s.user, s.server_host] , env, tty)


@client("ssh", "dropbear")
def dbclient(s, i):
    if not (s.client.dir / "dbkey").exists():
        s.client.run(["dropbearconvert", "openssh", "dropbear", "/srv/key", "/srv/dbkey"])
    command = ["dbclient", "-y", "-y", "-p", s.port, "-l", s.user]
    env = {}
    if s.rng.random() < 0.3:
        env["DROPBEAR_PASSWORD"] = s.password
    else:
        command += ["-i", "/srv/dbkey"]
    converse(s, command + [s.server_address], env, [])


def putty_flags(s):
    prints = []
    for kind in s.state["kinds"]:
        text = s.server.run(["ssh-keygen", "-l", "-f", "/srv/etc/host_%s.pub" % kind]).decode()
        prints += ["-hostkey", text.split()[1]]
    return ["-batch", "-P", str(s.port), "-pw", s.password] + prints


@client("ssh", "plink")
def plink(s, i):
    converse(s, ["plink", "-ssh"] + putty_flags(s) + ["-l", s.user, s.server_address], {}, [])


@client("ssh", "paramiko")
def paramiko(s, i):
    s.peer("sshrun.py", s.server_address, s.port, s.user, s.password, *shell_lines(s, s.rng.randint(1, 4)))


def copies(s):
    """Local and remote file of one copy, and whether it goes up."""
    up = s.rng.random() < 0.5
    if up:
        name = s.content.file_name()
        return s.write(s.client, "out/" + name, s.content.file(s.size(80, 4000))), "/tmp/" + name, True
    names = sorted(p.name for p in (s.server.dir / "home").iterdir() if p.is_file())
    name = s.rng.choice(names)
    return "/tmp/" + name, "/srv/home/" + name, False


@client("scp", "openssh-scp")
def scp(s, i):
    options, env = openssh_options(s)
    if s.server_name == "dropbear" or s.rng.random() < 0.3:
        options += ["-O"]
    local, remote, up = copies(s)
    far = "%s@%s:%s" % (s.user, s.literal, remote)
    s.client.run(["scp", "-q"] + options + ["-P", s.port] + ([local, far] if up else [far, local]), env=env, timeout=25)


@client("scp", "openssh-sftp")
def sftp(s, i):
    options, env = openssh_options(s)
    local, remote, up = copies(s)
    lines = ["put %s %s" % (local, remote) if up else "get %s %s" % (remote, local), "ls -l /srv/home"]
    s.rng.shuffle(lines)
    script = s.write(s.client, "batch", "\n".join(lines) + "\n")
    # A batch file turns password questions off, so the commands come on standard input.
    s.client.run(["sh", "-c", 'sftp -q "$@" <' + script, "sh"] + options +
                 ["-P", str(s.port), "%s@%s" % (s.user, s.literal)], env=env, timeout=25)


@client("scp", "pscp")
def pscp(s, i):
    local, remote, up = copies(s)
    far = "%s@%s:%s" % (s.user, s.literal, remote)
    mode = "-scp" if s.server_name == "dropbear" else s.rng.choice(("-scp", "-sftp"))
    done = s.client.run(["pscp", "-q", mode] + putty_flags(s) + ([local, far] if up else [far, local]), timeout=25)
    if b"fatal" in done.lower():
        raise LabError("pscp failed")


refuse("scp", "dropbear", "openssh-sftp")
