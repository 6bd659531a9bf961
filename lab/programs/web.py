# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 in the clear, and TLS 1.2 and 1.3 around the same kind of traffic."""

from scenario import client, refuse, server, shape

shape("http", conversations=(8, 16), ports=(80, 80, 8080, 8000, 3128, 5000))
shape("tls12", conversations=(5, 8), ports=(443, 443, 8443, 4433, 993, 465))
shape("tls13", conversations=(5, 8), ports=(443, 443, 8443, 4433, 993, 465))
TLS = ("tls12", "tls13")


def site(s, largest):
    """Fill /srv/www and remember the paths."""
    paths = ["index.html", "style.css"]
    s.write(s.server, "www/index.html", s.content.page(s.size(400, 6000)))
    s.write(s.server, "www/style.css", "\n".join(
        ".%s { margin: %dpx; color: #%06x; }" % (s.content.word(), s.rng.randrange(40), s.rng.randrange(1 << 24))
        for _ in range(s.rng.randint(3, 40))))
    for _ in range(s.rng.randint(5, 9)):
        path = "%s/%s" % (s.content.word(), s.content.file_name())
        s.write(s.server, "www/" + path, s.content.file(s.size(150, largest)))
        paths.append(path)
    path = "img/%s.bin" % s.content.word()
    s.write(s.server, "www/" + path, s.content.blob(s.size(100, 3000)))
    paths.append(path)
    if s.label == "http":
        s.write(s.server, "www/archive.log", s.content.repetitive(s.size(100_000, 700_000)))
    s.state["paths"] = paths
    s.state["app"] = False


def pick(s, i):
    """The path of one request; the long transfer happens once or twice in a scenario."""
    if s.label == "http" and i == 1:
        return "archive.log"
    if s.rng.random() < 0.06:
        return "%s/%s" % (s.content.word(), s.content.file_name())
    path = s.rng.choice(s.state["paths"])
    if s.rng.random() < 0.15:
        path += "?%s=%s&page=%d" % (s.content.word(), s.content.word(), s.rng.randrange(50))
    return path


