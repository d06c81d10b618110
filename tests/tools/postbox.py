#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""postbox.py PORT FILE [REFUSALS]: an HTTP server on 127.0.0.1 that writes each body posted as a line to FILE. The first
REFUSALS posts get a 503."""

import http.server
import sys

port, path = int(sys.argv[1]), sys.argv[2]
refusals = int(sys.argv[3]) if len(sys.argv) > 3 else 0


class Postbox(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global refusals
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = refusals > 0
        if refused:
            refusals -= 1
        elif self.headers["Content-Type"] == "application/json":
            with open(path, "ab") as out:
                out.write(body)
        self.send_response(503 if refused else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", port), Postbox).serve_forever()
