"""The codec lab by REST: a recording in, its reconstruction, codes and figures out."""

from __future__ import annotations

import base64
import io
import math
from typing import Any, ClassVar

import numpy as np
import soundfile as sf
from asgiref.sync import async_to_sync
from django.conf import settings
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.voice.lab import MAX_BYTES, MAX_SECONDS, PRESETS, LabBusyError, lab_reconstruct, recording_from
from voiceplatform.api.access import Access, AccessTable
from voiceplatform.api.problems import problem
from voiceplatform.api.throttles import ByScope

SAMPLE_RATE = 16_000


class LabThrottle(ByScope):
    """A budget of its own: each request costs the device some tenths of a second."""

    budget = "lab"


class LabRequestSerializer(serializers.Serializer[Any]):
    """What to do with which recording."""

    file = serializers.FileField(
        help_text=f"WAV, FLAC, MP3, Ogg, M4A or WebM, at most {MAX_BYTES >> 20} MiB; "
        f"of a longer one the first {MAX_SECONDS:.0f} s are taken."
    )
    preset = serializers.ChoiceField(PRESETS, default="hifi")
    quantizers = serializers.IntegerField(min_value=1, max_value=8, default=8)


@extend_schema_field({"type": "string", "format": "byte"})
class WavField(serializers.CharField):
    """A WAV file, 16 kHz mono PCM16, in base64."""


class LabResultSerializer(serializers.Serializer[Any]):
    """Both recordings in step (WAV, 16 kHz mono, base64), all codes, and figures."""

    preset = serializers.CharField()
    quantizers = serializers.IntegerField(help_text="Levels that were decoded; all eight are in `codes`.")
    seconds = serializers.FloatField()
    cut = serializers.BooleanField(help_text="The file was longer than what is taken.")
    kbps = serializers.FloatField()
    snr_db = serializers.FloatField(
        help_text="Signal-to-noise ratio. Of `dialogue` it says nothing: that codec makes its own phase."
    )
    real_time_factor = serializers.FloatField(help_text="Encoding and decoding, of the recording's length.")
    encode_ms = serializers.FloatField()
    decode_ms = serializers.FloatField()
    waited_ms = serializers.FloatField(help_text="Behind other people's recordings.")
    delay_ms = serializers.FloatField(help_text="By how much the codec lags when it streams; taken off here.")
    hop = serializers.IntegerField(help_text="Samples in a frame of codes.")
    model = serializers.DictField()
    codes = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField()), help_text="Rows are levels, columns frames."
    )
    original = WavField()
    reconstruction = WavField()


class LabView(APIView):
    """A recording through a codec and back."""

    serializer_class = LabResultSerializer
    parser_classes = [MultiPartParser]
    throttle_classes = [LabThrottle]
    http_method_names = ["post"]
    tag: ClassVar[str] = "lab"
    access: ClassVar[AccessTable] = {"post": Access("chat", public=True)}

    @extend_schema(
        operation_id="lab_reconstruct",
        request={"multipart/form-data": LabRequestSerializer},
        responses=LabResultSerializer,
    )
    def post(self, request: Request) -> Response:
        """Encode and decode a recording, to hear and to measure what a codec does to it. Nothing is stored.

        Guests may where the site lets guests talk. Under load it answers 503 with Retry-After.
        """
        if not request.user.is_authenticated and not settings.VOICE_ALLOW_GUESTS:
            raise NotAuthenticated("Guests are not served here: log in, or send 'Authorization: Bearer' with a token.")
        wish = LabRequestSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        preset, quantizers = wish.validated_data["preset"], wish.validated_data["quantizers"]
        try:
            recording = recording_from(wish.validated_data["file"].read(MAX_BYTES + 1))
            result = async_to_sync(lab_reconstruct)(pcm=recording.pcm, preset=preset, quantizers=quantizers)
        except LabBusyError as error:
            answer = problem(503, error.code, error.message, error.hint)
            answer["Retry-After"] = str(math.ceil(error.retry_after_s))
            return answer
        done = result.done
        return Response(
            {
                "preset": preset,
                "quantizers": quantizers,
                "seconds": round(recording.seconds, 4),
                "cut": recording.cut,
                "kbps": done.kbps,
                "snr_db": done.snr_db,
                "real_time_factor": round((done.encode_ms + done.decode_ms) / 1000 / recording.seconds, 4),
                "encode_ms": done.encode_ms,
                "decode_ms": done.decode_ms,
                "waited_ms": done.waited_ms,
                "delay_ms": done.delay_ms,
                "hop": done.hop,
                "model": done.model,
                "codes": result.codes.tolist(),
                "original": _wav(recording.pcm),
                "reconstruction": _wav(result.pcm),
            }
        )


def _wav(pcm: bytes) -> str:
    file = io.BytesIO()
    sf.write(file, np.frombuffer(pcm, "<i2"), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return base64.b64encode(file.getvalue()).decode()
