# SPDX-License-Identifier: Apache-2.0
"""Seeded text, pages, tables and names: everything the recorded programs send."""

import json
import random

ONSETS = "b br c ch d dr f fl g gr h j k l m n p pl qu r s sh sl st t th tr v w".split() + [""] * 2
VOWELS = "a e i o u ai ea io ou".split()
CODAS = ["", "", "", "l", "m", "n", "r", "s", "t", "nd", "rk", "st"]
TOP = "test"


class Content:
    """Words drawn from a vocabulary of the seed's own, with a few words far commoner than the rest."""

    def __init__(self, seed):
        self.rng = random.Random("content %s" % seed)
        self.vocabulary = sorted({self._word() for _ in range(900)})
        self.rng.shuffle(self.vocabulary)

    def _word(self):
        r = self.rng
        return "".join(r.choice(ONSETS) + r.choice(VOWELS) + r.choice(CODAS)
                       for _ in range(r.choice((1, 2, 2, 3))))

    def word(self):
        n = len(self.vocabulary)
        return self.vocabulary[min(int(n * self.rng.random() ** 2.5), n - 1)]

    def words(self, count):
        return " ".join(self.word() for _ in range(count))

    def sentence(self):
        text = self.words(self.rng.randint(4, 14))
        return text[0].upper() + text[1:] + self.rng.choice("..........?!")

    def paragraph(self):
        return " ".join(self.sentence() for _ in range(self.rng.randint(2, 6)))

    def text(self, size):
        parts, have = [], 0
        while have < size:
            parts.append(self.paragraph())
            have += len(parts[-1]) + 2
        return ("\n\n".join(parts))[:max(size - 1, 1)] + "\n"

    def repetitive(self, size):
        """Bulk content that still compresses well: one short log line pattern over and over."""
        line = "%s %s=%s\n" % (self.words(4), self.word(), self.words(2))
        return (line * (size // len(line) + 1))[:size]

    def page(self, size):
        title = self.sentence()[:-1]
        body = []
        while sum(map(len, body)) < size:
            tag = self.rng.choice(("p", "p", "p", "h2", "li", "blockquote"))
            inner = self.paragraph() if tag in ("p", "blockquote") else self.words(4)
            if self.rng.random() < 0.3:
                inner += ' <a href="/%s/%s.html">%s</a>' % (self.word(), self.word(), self.words(2))
            body.append("<%s>%s</%s>" % (tag, inner, tag))
        return ("<!doctype html>\n<html><head><title>%s</title>\n<link rel=\"stylesheet\" href=\"/style.css\">"
                "</head>\n<body>\n%s\n</body></html>\n" % (title, "\n".join(body)))

    def record(self):
        r = self.rng
        return {"id": r.randrange(10**6), "name": self.words(2), "tags": [self.word() for _ in range(r.randint(0, 4))],
                "value": round(r.uniform(-100, 100), 3), "active": r.random() < 0.5}

    def records(self, size):
        rows = [self.record()]
        while len(json.dumps(rows)) < size:
            rows.append(self.record())
        return json.dumps(rows, indent=self.rng.choice((None, None, 2))) + "\n"

    def table(self, rows):
        head = ",".join(self.word() for _ in range(4))
        lines = ["%d,%s,%.2f,%s" % (i, self.word(), self.rng.uniform(0, 500), self.words(2)) for i in range(rows)]
        return "\n".join([head] + lines) + "\n"

    def blob(self, size):
        return self.rng.randbytes(size)

    def label(self):
        return self.word() + self.rng.choice(("", "", "", str(self.rng.randrange(30)), "-" + self.word()))

    def domain(self):
        return "%s.example.%s" % (self.word(), TOP)

    def hostname(self):
        return "%s.%s" % (self.label(), self.domain())

    def mailbox(self, domain=None):
        return "%s@%s" % (self.word(), domain or self.domain())

    def file_name(self):
        return "%s%s.%s" % (self.word(), self.rng.choice(("", "-" + self.word(), str(self.rng.randrange(100)))),
                            self.rng.choice(("txt", "csv", "log", "dat", "conf", "html")))

    def file(self, size):
        kind = self.rng.choice(("text", "table", "page", "records", "repetitive"))
        if kind == "text":
            return self.text(size).encode()
        if kind == "table":
            return self.table(max(size // 30, 1)).encode()
        if kind == "page":
            return self.page(size).encode()
        if kind == "records":
            return self.records(size).encode()
        return self.repetitive(size).encode()
