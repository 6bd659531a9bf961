# SPDX-License-Identifier: Apache-2.0
"""Reads mailboxes over one IMAP session: ADDRESS PORT USER PASSWORD SEED FOLDER..."""

import imaplib
import random
import sys

address, port, user, password, seed = sys.argv[1:6]
rng = random.Random(seed)
session = imaplib.IMAP4(address, int(port), timeout=20)
session.login(user, password)
session.list()
for folder in rng.sample(sys.argv[6:], rng.randint(1, len(sys.argv) - 6)):
    session.select(folder)
    found = session.search(None, rng.choice(("ALL", "UNSEEN", "SEEN")))[1][0].split()
    for number in rng.sample(found, min(len(found), rng.randint(1, 4))):
        session.fetch(number, rng.choice(("(RFC822)", "(BODY.PEEK[HEADER])", "(FLAGS UID)", "(BODY[TEXT])")))
    if found and rng.random() < 0.3:
        session.store(found[0], "+FLAGS", "\\Seen")
    session.close()
session.logout()
