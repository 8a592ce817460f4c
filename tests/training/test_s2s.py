"""A speech-to-speech model by REST on embedded defaults: pairs, training, measured, heard beside production, promoted
while somebody talks, rolled back. The shipped codec, recogniser and S2S model take part; nothing is pretended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from apps.voice.models import Turn
from apps.voice.protocol import AnswerEvent, TurnStored, Welcome
from tests.support.live_client import LiveClient, live_client, microphone, telugu_speech
from tests.support.stack import Stack
from tests.support.training_desk import Desk

pytestmark = pytest.mark.integration
PATIENCE_S = 600.0
"""Pairs are spoken, encoded and measured at the lowest priority: half a minute each alone, minutes beside others."""


@dataclass(frozen=True)
class Trained:
    """What the desk made: a dataset of pairs, the run that learned from it, the version that was exported."""

    desk: Desk
    dataset: str
    run: str
    version: dict[str, Any]


def done(desk: Desk, job: dict[str, Any]) -> dict[str, Any]:
    """The job when it is over; it has to succeed."""
    row = desk.wait_for(job["id"], lambda row: row.is_over, f"{job['kind']} to end")
    assert row.status == "succeeded", (job["kind"], row.status, row.message, row.advice)
    found: dict[str, Any] = desk.call("GET", f"jobs/{job['id']}")
    return found


def in_production(desk: Desk) -> dict[str, Any]:
    [found] = desk.call("GET", "models?kind=s2s&stage=production")["results"]
    row: dict[str, Any] = found
    return row


@pytest.fixture(scope="module")
def trained(embedded: Stack) -> Trained:
    """From nothing to a staged version, by REST."""
    desk = Desk(embedded, PATIENCE_S)
    made = done(desk, desk.call("POST", "datasets/pairs", {"name": "Few pairs", "size": "tiny"}))
    [dataset] = made["datasets"]
    done(desk, desk.call("POST", "jobs", {"kind": "codes", "datasets": [dataset]}))
    run = done(desk, desk.call("POST", "jobs", {"kind": "train_s2s", "recipe": "tiny", "datasets": [dataset]}))
    assert (run["step"], run["total"]) == (30, 30)
    export = desk.call("POST", "jobs", {"kind": "export", "parent": run["id"], "version": "few-1"})
    done(desk, export)
    [version] = desk.call("GET", f"models?job={run['id']}")["results"]
    return Trained(desk, dataset, run["id"], version)


def test_an_export_is_staged_with_card_and_lineage(trained: Trained) -> None:
    version = trained.version
    assert (version["kind"], version["preset"], version["version"]) == ("s2s", "tiny", "few-1")
    assert version["stage"] == "staged"
    assert version["card"]["sha256"] == version["sha256"]
    assert version["card"]["training"]["data"] == ["Few pairs (made here, free)"]
    assert "valid_plan" in version["metrics"]
    assert in_production(trained.desk)["sha256"] != version["sha256"]
    assert list((trained.desk.run_folder(trained.run) / "tensorboard").glob("events.*"))


def test_it_is_measured_on_pairs_and_the_figures_stay_with_it(trained: Trained) -> None:
    body = {"kind": "evaluate", "model_version": trained.version["id"], "datasets": [trained.dataset], "limit": 2}
    job = done(trained.desk, trained.desk.call("POST", "jobs", body))
    figures = trained.desk.call("GET", f"models/{trained.version['id']}")["metrics"]["Few pairs"]
    assert figures == job["result"]
    assert {"groups", "style", "dials", "faults"} <= set(figures)
    assert all(row["finite"] for row in figures["faults"].values())


def test_it_is_heard_beside_production(trained: Trained) -> None:
    current = in_production(trained.desk)
    body = {"kind": "samples", "parent": trained.run, "model_version": current["id"]}
    done(trained.desk, trained.desk.call("POST", "jobs", body))
    rows = trained.desk.call("GET", f"jobs/{trained.run}/samples")
    heard = {row["kind"]: row for row in rows}
    assert set(heard) == {"target", "version", "step"}
    assert heard["version"]["name"] == f"version-{current['sha256'][:12]}"
    assert len(heard["version"]["files"]) == len(heard["step"]["files"]) == len(heard["target"]["files"]) == 3


async def answered(client: LiveClient, question: bytes, number: int) -> TurnStored:
    """Say the question; her stored answer, the conversation's `number`-th."""
    async with microphone(client) as said:
        await said.put(question)
        await client.wait_for(AnswerEvent, number, event="ended")
        stored = await client.wait_for(TurnStored, number, role="assistant")
    await client.report()  # all was played: who stays silent about the rest is taken for too slow
    return stored


def answered_by(session: UUID) -> list[str]:
    """Which S2S model gave each answer of a session."""
    rows = Turn.objects.filter(session_id=session, role="assistant").order_by("index")
    return [str(row.model_versions["s2s"]) for row in rows]


async def test_promoted_and_rolled_back_while_somebody_talks(trained: Trained, embedded: Stack, tmp_path: Path) -> None:
    question = telugu_speech(tmp_path)
    before, fresh = in_production(trained.desk), trained.version
    call = trained.desk.call

    def served(welcome: Welcome) -> str:
        return str(welcome.models["s2s"])

    async with live_client(embedded.ws_url) as first:
        welcome = await first.hello(mode="talk")
        assert before["sha256"].startswith(served(welcome).partition("@")[2])
        await answered(first, question, 1)
        promoted = await asyncio.to_thread(call, "POST", f"models/{fresh['id']}/promote")
        try:
            assert (promoted["version"]["stage"], promoted["before"]["id"]) == ("production", before["id"])
            assert [server["ok"] for server in promoted["servers"]] == [True]
            await answered(first, question, 2)  # who talks is not disturbed
            async with live_client(embedded.ws_url) as second:
                hers = await second.hello(mode="talk")
                assert served(hers) == f"tiny@{fresh['sha256'][:12]}"
                await answered(second, question, 1)
                await second.end()
        finally:
            back = await asyncio.to_thread(call, "POST", "models/roll-back", {"kind": "s2s", "preset": "tiny"})
        assert back["version"]["id"] == before["id"]
        await answered(first, question, 3)
        assert first.errors == []
        await first.end()
    async with live_client(embedded.ws_url) as third:
        assert served(await third.hello(mode="talk")) == served(welcome)
        await third.end()
    assert await embedded.aquery(lambda: answered_by(welcome.session)) == [served(welcome)] * 3
    assert await embedded.aquery(lambda: answered_by(hers.session)) == [served(hers)]
    assert (await asyncio.to_thread(call, "GET", f"models/{fresh['id']}"))["stage"] == "retired"
