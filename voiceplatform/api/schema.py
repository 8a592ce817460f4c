"""OpenAPI: what drf-spectacular cannot see by itself (tokens, headers, problems)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from voiceplatform.api.access import access_of
from voiceplatform.api.etags import EtagMixin
from voiceplatform.api.idempotency import HEADER, MAX_CHARACTERS
from voiceplatform.api.problems import CONTENT_TYPE

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of what you read: refused with 412 when somebody changed it since. `*` overwrites.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="An ETag you hold: 304 while it is still right."
)
IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="A fresh UUID for each creation: sent again with the same body, the first answer comes back.",
)

PROBLEM = {
    "type": "object",
    "description": "What is wrong, and what to do (RFC 9457).",
    "required": ["type", "title", "status", "code", "detail", "hint"],
    "properties": {
        "type": {"type": "string", "example": "urn:problem:invalid"},
        "title": {"type": "string", "example": "Invalid"},
        "status": {"type": "integer", "example": 400},
        "code": {"type": "string", "example": "invalid"},
        "detail": {"type": "string", "example": "rate: Ensure this value is less than or equal to 2.0."},
        "hint": {"type": "string", "example": "Correct the named fields and send it again."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tokens in the schema."""

    target_class = "apps.accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "tvp_…"}


class Schema(AutoSchema):
    """Adds what our views do: headers, and a sentence on who may call."""

    def get_tags(self) -> list[str]:
        tag = getattr(self.view, "tag", None)
        return [tag] if tag else super().get_tags()

    def get_override_parameters(self) -> list[Any]:
        action = getattr(self.view, "action", None) or self.method.lower()
        handler = getattr(self.view, action, None)
        parameters: list[Any] = []
        if isinstance(self.view, EtagMixin):
            if action in self.view.if_match_actions:
                parameters.append(IF_MATCH)
            if action in ("retrieve", "get"):
                parameters.append(IF_NONE_MATCH)
        if getattr(handler, "idempotent", False):
            parameters.append(IDEMPOTENCY_KEY)
        return parameters

    def get_auth(self) -> list[dict[str, Any]]:
        access = access_of(self.view, self.method)
        schemes = list(super().get_auth())
        return [*schemes, {}] if access is not None and access.public and {} not in schemes else schemes

    def get_description(self) -> str:  # type: ignore[override]
        words = str(super().get_description() or "")
        access = access_of(self.view, self.method)
        if access is None:
            return words
        scopes = " or ".join(f"`{scope}`" for scope in access.scopes)
        needs = "Open to everyone." if access.public else f"Token scope: {scopes}."
        if access.permission:
            needs += f" Permission: `{access.permission}`."
        return f"{words}\n\n{needs}".strip()


def add_problems(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Post-processing hook: every operation may answer with a problem."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    answer = {
        "description": "A problem: what is wrong, and what to do.",
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path in result.get("paths", {}).values():
        for operation in path.values():
            operation.setdefault("responses", {}).setdefault("default", answer)
    return result
