# SPDX-License-Identifier: Apache-2.0
"""Mail: handing it in over SMTP, reading it over IMAP."""

from scenario import client, server, shape

shape("smtp", conversations=(7, 12), ports=(25, 25, 587, 2525))
shape("imap", conversations=(6, 10), ports=(143, 143, 1143))


def message(s, sender, to):
    """A whole message; small ones mostly, sometimes one with a long compressible body."""
    c, r = s.content, s.rng
    body = c.text(s.size(80, 6000)) if r.random() < 0.93 else c.repetitive(s.size(30_000, 150_000))
    head = ["From: %s <%s>" % (c.words(2).title(), sender), "To: <%s>" % to, "Subject: %s" % c.sentence()[:-1],
            "Date: %s, %02d Mar 2024 %02d:%02d:%02d +0000" % (
                r.choice(("Mon", "Tue", "Wed", "Thu", "Fri")), r.randint(1, 28), r.randrange(24), r.randrange(60), r.randrange(60)),
            "Message-ID: <%x.%x@%s>" % (r.getrandbits(40), r.getrandbits(32), s.client_host)]
    if r.random() < 0.25:
        mark = "%032x" % r.getrandbits(128)
        head += ["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="%s"' % mark]
        parts = ("--%s\nContent-Type: text/plain\n\n%s\n--%s\nContent-Type: text/csv\n"
                 "Content-Disposition: attachment; filename=%s\n\n%s\n--%s--\n")
        body = parts % (mark, body, mark, c.file_name(), c.table(r.randint(3, 40)), mark)
    return "\n".join(head) + "\n\n" + body


@server("smtp", "aiosmtpd")
def aiosmtpd(s):
    s.server.spawn(["/usr/bin/python3", "-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Sink",
                    "-l", "%s:%d" % (s.server_address, s.port) if s.family == 4 else "%s:%d" % (s.server_host, s.port)])


@server("smtp", "opensmtpd")
def opensmtpd(s):
    s.write(s.server, "smtpd.conf", "listen on %s port %d hostname %s\nlisten on socket\naction \"keep\" maildir \"/tmp/mail\" virtual { \"@\" = %s }\n"
            "match from any for any action \"keep\"\n" % (s.server_address, s.port, s.server_host, s.user))
    s.write(s.server, "etc/mailname", s.server_host + "\n")
    s.server.run(["sh", "-c", "mkdir -p /var/spool/smtpd && chmod 711 /var/spool/smtpd"])
    s.server.spawn(["smtpd", "-d", "-f", "/srv/smtpd.conf"])


def addresses(s):
    return s.content.mailbox(), [s.content.mailbox(s.server_host) for _ in range(s.rng.choice((1, 1, 1, 2, 3)))]


@client("smtp", "swaks")
def swaks(s, i):
    sender, to = addresses(s)
    command = ["swaks", "-S", "--server", s.server_address, "--port", s.port, "--from", sender, "--to", ",".join(to)]
    if s.rng.random() < 0.4:
        command += ["--helo", s.client_host]
    if s.rng.random() < 0.15:
        command += ["--quit-after", "RCPT"]
    elif s.rng.random() < 0.8:
        path = s.write(s.client, "mail%d.eml" % i, message(s, sender, to[0]))
        command += ["--data", "@" + path]
    s.client.run(command, timeout=25)


@client("smtp", "curl")
def curl(s, i):
    sender, to = addresses(s)
    path = s.write(s.client, "mail%d.eml" % i, message(s, sender, to[0]).replace("\n", "\r\n"))
    rcpt = [word for one in to for word in ("--mail-rcpt", one)]
    s.client.run(["curl", "-s", "smtp://%s:%d/%s" % (s.literal, s.port, s.client_host), "--mail-from", sender,
                  "-T", path] + rcpt, timeout=25)


@client("smtp", "msmtp")
def msmtp(s, i):
    sender, to = addresses(s)
    s.client.run(["msmtp", "-C", "/dev/null", "--host=" + s.server_host, "--port=%d" % s.port, "--from=" + sender,
                  "--domain=" + s.client_host] + to, stdin=message(s, sender, to[0]), timeout=25)


@client("smtp", "python-smtplib")
def smtplib(s, i):
    sender, to = addresses(s)
    paths = [s.write(s.client, "mail%d-%d.eml" % (i, n), message(s, sender, to[0]))
             for n in range(s.rng.choice((1, 1, 2, 4)))]
    s.peer("sendmail.py", s.server_address, s.port, s.client_host, sender, ",".join(to), *paths)


@server("imap", "dovecot")
def dovecot(s):
    """Mailboxes on disk, plain passwords, no TLS: the session is in the clear."""
    for folder in [""] + [".%s" % s.content.word().title() for _ in range(s.rng.randint(1, 3))]:
        for n in range(s.rng.randint(4, 14)):
            s.write(s.server, "home/Maildir/%s/%s/%d.M%d.%s%s" % (
                folder, "cur" if n % 2 else "new", 1_700_000_000 + n, n, "mail", ":2,S" if n % 2 else ""),
                message(s, s.content.mailbox(), s.user + "@" + s.server_host))
        s.state.setdefault("folders", []).append(folder.lstrip(".") or "INBOX")
    s.server.run(["sh", "-c", "mkdir -p /run/dovecot; chown -R 1500:1500 /srv/home; chmod 755 /srv/home"])
    s.write(s.server, "dovecot.conf", """protocols = imap
base_dir = /run/dovecot
listen = %s
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:/srv/home/Maildir
mail_temp_dir = /tmp
log_path = /dev/stderr
login_greeting = %s
passdb {
  driver = static
  args = password=%s
}
userdb {
  driver = static
  args = uid=1500 gid=1500 home=/srv/home
}
service imap-login {
  inet_listener imap {
    port = %d
  }
  inet_listener imaps {
    port = 0
  }
}
""" % (s.server_address, s.content.sentence(), s.password, s.port))
    s.server.spawn(["dovecot", "-F", "-c", "/srv/dovecot.conf"])


@client("imap", "curl")
def curl_imap(s, i):
    base = "imap://%s:%d/" % (s.literal, s.port)
    folder = s.rng.choice(s.state["folders"])
    roll = s.rng.random()
    command = ["curl", "-s", "-m", "20", "-u", "%s:%s" % (s.user, s.password)]
    if roll < 0.2:
        command += [base]
    elif roll < 0.7:
        for uid in s.rng.sample(range(1, 5), s.rng.randint(1, 3)):
            command += ["%s%s/;UID=%d" % (base, folder, uid) + s.rng.choice(("", "", ";SECTION=TEXT"))]
    elif roll < 0.85:
        command += [base + folder, "-X", s.rng.choice(("SEARCH ALL", "FETCH 1:* FLAGS", "SEARCH UNSEEN", "NOOP"))]
    else:
        path = s.write(s.client, "new%d.eml" % i, message(s, s.content.mailbox(), s.user + "@" + s.server_host).replace("\n", "\r\n"))
        command += ["-T", path, base + folder]
    s.client.run(command, timeout=25)


@client("imap", "python-imaplib")
def imaplib(s, i):
    s.peer("readmail.py", s.server_address, s.port, s.user, s.password, s.rng.randrange(10**6), *s.state["folders"])


@client("imap", "mbsync")
def mbsync(s, i):
    store = "/srv/mail%d" % i
    s.client.run(["mkdir", "-p", store])
    path = s.write(s.client, "mbsyncrc%d" % i, """IMAPAccount far
Host %s
Port %d
User %s
Pass %s
SSLType None
AuthMechs %s

IMAPStore far
Account far

MaildirStore near
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns %s
Create Near
Sync Pull
SyncState *
MaxMessages %d
ExpireUnread yes
""" % (s.server_host, s.port, s.user, s.password, s.rng.choice(("LOGIN", "PLAIN")), store, store,
       s.rng.choice(s.state["folders"]), s.rng.randint(3, 12)))
    s.client.run(["mbsync", "-c", path, "-q", "all"], timeout=25)
