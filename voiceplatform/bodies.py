"""How much a request may carry: judged while it arrives, before it has cost disk or memory.

Daphne hands a request to Django once its body is complete, spooled to a file; nothing bounds that file. So the limit is
here, where the bytes come in: by the announced length at once, and by counting where none is announced.
"""

from __future__ import annotations

import json
import re
from typing import Any

from daphne import http_protocol

MIB = 1024 * 1024
BODY_BYTES = MIB
ADMIN_BYTES = 10 * MIB
UPLOAD_BYTES = 2049 * MIB
"""Datasets come in archives of up to 2 GiB (:mod:`apps.training.services.uploads` has the finer limits)."""
UPLOADS_AT_ONCE = 4
"""Who sends is known only once the body is there: so many of the big ones may be under way in one process."""

LAB_BYTES = 11 * MIB
"""A recording for the codec lab (10 MiB) and the form around it."""

_UPLOAD = re.compile(rb"/(training|api/v1)/datasets/[0-9a-f-]{36}/files\Z")


def limit_of(path: bytes) -> int:
    """Bytes that a request to that address may carry."""
    path = path.partition(b"?")[0]
    if _UPLOAD.match(path):
        return UPLOAD_BYTES
    if path == b"/api/v1/lab":
        return LAB_BYTES
    return ADMIN_BYTES if path.startswith(b"/admin/") else BODY_BYTES


class BoundedRequest(http_protocol.WebRequest):
    """A request that is cut off where it grows too large."""

    uploads = 0
    """Big bodies under way in this process."""

    _limit = BODY_BYTES
    _came = 0
    _refused = False
    _counted = False

    def gotLength(self, length: int | None) -> None:
        self._limit = limit_of(self.channel._path)
        if length is not None and length > self._limit:
            self._refuse(413, "too_large", f"at most {self._limit} bytes are taken here", "Send less at a time.")
        elif self._limit == UPLOAD_BYTES and (length is None or length > BODY_BYTES):
            self._count_upload()
        super().gotLength(0 if self._refused else length)

    def handleContentChunk(self, data: bytes) -> None:
        self._came += len(data)
        if self._refused:
            return
        if self._came > self._limit:
            self._refuse(413, "too_large", f"at most {self._limit} bytes are taken here", "Send less at a time.")
            return
        super().handleContentChunk(data)

    def _count_upload(self) -> None:
        if BoundedRequest.uploads >= UPLOADS_AT_ONCE:
            self._refuse(503, "busy", f"{UPLOADS_AT_ONCE} uploads are under way", "Try again in a minute.")
            return
        BoundedRequest.uploads += 1
        self._counted = True
        self.notifyFinish().addBoth(self._uncount)

    def _uncount(self, _: Any) -> None:
        if self._counted:
            self._counted = False
            BoundedRequest.uploads -= 1

    def _refuse(self, status: int, code: str, detail: str, hint: str) -> None:
        self._refused = True
        title = code.replace("_", " ").capitalize()
        problem = {"type": f"urn:problem:{code}", "title": title, "status": status, "code": code}
        body = json.dumps({**problem, "detail": detail, "hint": hint}).encode()
        head = (
            f"HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.channel.transport.write(head.encode() + body)
        self.channel.loseConnection()

    def process(self) -> None:
        if not self._refused:
            super().process()


def install() -> None:
    """Have every Daphne server of this process made from now on use it."""
    http_protocol.WebRequest = BoundedRequest
