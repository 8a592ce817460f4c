"""Types of the members that messages share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from apps.voice.protocol.limits import U32_MAX

Mode = Literal["reconstruct", "talk"]
TurnTaking = Literal["stream", "turn", "push"]
KeepAudio = Literal["yes", "codes", "nothing"]
Codec = Literal["pcm16", "opus"]
"""How audio travels; the names of `hello.codecs` and `welcome.codecs`."""
Slug = Annotated[str, Field(pattern=r"^[-a-zA-Z0-9_]{1,50}$")]
Quantizers = Annotated[int, Field(ge=1, le=8)]
U32 = Annotated[int, Field(ge=0, le=U32_MAX)]
SafeInt = Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1)]
"""Integers that survive JavaScript's numbers."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
Shift = Annotated[float, Field(ge=-12, le=12)]
"""Semitones or decibels."""
Rate = Annotated[float, Field(ge=0.5, le=2)]
Share = Annotated[float, Field(ge=0, le=1)]
EndpointMs = Annotated[int, Field(ge=100, le=5000)]
