"""The codec lab over real sockets: in step, equal to the codec by itself, bounded, and beside live sessions."""

import asyncio

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ml.codec import TeluCodec
from ml.recogniser import Caption
from ml.serve import wire
from ml.serve.lab import WAITING, Lab, LabJob
from ml.serve.shelf import Loaded
from tests.ml.serve.client import Client, frames_of, noise
from tests.ml.serve.conftest import MODELS, StartServer

CODES = st.tuples(st.integers(1, 8), st.integers(0, 9)).map(lambda shape: np.arange(shape[0] * shape[1]).reshape(shape))
LAB = st.one_of(
    st.builds(wire.Lab, preset=st.text(max_size=64), quantizers=st.integers(1, 8), samples=st.integers(1, 320_000)),
    st.binary(min_size=1, max_size=40).map(lambda half: wire.LabUp(half * 2)),
)


@given(LAB)
def test_requests_come_through(message: wire.Lab | wire.LabUp) -> None:
    assert wire.decode_client(wire.encode(message)[4:]) == message


@given(CODES, st.binary(max_size=40))
def test_pieces_come_through(codes: np.ndarray, half: bytes) -> None:
    piece = wire.LabPiece(codes.astype(np.uint16), half * 2)
    assert wire.decode_server(wire.encode(piece)[4:]) == piece


@pytest.mark.parametrize(
    "payload", [b"\x06", b"\x06a", b"\x06" + bytes(70_000), b'\x01{"type":"lab","preset":"hifi","quantizers":8}']
)
def test_what_is_no_recording_is_named(payload: bytes) -> None:
    with pytest.raises(wire.WireError, match=r"PCM16|'samples' of 'lab' is missing"):
        wire.decode_client(payload)


def parts(pcm: bytes) -> list[wire.LabUp]:
    size = wire.MAX_LAB_PIECE_BYTES
    return [wire.LabUp(pcm[at : at + size]) for at in range(0, len(pcm), size)]


async def through(client: Client, audio: np.ndarray, quantizers: int) -> tuple[np.ndarray, np.ndarray, wire.LabDone]:
    await client.send(wire.Lab("hifi", quantizers, len(audio)), *parts(audio.astype("<i2").tobytes()))
    pcm, codes = b"", []
    while True:
        message = await client.receive()
        if isinstance(message, wire.LabPiece):
            pcm += message.pcm
            codes.append(message.codes)
        else:
            assert isinstance(message, wire.LabDone), message
            return np.frombuffer(pcm, "<i2"), np.concatenate(codes, axis=1), message


async def test_it_is_what_the_codec_does_offline(start_server: StartServer, codec: TeluCodec) -> None:
    running = await start_server()
    client = await running.client()
    audio = noise(1.7, 3)[:-123]  # neither whole pieces nor whole frames
    for quantizers in (8, 2):
        heard, codes, done = await through(client, audio, quantizers)
        with torch.inference_mode():
            wanted_codes = codec.encode(torch.from_numpy(audio / 32_768).float()[None])
            wanted = codec.decode(wanted_codes, quantizers)[0, : len(audio)].numpy()
        assert len(heard) == len(audio)
        np.testing.assert_array_equal(codes, wanted_codes[0].numpy())
        np.testing.assert_allclose(heard / 32_768, np.clip(wanted, -1, 1), atol=2e-4)
        true = audio / 32_768
        assert done.snr_db == pytest.approx(10 * np.log10(np.sum(true**2) / np.sum((true - wanted) ** 2)), abs=0.05)
        assert (done.hop, done.kbps) == (codec.config.hop, codec.config.kbps(quantizers))
        assert done.model == MODELS["codec"]


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(np.zeros(12_345, np.int16), id="silence"),
        pytest.param(np.where(noise(0.5, 5) > 0, 32_767, -32_768).astype(np.int16), id="clipping"),
        pytest.param(np.full(1, 1_000, np.int16), id="1 sample"),
    ],
)
async def test_unusual_sound_is_answered(start_server: StartServer, audio: np.ndarray) -> None:
    running = await start_server()
    heard, codes, done = await through(await running.client(), audio, 8)
    assert len(heard) == len(audio)
    assert codes.shape[1] >= len(audio) / done.hop
    assert np.isfinite(done.snr_db)


async def test_it_takes_no_slot_and_live_sessions_go_on(start_server: StartServer) -> None:
    running = await start_server(slots=1, queue_frames=200)
    live, guest = await running.client(), await running.client()
    await live.open()
    frames = frames_of(noise(2.0, 1))
    work = asyncio.create_task(through(guest, noise(3.0, 2), 8))
    for frame in frames:
        await live.send(frame)
    came = [await live.expect(wire.AudioDown) for _ in frames]
    assert [down.seq for down in came] == [frame.seq for frame in frames]
    heard, _, _ = await work
    assert len(heard) == 3 * wire.SAMPLE_RATE
    stats = await guest.ask()
    assert (stats.active, stats.free) == (1, 0)


async def test_refusals(start_server: StartServer) -> None:
    running = await start_server()
    client = await running.client()
    await client.send(wire.Lab("none", 8, 2), wire.LabUp(bytes(4)))
    assert (await client.expect(wire.Error)).code == "unknown_preset"
    await client.send(wire.Lab("hifi", 8, 2), wire.LabUp(bytes(6)))
    assert (await client.expect(wire.Error)).code == "frame_size"
    other = await running.client()
    await other.send(wire.LabUp(bytes(4)))
    assert (await other.expect(wire.Error)).code == "not_open"


async def test_one_who_leaves_is_forgotten(start_server: StartServer) -> None:
    running = await start_server()
    client = await running.client()
    await client.send(wire.Lab("hifi", 8, 320_000), *parts(bytes(640_000)))
    await client.expect(wire.LabPiece)
    await client.close()
    next_one = await running.client()
    heard, _, _ = await through(next_one, noise(0.1, 4), 8)
    assert len(heard) == 1600


def test_too_many_are_told_at_once(codec: TeluCodec) -> None:
    lab = Lab(lambda _: Loaded(codec, {}), torch.device("cpu"), lambda: False)  # not started: nothing is taken

    def job() -> LabJob:
        return LabJob(wire.Lab("hifi", 8, 2), np.zeros(2, np.int16), lambda _: None)

    assert [lab.submit(job()) for _ in range(WAITING + 2)] == [True] * WAITING + [False] * 2
    lab.stop()
    assert not lab.submit(job())


async def test_captions_say_what_the_recogniser_heard(start_server: StartServer) -> None:
    class Ear:
        """In place of the trained recogniser (tests/ml/recogniser has it): what it heard is how long it was."""

        def phones(self, audio: np.ndarray) -> list[str]:
            return ["a"] * round(len(audio) / 16_000)

        def captioned(self, phones: list[str]) -> Caption:
            return Caption("ఆ" * len(phones), 0.25, known=False)

    running = await start_server()
    client = await running.client()
    await client.send(wire.Caption(2), wire.LabUp(bytes(4)))
    assert (await client.expect(wire.Error)).code == "unsupported"
    running.service.lab._recogniser = Ear()  # type: ignore[assignment]
    other = await running.client()
    for seconds, wanted in ((2, "ఆఆ"), (0, "")):
        samples = seconds * 16_000 or 100
        await other.send(wire.Caption(samples), *parts(bytes(2 * samples)))
        said = await other.expect(wire.Captioned)
        assert (said.text, said.known) == (wanted, False)
    assert wire.decode_server(wire.encode(said)[4:]) == said
