"""Admission and queues."""

from ml.serve.slots import FRAME_NS, SlotTable
from tests.ml.serve.client import frames_of, noise


def test_rows_are_given_until_full_and_given_again() -> None:
    table = SlotTable(2, 5)
    first, second = table.admit(8), table.admit(8)
    assert first is not None
    assert second is not None
    assert table.admit(8) is None
    table.release(first)
    again = table.admit(4)
    assert again is not None
    assert again.row == first.row
    assert again.fresh
    table.release(first)  # late, by the old owner: the new one keeps its row
    assert table.active == 2


def test_a_full_queue_gives_up_the_oldest() -> None:
    session = SlotTable(1, 3).admit(8)
    assert session is not None
    given_up = [session.push(frame, 0) for frame in frames_of(noise(0.1, 1))]
    assert given_up == [0, 0, 0, 1, 1]
    assert [frame.audio.seq for frame in session.queue] == [2, 3, 4]
    assert session.dropped == 2


def test_frames_of_a_burst_are_due_as_if_they_had_come_in_time() -> None:
    session = SlotTable(1, 10).admit(8)
    assert session is not None
    for frame in frames_of(noise(0.06, 1)):
        session.push(frame, 1_000)
    assert [frame.due_ns for frame in session.queue] == [1_000 + FRAME_NS * n for n in (1, 2, 3)]
    session.push(frames_of(noise(0.02, 1))[0], 10 * FRAME_NS)
    assert session.queue[-1].due_ns == 11 * FRAME_NS


def test_a_raised_generation_forgets_older_input_and_refuses_more_of_it() -> None:
    session = SlotTable(1, 10).admit(8)
    assert session is not None
    old, new = frames_of(noise(0.06, 1)), frames_of(noise(0.02, 2), generation=2)
    for frame in [*old, *new]:
        session.push(frame, 0)
    assert session.raise_generation(2) == 3
    assert session.push(old[0], 0) == 1
    assert [frame.audio.generation for frame in session.queue] == [2]
    assert session.raise_generation(1) == 0
    assert session.generation == 2
    assert session.dropped == 0  # an interrupt is no overload
