"""``POST /v1/realtime/client_secrets``: a short-lived key for a browser, made by a program that has a token."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from pydantic import ValidationError as Invalid
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.models import ApiToken
from apps.voice.openai_realtime.consumer import offer
from apps.voice.openai_realtime.errors import RealtimeError
from apps.voice.openai_realtime.keys import DEFAULT_LIFE_S, LIFE_S, ephemeral_key
from apps.voice.openai_realtime.session import SessionConfig, SessionPatch
from voiceplatform.api.access import Access, AccessTable


class ExpirySerializer(serializers.Serializer[Any]):
    anchor = serializers.ChoiceField(choices=["created_at"], default="created_at")
    seconds = serializers.IntegerField(min_value=LIFE_S[0], max_value=LIFE_S[1], default=DEFAULT_LIFE_S)


class ClientSecretWishSerializer(serializers.Serializer[Any]):
    expires_after = ExpirySerializer(required=False)
    session = serializers.DictField(
        required=False,
        help_text="As in `session.update` of the realtime protocol: what connections with this key begin with.",
    )


class ClientSecretSerializer(serializers.Serializer[Any]):
    value = serializers.CharField(help_text="The key, for `Authorization: Bearer` or the browser's subprotocol.")
    expires_at = serializers.IntegerField(help_text="Seconds since the epoch.")
    session = serializers.DictField(help_text="The configuration that connections begin with.")


class ClientSecretsView(APIView):
    """A key that a browser may have: it opens `/v1/realtime` for a while, and nothing else."""

    http_method_names = ["post"]
    tag: ClassVar[str] = "OpenAI-compatible"
    access: ClassVar[AccessTable] = {"post": Access("chat")}

    @extend_schema(
        request=ClientSecretWishSerializer,
        responses=ClientSecretSerializer,
        operation_id="realtime_client_secret",
        examples=[
            OpenApiExample(
                "ten minutes with Ravi",
                {
                    "expires_after": {"anchor": "created_at", "seconds": 600},
                    "session": {"type": "realtime", "audio": {"output": {"voice": "ravi"}}},
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        if not isinstance(request.auth, ApiToken):
            raise PermissionDenied("Send 'Authorization: Bearer' with a token of scope 'chat': the key dies with it.")
        serializer = ClientSecretWishSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wish = serializer.validated_data.get("session", {})
        config = SessionConfig(offer(), "telugu-voice")
        try:
            config.update(SessionPatch.model_validate(wish))
            seconds = serializer.validated_data.get("expires_after", {}).get("seconds", DEFAULT_LIFE_S)
            key, expires_at = ephemeral_key(token=request.auth, seconds=seconds, session=wish)
        except Invalid as error:
            first = error.errors(include_url=False, include_input=False)[0]
            path = ".".join(str(part) for part in first["loc"])
            raise serializers.ValidationError({"session": [f"{path}: {first['msg']}"]}) from None
        except RealtimeError as error:
            raise serializers.ValidationError({"session": [error.message]}) from None
        except ValueError as error:
            raise serializers.ValidationError({"session": [str(error)]}) from None
        return Response({"value": key, "expires_at": expires_at, "session": config.effective})
