"""Servers of the tests on loopback: one that records and answers as told, and one that speaks TLS before another."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def __contains__(self, word: str) -> bool:
        return word in f"{self.path} {self.headers} {self.body.decode(errors='replace')}"


@dataclass
class Recorder:
    """A server: `asked` is what came, `answer` says what goes back."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], Answer] = lambda _asked: (404, {}, b"{}")


@contextlib.contextmanager
def recorder(answer: Callable[[Asked], Answer] | None = None, certificate: Path | None = None) -> Iterator[Recorder]:
    """A server that answers every request; over TLS where a certificate with its key is given."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, self.path, dict(self.headers), body)
            one.asked.append(asked)
            status, headers, said = one.answer(asked)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said)

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    if certificate:
        server.socket = _context(certificate).wrap_socket(server.socket, server_side=True)
    one = Recorder(f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}")
    one.answer = answer or one.answer
    with _served(server):
        yield one


@contextlib.contextmanager
def tls_before(port: int, certificate: Path) -> Iterator[tuple[str, list[bytes]]]:
    """The URL of a TLS server that passes all on to a port of this machine, and what came in over TLS."""
    came: list[bytes] = []
    context = _context(certificate)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError), context.wrap_socket(self.request, server_side=True) as near:
                with socket.create_connection(("127.0.0.1", port)) as far:
                    back = threading.Thread(target=_pass_on, args=(far, near, []))
                    back.start()
                    _pass_on(near, far, came)
                    back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = False

    server = Server(("127.0.0.1", 0), Handler)
    with _served(server):
        yield f"https://127.0.0.1:{server.server_address[1]}", came


def _pass_on(source: socket.socket, target: socket.socket, came: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(65536):
            came.append(block)
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def _served(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def self_signed(path: Path, name: str = "IP:127.0.0.1") -> Path:
    """A certificate for a name with its key, in one file, signed by itself."""
    key = path.with_suffix(".key")
    subject = ["-subj", "/CN=made for a test", "-addext", f"subjectAltName={name}"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key)]
    subprocess.run([*command, "-out", str(path), *subject], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path