def certificate(s):
    """A self-signed certificate of the server's name, made for this scenario."""
    kind = s.rng.choice((["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],) * 3 + (["rsa:2048"],))
    s.server.run(["openssl", "req", "-x509", "-newkey"] + kind + [
        "-nodes", "-keyout", "/srv/key.pem", "-out", "/srv/cert.pem", "-days", str(s.rng.randint(30, 800)),
        "-subj", "/O=%s/CN=%s" % (s.content.words(2), s.server_host),
        "-addext", "subjectAltName=DNS:%s" % s.server_host])
    pem = (s.server.dir / "key.pem").read_text() + (s.server.dir / "cert.pem").read_text()
    s.write(s.server, "both.pem", pem)
    # Either side may be the one that settles the version.
    s.state["force"] = s.rng.choice(("client", "server", "both"))


def server_forces(s):
    return s.state["force"] != "client"


def client_forces(s):
    return s.state["force"] != "server"


@server("http", "nginx")
def nginx(s):
    site(s, 20000)
    run_nginx(s, "", "listen %s%d;" % ("[::]:" if s.family == 6 else "", s.port))


def run_nginx(s, extra, listen):
    s.write(s.server, "nginx.conf", """
daemon off; pid /run/nginx.pid; error_log /var/log/error.log; worker_processes 1;
events { worker_connections 64; }
http { include /etc/nginx/mime.types; access_log off; gzip %s; keepalive_timeout %d; server_tokens %s;
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fcgi;
  uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server { %s %s root /srv/www; location / { autoindex on; } } }
""" % (s.rng.choice(("on", "off")), s.rng.randint(2, 10), s.rng.choice(("on", "off")), listen, extra))
    s.server.spawn(["nginx", "-c", "/srv/nginx.conf"])


@server("http", "lighttpd")
def lighttpd(s):
    site(s, 20000)
    s.write(s.server, "lighttpd.conf", """
server.document-root = "/srv/www"
server.port = %d
server.errorlog = "/var/log/error.log"
%s
mimetype.assign = ( ".html" => "text/html", ".css" => "text/css", ".txt" => "text/plain", "" => "application/octet-stream" )
index-file.names = ( "index.html" )
server.max-keep-alive-idle = %d
""" % (s.port, 'server.bind = "::"\nserver.use-ipv6 = "enable"' if s.family == 6 else "", s.rng.randint(2, 10)))
    s.server.spawn(["lighttpd", "-D", "-f", "/srv/lighttpd.conf"])


@server("http", "apache2")
def apache(s):
    site(s, 20000)
    run_apache(s, "")


def run_apache(s, extra):
    modules = ["mpm_event", "authz_core", "mime", "dir", "deflate", "filter", "alias", "autoindex"]
    modules += ["ssl", "socache_shmcb"] if extra else []
    s.write(s.server, "apache.conf", "ServerRoot /usr/lib/apache2\nServerName %s\nPidFile /run/apache.pid\n"
            "ErrorLog /var/log/error.log\nListen %d\nUser www-data\nGroup www-data\nDefaultRuntimeDir /run\n"
            "%s\nTypesConfig /etc/mime.types\nDocumentRoot /srv/www\nDirectoryIndex index.html\nKeepAliveTimeout %d\n"
            "<Directory /srv/www>\nOptions Indexes\nRequire all granted\n</Directory>\n%s\n%s\n" % (
                s.server_host, s.port,
                "\n".join("LoadModule %s_module modules/mod_%s.so" % (m, m) for m in modules),
                s.rng.randint(2, 8), s.rng.choice(("", "AddOutputFilterByType DEFLATE text/html text/css")), extra))
    s.server.spawn(["/usr/sbin/apache2", "-DFOREGROUND", "-f", "/srv/apache.conf"])


@server("http", "python-http-server")
def python_static(s):
    site(s, 20000)
    s.server.spawn(["/usr/bin/python3", "-m", "http.server", s.port, "--directory", "/srv/www",
                    "--protocol", "HTTP/1.1", "--bind", s.server_address], cwd="/srv/www")


@server("http", "mini-httpd")
def mini_httpd(s):
    site(s, 20000)
    s.server.spawn(["mini_httpd", "-D", "-p", s.port, "-d", "/srv/www", "-h", s.server_address, "-u", "www-data"])


@server("http", "busybox-httpd")
def busybox_httpd(s):
    site(s, 20000)
    s.server.spawn(["busybox", "httpd", "-f", "-h", "/srv/www", "-p", "%s:%d" % (s.literal, s.port)])


@server("http", "python-app")
def python_app(s):
    site(s, 6000)
    s.state["app"] = True
    s.server.spawn(["/usr/bin/python3", "/srv/peers/webapp.py", s.server_address, s.port, s.rng.randrange(10**6)])


def post_body(s):
    if s.rng.random() < 0.5:
        return "application/json", s.content.records(s.size(60, 4000))
    return "application/x-www-form-urlencoded", "&".join(
        "%s=%s" % (s.content.word(), s.content.words(2).replace(" ", "+")) for _ in range(s.rng.randint(1, 12)))


@client("http", "curl")
def curl(s, i):
    command = ["curl", "-s", "-o", "/dev/null"]
    roll = s.rng.random()
    if s.rng.random() < 0.3:
        command += ["-A", "%s/%d.%d" % (s.content.word(), s.rng.randrange(9), s.rng.randrange(20))]
    if s.rng.random() < 0.3:
        command += ["--compressed"]
    if s.rng.random() < 0.2:
        command += ["-b", "session=%032x" % s.rng.getrandbits(128)]
    if s.state["app"] and roll < 0.5 or roll < 0.08:
        kind, body = post_body(s)
        command += ["-H", "Content-Type: " + kind, "--data", body]
    elif roll < 0.15:
        command = ["curl", "-sI", "-o", "/dev/null"]
    elif roll < 0.25:
        command += ["-r", "0-%d" % s.rng.randint(10, 900)]
    for _ in range(s.rng.choice((1, 1, 1, 2, 4))):
        command += [s.url("http", pick(s, i))] + (["-o", "/dev/null"] if "-o" in command else [])
    s.client.run(command[:-2] if command[-2:] == ["-o", "/dev/null"] else command, timeout=40)


@client("http", "wget")
def wget(s, i):
    command = ["wget", "-q", "-t1", "-T20", "-P", "/tmp"]
    if i == 2:
        command += ["-r", "-l1", "-nd"]
        s.client.run(command + [s.url("http", "index.html")], timeout=40, check=False)
        return
    urls = [s.url("http", pick(s, i)) for _ in range(s.rng.choice((1, 1, 2)))]
    s.client.run(command + ["-O", "/dev/null"] + urls, timeout=40, check=False)


@client("http", "python-urllib")
def urllib_client(s, i):
    paths = [pick(s, i) for _ in range(s.rng.choice((1, 1, 2, 5)))]
    kind, body = post_body(s) if s.state["app"] and s.rng.random() < 0.5 else ("", "")
    s.peer("webget.py", s.server_address, s.port, s.server_host, kind, body, *paths, timeout=40)


@client("http", "ab")
def ab(s, i):
    command = ["ab", "-q", "-n", s.rng.randint(2, 5), "-c", s.rng.choice((1, 1, 2))]
    if s.rng.random() < 0.4:
        command += ["-k"]
    s.client.run(command + [s.url("http", s.rng.choice(s.state["paths"]))], timeout=40)


@client("http", "aria2")
def aria2(s, i):
    s.client.run(["aria2c", "-q", "-d", "/tmp", "--allow-overwrite=true", "--max-tries=1", "--no-conf",
                  "-x%d" % s.rng.choice((1, 2)), s.url("http", pick(s, i))], timeout=40, check=False)


@client("http", "tnftp")
def tnftp(s, i):
    s.client.run(["tnftp", "-V", "-o", "/dev/null", s.url("http", pick(s, i))], timeout=40, check=False)


# ab waits for the end of an answer whose end these two mark in ways that it does not know.
refuse("http", "python-app", "ab")
refuse("http", "python-http-server", "ab")


def tls_nginx(s):
    site(s, 2500)
    certificate(s)
    versions = {"tls12": "TLSv1.2", "tls13": "TLSv1.3"}[s.label] if server_forces(s) else "TLSv1.2 TLSv1.3"
    listen = "listen %s%d ssl%s;" % ("[::]:" if s.family == 6 else "", s.port, s.rng.choice(("", " http2")))
    run_nginx(s, "ssl_certificate /srv/cert.pem; ssl_certificate_key /srv/key.pem; ssl_protocols %s; "
              "ssl_session_tickets %s;" % (versions, s.rng.choice(("on", "off"))), listen)


def tls_apache(s):
    site(s, 2500)
    certificate(s)
    versions = {"tls12": "-all +TLSv1.2", "tls13": "-all +TLSv1.3"}[s.label] if server_forces(s) else "all"
    run_apache(s, "SSLRandomSeed startup builtin\nSSLEngine on\nSSLCertificateFile /srv/cert.pem\n"
               "SSLCertificateKeyFile /srv/key.pem\nSSLProtocol %s" % versions)


def tls_openssl(s):
    site(s, 2500)
    certificate(s)
    flags = ["-tls1_2" if s.label == "tls12" else "-tls1_3"] if server_forces(s) else []
    s.server.spawn(["openssl", "s_server", "-accept", "%s:%d" % (s.literal, s.port), "-cert", "/srv/cert.pem",
                    "-key", "/srv/key.pem", "-WWW", "-quiet"] + flags, cwd="/srv/www")


def tls_gnutls(s):
    site(s, 2500)
    certificate(s)
    flags = ["--priority", gnutls_priority(s)] if server_forces(s) else []
    s.server.spawn(["gnutls-serv", "-q", "--http", "-p", s.port, "--x509certfile", "/srv/cert.pem",
                    "--x509keyfile", "/srv/key.pem"] + flags)


def tls_stunnel(s):
    site(s, 2500)
    certificate(s)
    limit = "sslVersion = TLSv1.%d\n" % (2 if s.label == "tls12" else 3) if server_forces(s) else ""
    s.write(s.server, "stunnel.conf", "foreground = yes\npid = /run/stunnel.pid\n[web]\naccept = %s:%d\n"
            "connect = 127.0.0.1:79\ncert = /srv/both.pem\n%s" % (s.server_address, s.port, limit))
    # The plain side stays on the server's loopback, off the recorded path.
    s.server.spawn(["busybox", "httpd", "-f", "-h", "/srv/www", "-p", "127.0.0.1:79"])
    s.server.spawn(["stunnel4", "/srv/stunnel.conf"])


def gnutls_priority(s):
    return "NORMAL:-VERS-ALL:+VERS-TLS1.%d" % (2 if s.label == "tls12" else 3)


def tls_curl(s, i):
    version = {"tls12": ["--tls-max", "1.2"], "tls13": ["--tlsv1.3"]}[s.label] if client_forces(s) else []
    command = ["curl", "-sk"] + version
    if s.server_name in ("nginx", "apache2") and s.rng.random() < 0.3:
        kind, body = post_body(s)
        command += ["-H", "Content-Type: " + kind, "--data", body[:1500]]
    for _ in range(s.rng.choice((1, 1, 2, 3))):
        command += [s.url("https", pick(s, i), name=s.rng.random() < 0.7)]
    s.client.run(command, timeout=30)


def tls_wget(s, i):
    version = ["--secure-protocol=TLSv1_%d" % (2 if s.label == "tls12" else 3)] if client_forces(s) else []
    s.client.run(["wget", "-q", "-t1", "-T20", "-O", "/dev/null", "--no-check-certificate"] + version +
                 [s.url("https", s.rng.choice(s.state["paths"]), name=s.rng.random() < 0.7)], timeout=30, check=False)


def tls_s_client(s, i):
    flags = ["-tls1_2" if s.label == "tls12" else "-tls1_3"] if client_forces(s) else []
    flags += ["-servername", s.server_host] if s.rng.random() < 0.7 else ["-noservername"]
    request = "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n" % (s.rng.choice(s.state["paths"]), s.server_host)
    s.client.run(["openssl", "s_client", "-quiet", "-connect", "%s:%d" % (s.literal, s.port)] + flags,
                 stdin=request, timeout=15, check=False)


def tls_gnutls_cli(s, i):
    flags = ["--priority", gnutls_priority(s)] if client_forces(s) else []
    request = "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n" % (s.rng.choice(s.state["paths"]), s.server_host)
    s.write(s.client, "request", request)
    # It stops at the end of its input, so the input stays open while the answer comes.
    s.client.run(["sh", "-c", 't=$1; shift; (cat /srv/request; sleep "$t") | gnutls-cli --no-ca-verification "$@"', "sh",
                  "%.2f" % (0.3 + 4 * s.round_trip)] + ["-p", str(s.port), s.server_host] + flags,
                 timeout=15, check=False)


def tls_python(s, i):
    version = "1.2" if s.label == "tls12" else "1.3"
    paths = [s.rng.choice(s.state["paths"]) for _ in range(s.rng.choice((1, 1, 2)))]
    s.peer("tlsget.py", s.server_address, s.port, s.server_host, version if client_forces(s) else "any", *paths)


for _label in TLS:
    for _name, _function in (("nginx", tls_nginx), ("apache2", tls_apache), ("openssl-s_server", tls_openssl),
                             ("gnutls-serv", tls_gnutls), ("stunnel", tls_stunnel)):
        server(_label, _name)(_function)
    for _name, _function in (("curl", tls_curl), ("wget", tls_wget), ("openssl-s_client", tls_s_client),
                             ("gnutls-cli", tls_gnutls_cli), ("python-ssl", tls_python)):
        client(_label, _name)(_function)
