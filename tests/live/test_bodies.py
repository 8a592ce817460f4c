"""Bodies are bounded while they arrive: by a raw client that announces, or does not announce, too much."""

from __future__ import annotations

import json
import socket

import pytest

from tests.support.stack import Stack

pytestmark = pytest.mark.integration

UPLOAD = "/api/v1/datasets/00000000-0000-0000-0000-000000000000/files"


def ask(stack: Stack, head: str, body: bytes = b"") -> tuple[int, bytes]:
    """Status and body of the answer; what the server does not want to read is not sent on."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as connection:
        connection.sendall(f"{head}\r\nHost: 127.0.0.1:{stack.port}\r\n".encode())
        connection.sendall(b"\r\n")
        answer = b""
        try:
            if body:
                connection.sendall(body)
            while block := connection.recv(65_536):
                answer += block
        except (ConnectionResetError, BrokenPipeError):
            pass
    head_, _, content = answer.partition(b"\r\n\r\n")
    return int(head_.split()[1]), content


@pytest.mark.parametrize(
    ("path", "length"), [("/api/v1/sessions", 1_048_577), ("/admin/login/", 10_485_761), (UPLOAD, 3 << 30)]
)
def test_an_announced_giant_is_refused_before_it_comes(stack: Stack, path: str, length: int) -> None:
    status, content = ask(stack, f"POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {length}")
    assert status == 413
    assert json.loads(content)["code"] == "too_large"


def test_an_unannounced_giant_is_cut_off(stack: Stack) -> None:
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    head = "POST /api/v1/sessions HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
    status, _ = ask(stack, head, piece * 24)
    assert status == 413


def test_what_fits_is_let_through(stack: Stack) -> None:
    body = b'{"client": "' + b"x" * 500_000 + b'"}'
    head = f"POST /api/v1/sessions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    status, content = ask(stack, head + "\r\nConnection: close", body)
    assert (status, json.loads(content)["code"]) == (401, "not_authenticated")
