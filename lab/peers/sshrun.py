# SPDX-License-Identifier: Apache-2.0
"""Runs commands over one SSH connection: ADDRESS PORT USER PASSWORD COMMAND..."""

import sys

import paramiko

address, port, user, password = sys.argv[1:5]
session = paramiko.SSHClient()
session.set_missing_host_key_policy(paramiko.AutoAddPolicy())
session.connect(address, int(port), user, password, allow_agent=False, look_for_keys=False, timeout=20)
for command in sys.argv[5:]:
    _, out, _ = session.exec_command(command, timeout=20)
    out.read()
session.close()
