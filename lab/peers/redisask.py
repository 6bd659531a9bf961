# SPDX-License-Identifier: Apache-2.0
"""Sends commands over one Redis connection: ADDRESS PORT PASSWORD PIPELINE COMMAND..."""

import shlex
import sys

import redis

address, port, password, pipeline = sys.argv[1:5]
session = redis.Redis(address, int(port), password=password or None, socket_timeout=15, single_connection_client=True)
batch = session.pipeline(transaction=True) if pipeline == "yes" else session
for command in sys.argv[5:]:
    try:
        batch.execute_command(*shlex.split(command))
    except redis.ResponseError:
        continue
if pipeline == "yes":
    batch.execute(raise_on_error=False)
session.close()
