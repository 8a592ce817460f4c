"""A stored file over HTTP with byte ranges (RFC 9110, section 14): without them `<audio>` cannot seek.

Django's FileResponse ignores `Range`. One range per request is answered with 206; several at once, or a unit other
than bytes, with the whole file, as the RFC allows; one outside the file with 416.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

from django.core.files.base import File
from django.core.handlers.asgi import ASGIRequest
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag

BLOCK_BYTES = 64 * 1024
_RANGE = re.compile(r"\Abytes=(\d*)-(\d*)\Z")


class RangeNotSatisfiable(Exception):
    """The range lies outside the file."""


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte (inclusive) of a `Range` header for a file of `size` bytes; None: send the whole file.

    Raises:
        RangeNotSatisfiable: nothing of the file lies within it.
    """
    match = _RANGE.match(header.replace(" ", ""))
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":  # the last n bytes
        length = int(match[2])
        if length == 0 or size == 0:
            raise RangeNotSatisfiable
        return max(0, size - length), size - 1
    first = int(match[1])
    last = int(match[2]) if match[2] else size - 1
    if match[2] and last < first:
        return None  # not a valid range: to be ignored
    if first >= size:
        raise RangeNotSatisfiable
    return first, min(last, size - 1)


def ranged_response(request: HttpRequest, stored: FieldFile, *, content_type: str, etag: str) -> HttpResponseBase:
    """The file, or the part of it that was asked for. ``etag`` (bare) names this very content."""
    quoted = quote_etag(etag)
    size = stored.size
    part: tuple[int, int] | None = None
    header = request.headers.get("Range")
    # If-Range: the part is only of use to a client that holds the rest of this very version.
    if header and request.headers.get("If-Range", quoted) == quoted:
        try:
            part = parse_range(header, size)
        except RangeNotSatisfiable:
            return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"})
    first, last = part or (0, size - 1)
    conditional = get_conditional_response(request, etag=quoted)
    if conditional is not None and conditional.status_code != 200:
        return _private(conditional, quoted)
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse(content_type=content_type)
    else:
        stream = _ablocks if isinstance(request, ASGIRequest) else _blocks
        response = StreamingHttpResponse(stream(stored, first, last + 1 - first), content_type=content_type)
    response["Content-Length"] = str(last + 1 - first)
    if part is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {first}-{last}/{size}"
    return _private(response, quoted)


def _private(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    # A recording belongs to one person: the browser may keep it, a proxy may not; and it asks anew after a log-out.
    response["Cache-Control"] = "private, no-cache"
    return response


def _blocks(stored: FieldFile, first: int, length: int) -> Iterator[bytes]:
    with stored.storage.open(str(stored.name), "rb") as file:
        file.seek(first)
        while length > 0 and (block := file.read(min(BLOCK_BYTES, length))):
            length -= len(block)
            yield block


async def _ablocks(stored: FieldFile, first: int, length: int) -> AsyncIterator[bytes]:
    """The same without blocking the event loop (a synchronous iterator under ASGI is first collected whole)."""
    file: File[bytes] = await asyncio.to_thread(stored.storage.open, str(stored.name), "rb")
    try:
        await asyncio.to_thread(file.seek, first)
        while length > 0 and (block := await asyncio.to_thread(file.read, min(BLOCK_BYTES, length))):
            length -= len(block)
            yield block
    finally:
        file.close()
