"""The Python side of native protocol v1 against the byte table that the JavaScript side reads too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from apps.voice import protocol
from tests.contract import make_wire_vectors

TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("wire_vectors.json").read_text(encoding="utf-8"))
PARSERS = {"up": protocol.parse_audio_up, "down": protocol.parse_audio_down}


def named(rows: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(row, id=row["name"]) for row in rows]


def messages(direction: str, valid: bool) -> list[Any]:
    return named([r for r in TABLE["messages"] if r["direction"] == direction and r["valid"] is valid])


def test_the_table_is_what_its_maker_writes() -> None:
    assert make_wire_vectors.table() == TABLE


@pytest.mark.parametrize("row", named(TABLE["frames"]))
def test_frame(row: dict[str, Any]) -> None:
    frame = PARSERS[row["direction"]](bytes.fromhex(row["frame_hex"]))
    assert (frame.kind, frame.seq, frame.timestamp_ms, frame.generation, frame.payload.hex()) == (
        row["kind"],
        row["seq"],
        row["timestamp_ms"],
        row["generation"],
        row["payload_hex"],
    )
    assert protocol.pack_audio(frame).hex() == row["frame_hex"]


@pytest.mark.parametrize("row", named(TABLE["invalid_frames"]))
def test_invalid_frame(row: dict[str, Any]) -> None:
    with pytest.raises(protocol.ProtocolFault) as caught:
        PARSERS[row["direction"]](bytes.fromhex(row["invalid_hex"]))
    assert caught.value.code == row["error"]


@pytest.mark.parametrize("row", messages("up", True))
def test_client_message(row: dict[str, Any]) -> None:
    message = protocol.parse_client_message(row["json"])
    for field, value in json.loads(row["json"]).items():
        assert getattr(message, field) == value


@pytest.mark.parametrize("row", messages("up", False))
def test_invalid_client_message_names_code_and_field(row: dict[str, Any]) -> None:
    with pytest.raises(protocol.ProtocolFault) as caught:
        protocol.parse_client_message(row["json"])
    assert caught.value.code == row["error"]
    if "field" in row:
        assert caught.value.message.startswith(f"{row['field']}: ")


@pytest.mark.parametrize("row", messages("down", True))
def test_server_message_is_written_as_in_the_table(row: dict[str, Any]) -> None:
    message = protocol.server_message_adapter.validate_json(row["json"])
    assert json.loads(message.wire()) == json.loads(row["json"])


@pytest.mark.parametrize("row", messages("down", False))
def test_invalid_server_message(row: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        protocol.server_message_adapter.validate_json(row["json"])


def test_every_error_code_is_in_the_table_with_its_close_code() -> None:
    ours = {code.value: (code.close_code, code.immediate) for code in protocol.ErrorCode}
    assert ours == {row["code"]: (row["close_code"], row["immediate"]) for row in TABLE["errors"]}
    assert len({close_code for close_code, _ in ours.values()}) == len(ours)
