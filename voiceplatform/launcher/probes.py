"""Whether a child answers: one question each, short time-outs, no exception."""

import asyncio
import http.client
import urllib.error
import urllib.request

from ml.serve import wire


def inference_stats(url: str, timeout_s: float = 0.5) -> wire.Stats | None:
    """What the inference server at ``url`` says about itself, or None while it does not answer."""
    try:
        return asyncio.run(wire.probe(wire.parse_address(url), timeout_s))
    except (OSError, wire.WireError):
        return None


def page_answers(url: str, timeout_s: float = 2.0) -> bool:
    """Whether a GET of ``url`` yields 200."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError, http.client.HTTPException):
        return False
