# SPDX-License-Identifier: Apache-2.0
"""Asks for the time: ADDRESS PORT VERSION COUNT."""

import sys
import time

import ntplib

for _ in range(int(sys.argv[4])):
    ntplib.NTPClient().request(sys.argv[1], port=int(sys.argv[2]), version=int(sys.argv[3]), timeout=3)
    time.sleep(0.2)
