# SPDX-License-Identifier: Apache-2.0
"""Hands in messages over one SMTP session: ADDRESS PORT HELO FROM TO[,TO] FILE..."""

import smtplib
import sys

address, port, helo, sender, to = sys.argv[1:6]
with smtplib.SMTP(address, int(port), local_hostname=helo, timeout=20) as session:
    for path in sys.argv[6:]:
        with open(path) as file:
            session.sendmail(sender, to.split(","), file.read())
