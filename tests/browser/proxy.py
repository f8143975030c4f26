"""A server that lies: passes requests on to UPSTREAM and puts a text of tests/data/hostile.json into every reply.

Prints its port. Ends with the process that started it.
"""

import http.client
import http.server
import itertools
import json
import re
import sys

upstream, corpus = sys.argv[1], json.load(open(sys.argv[2], encoding="utf-8"))
numbers = itertools.count()
texts = itertools.cycle(entry["text"] for entry in corpus)
FIELDS = re.compile(rb'("(?:answer|message|code|name|title|description|created_by_role)"\s*:\s*")')
# In every fifth reply these too, so that rules fail that are judged under load.
IDS = re.compile(rb'("(?:conversation_id|task_id|message_id|id)"\s*:\s*")')


class Lies(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def pass_on(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else None
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "accept-encoding")}
        connection = http.client.HTTPConnection(upstream, timeout=60)
        connection.request(self.command, self.path, body, headers)
        reply = connection.getresponse()
        content = reply.read()
        # What the tool must understand to get anywhere stays.
        known = any(part in self.path for part in ("/info", "/parameters", "/meta", "/site"))
        text = next(texts)
        if not known:
            inside = json.dumps(text)[1:-1].encode().replace(b"\\", rb"\\")
            content = FIELDS.sub(rb"\1" + inside, content)
            if next(numbers) % 5 == 4:
                content = IDS.sub(rb"\1" + inside, content)
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        header = "".join(c for c in text if 32 <= ord(c) < 127)
        self.send_header("X-Trace-Id", header)
        self.send_header("Retry-After", header)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lies)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
