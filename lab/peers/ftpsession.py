# SPDX-License-Identifier: Apache-2.0
"""One FTP session: ADDRESS PORT USER PASSWORD SEED PATH..."""

import ftplib
import io
import random
import sys

address, port, user, password, seed = sys.argv[1:6]
rng = random.Random(seed)
session = ftplib.FTP(timeout=20)
session.connect(address, int(port))
session.login(user, password)
session.set_pasv(rng.random() < 0.75)
if rng.random() < 0.5:
    session.cwd("files")
    session.retrlines("LIST", lambda line: None)
    session.cwd("..")
for path in sys.argv[6:]:
    session.retrbinary("RETR " + path, lambda data: None)
if rng.random() < 0.3:
    session.storbinary("STOR upload/%06d.txt" % rng.randrange(10**6), io.BytesIO(b"%d\n" % rng.randrange(10**9) * 40))
session.quit()
