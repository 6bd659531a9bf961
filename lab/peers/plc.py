# SPDX-License-Identifier: Apache-2.0
"""A controller with coils and registers: ADDRESS PORT SEED."""

import random
import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import StartTcpServer

rng = random.Random(sys.argv[3])


def block(high):
    return ModbusSequentialDataBlock(0, [rng.randrange(high) for _ in range(200)])


def unit():
    return ModbusSlaveContext(di=block(2), co=block(2), hr=block(4000), ir=block(4000))


StartTcpServer(context=ModbusServerContext(slaves={n: unit() for n in (1, 2, 17)}, single=False),
               address=(sys.argv[1], int(sys.argv[2])))
