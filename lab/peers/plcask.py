# SPDX-License-Identifier: Apache-2.0
"""Reads and writes coils and registers over one connection: ADDRESS PORT SEED COUNT."""

import random
import sys
import time

from pymodbus.client import ModbusTcpClient

rng = random.Random(sys.argv[3])
session = ModbusTcpClient(sys.argv[1], port=int(sys.argv[2]), timeout=10)
session.connect()
unit, at = rng.choice((1, 2, 17)), rng.randrange(100)
for n in range(int(sys.argv[4])):
    kind = rng.randrange(6)
    count = rng.randint(1, 40)
    if kind == 0:
        session.read_coils(at, count, slave=unit)
    elif kind == 1:
        session.read_discrete_inputs(at, count, slave=unit)
    elif kind == 2:
        session.read_holding_registers(at, count, slave=unit)
    elif kind == 3:
        session.read_input_registers(rng.randrange(250), count, slave=unit)
    elif kind == 4:
        session.write_register(at, rng.randrange(65536), slave=unit)
    else:
        session.write_coils(at, [rng.random() < 0.5 for _ in range(count)], slave=unit)
    time.sleep(rng.uniform(0, 0.03))
session.close()
