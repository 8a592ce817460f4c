"""ETag and If-Match: nobody overwrites what they have not seen."""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import transaction
from django.utils.http import parse_etags
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from voiceplatform.api.problems import Problem


def etag_of(data: Any) -> str:
    """A strong ETag of a representation: the same content, the same tag."""
    return f'"{hashlib.sha256(JSONRenderer().render(data)).hexdigest()[:32]}"'


class EtagMixin(GenericAPIView):
    """Reading gives an ETag (and 304); ``PATCH`` compares ``If-Match`` with the locked row, then calls :meth:`store`.

    ``if_match_required``: shared configuration is not changed without it (428), one's own may be.
    """

    if_match_required = True
    if_match_actions: tuple[str, ...] = ("partial_update",)

    def store(self, serializer: Any) -> Any:
        """Write the checked change through the app's services; returns the row."""
        raise NotImplementedError

    def represent(self, row: Any) -> dict[str, Any]:
        """What a client sees of the row, and its ETag is made of."""
        return dict(self.get_serializer(row).data)

    def etag_data(self, row: Any) -> Any:
        """What the ETag is made of."""
        return self.represent(row)

    def writer(self, row: Any, data: Any) -> Any:
        """The serializer that checks a change."""
        return self.get_serializer(row, data=data, partial=True)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.get_object()
        data, etag = self.represent(row), etag_of(self.etag_data(row))
        if etag in parse_etags(request.headers.get("If-None-Match", "")):
            return Response(status=304, headers={"ETag": etag})
        return Response(data, headers={"ETag": etag})

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            row = self.locked_object()
            self.check_if_match(request, etag_of(self.etag_data(row)))
            serializer = self.writer(row, request.data)
            serializer.is_valid(raise_exception=True)
            row = self.store(serializer)
            data, etag = self.represent(row), etag_of(self.etag_data(row))
        return Response(data, headers={"ETag": etag})

    def locked_object(self) -> Any:
        """The row of the address, locked until the transaction ends: two writers with one ETag cannot both win."""
        row = self.get_object()
        fresh = self.get_queryset().select_for_update(of=("self",)).filter(pk=row.pk).first()
        if fresh is None:
            raise NotFound
        return fresh

    def check_if_match(self, request: Request, etag: str) -> None:
        header = request.headers.get("If-Match")
        if header is None:
            if self.if_match_required:
                raise Problem(
                    428,
                    "precondition_required",
                    "This changes what others see, and If-Match is missing.",
                    "Read it first and send its ETag as If-Match; '*' overwrites whatever is there.",
                )
            return
        wanted = parse_etags(header)
        if wanted != ["*"] and etag not in wanted:
            raise Problem(
                412,
                "changed_meanwhile",
                "Somebody changed this since you read it.",
                "Read it again, look at the difference, and send the new ETag.",
            )
