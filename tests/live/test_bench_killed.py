"""The judgement of ``manage.py bench kill``: whether what was said before a kill is said again after it."""

from __future__ import annotations

import json
import sqlite3
import uuid
from pathlib import Path

import pytest

from benchmarks.killed import AGAIN, Reminding, Row, _memory, said_again
from benchmarks.product import Product
from scripts.setup import find_binary


def asked(number: int, caption: str = "మీ పేరు ఏమిటి") -> Row:
    return Row(f"q{number}", "user", None, caption)


def answered(number: int, plan: int | None) -> Row:
    return Row(f"a{number}", "assistant", plan, "")


def judged(*rows: Row) -> dict[str, int]:
    """What is counted where question 2 was the reminder, zeros left out."""
    return {name: count for name, count in said_again(rows, {"q2"}, {AGAIN}).items() if count}


def test_the_answer_before_is_the_one_that_has_to_come_again() -> None:
    rows = [asked(0), answered(0, 3), asked(1), answered(1, 7), asked(2, AGAIN), answered(2, 7), asked(3)]
    assert judged(*rows) == {"asked": 1, "same_answer": 1}
    rows[5] = answered(2, 3)
    assert judged(*rows) == {"asked": 1, "another_answer": 1}


def test_no_plan_and_no_answer_are_no_memory() -> None:
    assert judged(asked(1), answered(1, None), asked(2, AGAIN), answered(2, None)) == {"asked": 1, "another_answer": 1}
    assert judged(asked(1), answered(1, 7), asked(2, AGAIN)) == {"asked": 1, "another_answer": 1}


def test_what_tells_nothing_of_the_memory_is_counted_by_itself() -> None:
    assert judged(asked(1), answered(1, 7), asked(2, "ఎందుకు?"), answered(2, 9)) == {"asked": 1, "misheard": 1}
    assert judged(asked(0), answered(0, 7), asked(1), asked(2, AGAIN), answered(2, 9)) == {
        "asked": 1,
        "nothing_before": 1,
    }
    assert judged(asked(2, AGAIN), answered(2, 7)) == {"asked": 1, "nothing_before": 1}
    assert judged(asked(1), answered(1, 7)) == {}


@pytest.mark.skipif(find_binary("espeak-ng") is None, reason="espeak-ng speaks the clients' questions")
def test_what_is_judged_is_read_from_the_products_rows(tmp_path: Path) -> None:
    session, turns = uuid.uuid4(), [uuid.uuid4() for _ in range(4)]
    with sqlite3.connect(tmp_path / "db.sqlite3") as rows:
        rows.execute('create table voice_turn (id, session_id, "index", role, stats, caption)')
        for index, turn in reversed(list(enumerate(turns))):
            role, plan = ("assistant", {"plan": 7}) if index % 2 else ("user", {})
            values = (turn.hex, session.hex, index, role, json.dumps({"sample_rate": 16_000, **plan}), AGAIN)
            rows.execute("insert into voice_turn values (?, ?, ?, ?, ?, ?)", values)
    client = Reminding(Product("", "", 0.0, {}, f"unix://{tmp_path}/run/inference.sock"), 0)
    client.result.sessions.add(str(session))
    client.reminders.append(str(turns[2]))
    assert {name: n for name, n in _memory(client.product, [client]).items() if n} == {"asked": 1, "same_answer": 1}
