# SPDX-License-Identifier: Apache-2.0
"""GETs paths over one connection, or POSTs to them: ADDRESS PORT HOST TYPE BODY PATH..."""

import http.client
import sys
import urllib.request

address, port, host, kind, body = sys.argv[1:6]
literal = "[%s]" % address if ":" in address else address
if len(sys.argv) == 7:
    request = urllib.request.Request("http://%s:%s/%s" % (literal, port, sys.argv[6]), data=body.encode() or None)
    if kind:
        request.add_header("Content-Type", kind)
    try:
        urllib.request.urlopen(request, timeout=20).read()
    except urllib.error.HTTPError as error:
        error.read()
else:
    connection = http.client.HTTPConnection(address, int(port), timeout=20)
    for path in sys.argv[6:]:
        headers = {"Host": host, "Accept-Language": "en"}
        if kind:
            headers["Content-Type"] = kind
        connection.request("POST" if kind else "GET", "/" + path, body.encode() or None, headers)
        connection.getresponse().read()
    connection.close()
