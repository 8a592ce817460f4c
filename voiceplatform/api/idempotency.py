"""``Idempotency-Key``: a creation that is sent again because its answer was lost happens once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import IntegrityError, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import IdempotentAnswer
from voiceplatform.api.problems import Problem

HEADER = "Idempotency-Key"
MAX_CHARACTERS = 200
_KEPT_HEADERS = ("Location", "ETag")

Handler = Callable[..., Response]


def idempotent(handler: Handler) -> Handler:
    """For a viewset's POST action: with the header, the first answer is kept for a day and given to every retry.

    Key, creation and kept answer are one transaction. A second request with the same key waits for the first one's
    end at the unique index, so that nothing is ever "in progress"; a refused creation leaves no trace.
    """

    @wraps(handler)
    def once(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None or not request.user.is_authenticated:
            return handler(view, request, *args, **kwargs)
        _check(key)
        fingerprint = _fingerprint(request)
        with transaction.atomic():
            try:
                with transaction.atomic():
                    kept = IdempotentAnswer.objects.create(user=request.user, key=key, fingerprint=fingerprint)
            except IntegrityError:
                return _replay(IdempotentAnswer.objects.get(user=request.user, key=key), fingerprint)
            response = handler(view, request, *args, **kwargs)
            kept.status = response.status_code
            kept.body = json.loads(JSONRenderer().render(response.data))
            kept.headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
            kept.save()
        return response

    once.idempotent = True  # type: ignore[attr-defined]
    return once


def _check(key: str) -> None:
    if not 1 <= len(key) <= MAX_CHARACTERS or not key.isprintable() or not key.isascii():
        raise Problem(
            400,
            "bad_idempotency_key",
            f"{HEADER} needs 1 to {MAX_CHARACTERS} printable ASCII characters.",
            "Send a fresh UUID for each creation.",
        )


def _fingerprint(request: Request) -> str:
    text = json.dumps([request.method, request.path, request.data], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _replay(kept: IdempotentAnswer, fingerprint: str) -> Response:
    if kept.fingerprint != fingerprint:
        raise Problem(
            409,
            "idempotency_key_reused",
            f"This {HEADER} was used for another request.",
            "Use a new key for a new creation.",
        )
    headers = {**kept.headers, "Idempotent-Replayed": "true"}
    return Response(kept.body, status=kept.status, headers=headers)
