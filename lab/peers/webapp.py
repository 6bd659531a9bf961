# SPDX-License-Identifier: Apache-2.0
"""A small web application: JSON answers, chunked answers, redirects and cookies."""

import http.server
import json
import random
import socket
import sys

rng = random.Random(sys.argv[3])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, body, kind="application/json"):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        if rng.random() < 0.3:
            self.send_header("Set-Cookie", "session=%032x; Path=/" % rng.getrandbits(128))
        if code == 302:
            self.send_header("Location", "/index.html")
        if rng.random() < 0.3 and self.command != "HEAD":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(body), 500):
                part = body[at:at + 500]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        name = self.path.split("?")[0].lstrip("/")
        try:
            with open("/srv/www/" + name, "rb") as file:
                self.answer(200, file.read(), "text/html" if name.endswith("html") else "application/octet-stream")
        except OSError:
            self.answer(rng.choice((404, 302)), json.dumps({"error": name}).encode())

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(201, json.dumps({"id": rng.randrange(10**6), "bytes": len(body), "path": self.path}).encode())

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET


Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
