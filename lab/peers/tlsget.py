# SPDX-License-Identifier: Apache-2.0
"""GETs paths over TLS: ADDRESS PORT HOST 1.2|1.3|any PATH..."""

import http.client
import socket
import ssl
import sys

address, port, host, version = sys.argv[1:5]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
if version != "any":
    context.minimum_version = context.maximum_version = {
        "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
for path in sys.argv[5:]:
    plain = socket.create_connection((address, int(port)), timeout=20)
    connection = http.client.HTTPSConnection(host, int(port), context=context)
    connection.sock = context.wrap_socket(plain, server_hostname=host)
    connection.request("GET", "/" + path)
    connection.getresponse().read()
    connection.close()
