# SPDX-License-Identifier: Apache-2.0
"""Publishes, and subscribes to what it publishes: ADDRESS PORT NAME QOS VERSION TOPIC PAYLOAD..."""

import sys
import time

import paho.mqtt.client as mqtt

address, port, name, qos, version = sys.argv[1:6]
pairs = list(zip(sys.argv[6::2], sys.argv[7::2]))
session = mqtt.Client(name, protocol=int(version))
heard = []
session.on_message = lambda *_: heard.append(1)
session.connect(address, int(port), keepalive=20)
session.loop_start()
session.subscribe([(topic, int(qos)) for topic, _ in pairs[:3]])
time.sleep(0.3)
for topic, payload in pairs:
    session.publish(topic, payload, int(qos)).wait_for_publish(10)
time.sleep(0.3)
session.disconnect()
session.loop_stop()
