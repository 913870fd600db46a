"""A server of the standard library, to try the fault proxy on: it knows what arrived and what broke off."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Store(BaseHTTPRequestHandler):
    """Keeps what it gets by PUT, and what came of a body that broke off."""

    protocol_version = "HTTP/1.1"
    port: int
    got: dict[str, bytes]
    broken: list[tuple[int, bool]]  # bytes, whether by a reset

    def do_PUT(self) -> None:
        length, body = int(self.headers["Content-Length"]), b""
        try:
            while len(body) < length:
                piece = self.rfile.read1(length - len(body))
                if not piece:
                    break
                body += piece
        except ConnectionResetError:
            self.broken.append((len(body), True))
        else:
            if len(body) == length:
                self.got[self.path] = body
                self.answer(b"kept")
                return
            self.broken.append((len(body), False))
        self.close_connection = True

    def do_GET(self) -> None:
        self.answer(self.got[self.path])

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None: ...
