"""A small HTTP server for tests of downloads: serves a folder on 127.0.0.1, on a port that it prints.

    python3 tests/tools/http_server.py FOLDER

Prints the port as one line, then serves until its standard input ends (so it never outlives the test). The first
part of an address says how the server behaves; the rest is a file below FOLDER:

    /plain/F          ranges are honoured (206)
    /no-range/F       ranges are ignored: the whole file, 200
    /wrong-range/F    a range is answered by one that begins a byte later
    /cut-N/F          the connection is closed after N bytes of each answer; ranges are honoured
    /cut-no-range-N/F the same, ranges are ignored
    /chunked/F        no Content-Length
    /redirect/REST    302 to /REST
    /loop/REST        302 to itself
    /status-N/F       an error status N with a page of text

Each request is appended to FOLDER/requests.log: "GET /plain/F range=bytes=3-".
"""

import http.server
import os
import re
import sys
import threading

FOLDER = sys.argv[1]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(os.path.join(FOLDER, "requests.log"), "a") as log:
            log.write(f"GET {self.path} range={self.headers.get('Range')}\n")
        mode, _, rest = self.path[1:].partition("/")
        if mode in ("redirect", "loop"):
            return self.answer(302, {"Location": "/" + rest if mode == "redirect" else self.path}, b"moved")
        if mode.startswith("status-"):
            return self.answer(int(mode[len("status-") :]), {}, b"an error page, not the file")
        path = os.path.join(FOLDER, rest)
        if not os.path.isfile(path):
            return self.answer(404, {}, b"no such file")
        with open(path, "rb") as file:
            self.send_file(mode, file.read())

    def send_file(self, mode, body):
        begin = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted and "no-range" not in mode:
            begin = int(wanted[1])
            if begin >= len(body):
                return self.answer(416, {"Content-Range": f"bytes */{len(body)}"}, b"")
            begin += 1 if mode == "wrong-range" else 0
            headers = {"Content-Range": f"bytes {begin}-{len(body) - 1}/{len(body)}"}
            return self.answer(206, headers, body[begin:], self.cut_of(mode))
        if mode == "chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(body), 1000):
                piece = body[at : at + 1000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return None
        return self.answer(200, {}, body, self.cut_of(mode))

    def cut_of(self, mode):
        return int(mode.rpartition("-")[2]) if mode.startswith("cut-") else None

    def answer(self, status, headers, body, cut=None):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None and cut < len(body):
            self.close_connection = True

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that goes away in the middle is what some tests do."""


def main():
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


main()
