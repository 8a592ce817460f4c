"""The benchmark's own client counts what it should."""

import pytest
from typer.testing import CliRunner

from ml.cli.bench import app
from ml.serve.bench import run_session
from tests.ml.serve.conftest import StartServer


async def test_a_benchmark_session_accounts_for_every_frame(start_server: StartServer) -> None:
    running = await start_server(slots=1)
    result = await run_session(running.address, seconds=0.6, phase_s=0.0, seed=1, settle_s=0.2)
    assert (result.sent, result.answered) == (30, 30)
    for times in (result.round_trip, result.queue, result.encode, result.decode):
        assert len(times) == 20
    for trip, *parts in zip(result.round_trip, result.queue, result.encode, result.decode, strict=True):
        assert trip >= sum(parts) - 0.01
    assert running.service.engine.stats().ticks == 30


async def test_a_full_server_fails_the_benchmark(start_server: StartServer) -> None:
    running = await start_server(slots=1)
    await (await running.client()).open()
    with pytest.raises(RuntimeError, match="Busy"):
        await run_session(running.address, seconds=0.1, phase_s=0.0, seed=1)


@pytest.mark.parametrize("sessions", ["", "0", "1,x"])
def test_bad_numbers_of_sessions_are_refused(sessions: str) -> None:
    result = CliRunner().invoke(app, ["serve", "--sessions", sessions])
    assert result.exit_code == 2
    assert "1,2,4,8" in result.stderr
