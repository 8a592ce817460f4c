"""Streaming equals the training pass, rows do not know of each other, and a beginning can be taken back."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.s2s import Conditions, Past, S2SBatch, S2SModel, S2SState, S2SStateError, Sampling
from ml.s2s.acts import collapsed
from ml.s2s.live import nearest_plan
from ml.s2s.phone_lm import Readings, sure

WILD = Sampling(temperature=(1.0,), top_k=(0,), top_p=(1.0,), plan_temperature=1.0, pace_temperature=1.0, min_frames=3)
ENDLESS = dataclasses.replace(WILD, min_frames=10_000)


def codes(frames: int, seed: int, rows: int = 1) -> torch.Tensor:
    return torch.randint(1024, (rows, 8, frames), generator=torch.Generator().manual_seed(seed))


def conditions(*numbers: int) -> Conditions:
    return Conditions.cat([Conditions.one(n % 4, n % 9, pitch=float(n % 5), rate=1.0 + n / 50) for n in numbers])


def answer(model: S2SModel, state: S2SState, row: int, frames: int, sampling: Sampling = ENDLESS) -> torch.Tensor:
    drawn = [model.step(state, [row], sampling) for _ in range(frames)]
    return torch.stack([code[0] for code, ended in drawn if not ended[0]], dim=1)


@given(chunks=st.lists(st.integers(1, 9), min_size=1, max_size=8), seed=st.integers(0, 999), turns=st.integers(0, 4))
@settings(deadline=None, max_examples=25)
def test_streaming_equals_the_training_pass(model: S2SModel, chunks: list[int], seed: int, turns: int) -> None:
    """Any chunking of the question, any number of earlier turns, answers longer than the attention's window."""
    frames, spoken = sum(chunks), 28
    question = codes(frames, seed)
    earlier = [(codes(5 + i, seed + i)[0], codes(9 + i, seed + 50 + i)[0]) for i in range(turns)]
    state = model.streaming_state(2)
    model.recall(state, 1, earlier)
    for part in torch.split(question, chunks, dim=2):
        model.listen(part, state, [1])
    model.begin(state, [1], conditions(seed), [seed], ENDLESS)
    said, hidden, at = [], [], []
    hook = model.decoder.norm.register_forward_hook(lambda _module, _inputs, output: hidden.append(output[:, 0]))
    try:
        for _ in range(spoken):
            at.append(state.rows[1].pointer)
            said.append(model.step(state, [1], ENDLESS)[0][0])
    finally:
        hook.remove()
    kept = earlier[-model.config.memory_turns :]
    past = None
    if kept:
        pad = torch.nn.functional.pad
        longest = 9 + turns
        past = Past(
            question=torch.stack([pad(q, (0, longest - q.shape[1])) for q, _ in kept]),
            question_frames=torch.tensor([q.shape[1] for q, _ in kept]),
            answer=torch.stack([pad(a, (0, longest - a.shape[1])) for _, a in kept]),
            answer_frames=torch.tensor([a.shape[1] for _, a in kept]),
            row=torch.zeros(len(kept), dtype=torch.int64),
            age=torch.arange(len(kept), 0, -1),
        )
    batch = S2SBatch(
        question=torch.cat([question, codes(3, 7)], dim=2),  # padding must not be heard
        question_frames=torch.tensor([frames]),
        answer=torch.stack(said, dim=1)[None],
        answer_frames=torch.tensor([spoken]),
        conditions=conditions(seed),
        plan=torch.tensor([state.rows[1].plan]),
        answer_at=torch.tensor([at]),
        past=past,
    )
    whole: list[torch.Tensor] = []
    hook = model.decoder.norm.register_forward_hook(lambda _module, _inputs, output: whole.append(output[0]))
    try:
        model(batch)
    finally:
        hook.remove()
    assert torch.allclose(torch.cat(hidden), whole[0][:spoken], atol=1e-4)


def test_likeliest_codes_are_those_of_the_training_pass(model: S2SModel) -> None:
    question = codes(11, 3)
    state = model.streaming_state(1)
    model.listen(question, state, [0])
    greedy = dataclasses.replace(Sampling.greedy(), min_frames=1000)
    model.begin(state, [0], conditions(3), [0], greedy)
    at, drawn = [], []
    for _ in range(12):
        at.append(state.rows[0].pointer)
        drawn.append(model.step(state, [0], greedy)[0][0])
    said = torch.stack(drawn, dim=1)
    output = model(
        S2SBatch(question, torch.tensor([11]), said[None], torch.tensor([12]), conditions(3),
                 plan=torch.tensor([state.rows[0].plan]), answer_at=torch.tensor([at]))
    )  # fmt: skip
    assert output.plan is not None
    assert int(output.plan.argmax()) == state.rows[0].plan
    assert torch.equal(output.first[0, :12, :-1].argmax(-1), said[0])
    assert torch.equal(output.deeper.argmax(-1), said[1:].T)
    assert output.advance is not None
    last = state.rows[0].score - 1  # where the pointer stays
    strides = output.advance[0, :11].argmax(-1).tolist()
    assert at[1:] == [min(before + stride, last) for before, stride in zip(at, strides, strict=False)]


@given(seed=st.integers(0, 999))
@settings(deadline=None, max_examples=12)
def test_rows_that_advance_at_random_equal_their_solo_run(precise: S2SModel, seed: int) -> None:
    model = precise
    generator = torch.Generator().manual_seed(seed)
    questions = [codes(int(torch.randint(1, 20, (), generator=generator)), seed + row) for row in range(3)]
    state = model.streaming_state(3)
    position = [0] * 3
    said: list[list[torch.Tensor]] = [[], [], []]
    for _ in range(60):
        chosen = [row for row in range(3) if torch.rand((), generator=generator) < 0.6]
        hearing = [row for row in chosen if position[row] < questions[row].shape[2]]
        ready = [row for row in chosen if row not in hearing and not state.rows[row].answering]
        saying = [row for row in chosen if state.rows[row].answering]
        if hearing:
            frames = torch.cat([questions[row][:, :, position[row] : position[row] + 1] for row in hearing])
            model.listen(frames, state, hearing)
            for row in hearing:
                position[row] += 1
        if ready:
            model.begin(state, ready, conditions(*(seed + row for row in ready)), [seed + row for row in ready], WILD)
        if saying:
            drawn, ended = model.step(state, saying, WILD)
            for i, row in enumerate(saying):
                if not ended[i]:
                    said[row].append(drawn[i])
    for row in range(3):
        if not said[row]:
            continue
        solo = model.streaming_state(1)
        model.listen(questions[row], solo, [0])
        model.begin(solo, [0], conditions(seed + row), [seed + row], WILD)
        alone = answer(model, solo, 0, len(said[row]), WILD)
        assert torch.equal(torch.stack(said[row], dim=1), alone)


@given(before=st.integers(1, 10), after=st.integers(1, 10), steps=st.integers(1, 6), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=15)
def test_a_beginning_can_be_taken_back(model: S2SModel, before: int, after: int, steps: int, seed: int) -> None:
    question = codes(before + after, seed)
    state, straight = model.streaming_state(1), model.streaming_state(1)
    model.listen(question[:, :, :before], state, [0])
    model.begin(state, [0], conditions(5), [9], ENDLESS)
    answer(model, state, 0, steps)
    state.rewind([0])
    model.listen(question[:, :, before:], state, [0])
    model.listen(question, straight, [0])
    for each in (state, straight):
        model.begin(each, [0], conditions(4), [seed], ENDLESS)
    assert torch.equal(answer(model, state, 0, 6), answer(model, straight, 0, 6))


def test_rows_are_reset_one_by_one(model: S2SModel) -> None:
    state, fresh = model.streaming_state(2), model.streaming_state(1)
    for row in (0, 1):
        model.recall(state, row, [(codes(6, 1)[0], codes(8, 2)[0])])
        model.listen(codes(7, 3), state, [row])
    state.reset([0])
    assert state.rows[0].memory == []
    assert state.rows[1].memory == [(True, True)]
    for each, row in ((state, 0), (fresh, 0)):
        model.listen(codes(9, 4), each, [row])
        model.begin(each, [row], conditions(1), [1], ENDLESS)
    assert torch.equal(answer(model, state, 0, 5), answer(model, fresh, 0, 5))
    assert state.rows[1].frames == 7


def test_turns_are_remembered_alike_from_steps_and_from_codes(model: S2SModel) -> None:
    state, recalled = model.streaming_state(1), model.streaming_state(1)
    turns = []
    for turn in range(4):  # one more than it can hold
        question = codes(6 + turn, turn)
        model.listen(question, state, [0])
        model.begin(state, [0], conditions(turn), [turn], ENDLESS)
        said = answer(model, state, 0, 9)
        model.remember(state, [0], [5])  # cut off after five frames
        turns.append((question[0], said[:, :5]))
    model.recall(recalled, 0, turns)
    assert state.rows[0].memory == recalled.rows[0].memory == [(True, True)] * 3
    assert torch.allclose(state.memory, recalled.memory, atol=1e-4)
    moved = model.streaming_state(2)
    moved.import_memory(1, state.export_memory(0))
    assert torch.equal(moved.memory[1], state.memory[0])


def test_memory_changes_the_answer_and_clear_keeps_it(model: S2SModel) -> None:
    state = model.streaming_state(3)
    model.recall(state, 1, [(codes(6, 1)[0], codes(8, 2)[0])])
    model.recall(state, 2, [(codes(6, 1)[0], codes(8, 9)[0])])
    model.listen(codes(4, 5).expand(3, -1, -1), state, [0, 1, 2])
    model.begin(state, [0, 1, 2], conditions(1, 1, 1), [1, 1, 1])
    sights = [state.caches.cross_keys[row, 0, :, 1:3] for row in range(3)]
    assert not torch.allclose(sights[0], sights[1], atol=1e-3)
    assert not torch.allclose(sights[1], sights[2], atol=1e-4)
    state.clear([1])
    assert state.rows[1].memory == [(True, True)]
    assert state.rows[1].frames == 0


def test_an_answer_ends_at_the_limit_and_stays_ended(model: S2SModel) -> None:
    state = model.streaming_state(1)
    model.begin(state, [0], conditions(1), [1])  # nothing was said at all
    for _ in range(model.config.max_frames):
        _, ended = model.step(state, [0], ENDLESS)
        assert ended == [False]
    for _ in range(2):
        last, ended = model.step(state, [0], ENDLESS)
        assert ended == [True]
        assert not last.any()


def test_a_question_of_a_minute_keeps_its_newest_frames(model: S2SModel) -> None:
    state, newest = model.streaming_state(1), model.config.question_frames
    model.listen(codes(1500, 1), state, [0])
    model.begin(state, [0], conditions(1), [1])
    assert state.rows[0].sights == 1 + model.config.summary_slots + newest


def test_seeds_decide(model: S2SModel) -> None:
    said = []
    for seed in (1, 1, 2):
        state = model.streaming_state(1)
        model.listen(codes(8, 1), state, [0])
        model.begin(state, [0], conditions(1), [seed], ENDLESS)
        said.append(answer(model, state, 0, 8))
    assert torch.equal(said[0], said[1])
    assert not torch.equal(said[0], said[2])


def test_style_changes_in_mid_answer(model: S2SModel) -> None:
    said = []
    for change in (False, True):
        state = model.streaming_state(1)
        model.listen(codes(8, 1), state, [0])
        model.begin(state, [0], conditions(1), [1], ENDLESS)
        first = answer(model, state, 0, 4)
        if change:
            model.restyle(state, [0], conditions(7))
        said.append((first, answer(model, state, 0, 8)))
    assert torch.equal(said[0][0], said[1][0])
    assert not torch.equal(said[0][1], said[1][1])


def test_calls_out_of_order_say_what_to_do(model: S2SModel) -> None:
    state = model.streaming_state(2)
    with pytest.raises(S2SStateError, match="row 1 has not begun"):
        model.step(state, [1])
    model.begin(state, [1], conditions(1), [1])
    with pytest.raises(S2SStateError, match="rewind, remember or clear"):
        model.listen(codes(4, 1), state, [1])
    with pytest.raises(S2SStateError, match="answers already"):
        model.begin(state, [1], conditions(1), [1])
    with pytest.raises(S2SStateError, match="different numbers"):
        model.listen(codes(4, 1, rows=2), state, [0, 0])
    with pytest.raises(S2SStateError, match="codes are int64"):
        model.listen(codes(4, 1), state, [0, 1])
    with pytest.raises(S2SStateError, match="between 0 and 1023"):
        model.listen(codes(4, 1) + 1024, state, [0])
    with pytest.raises(S2SStateError, match="speaker weights"):
        model.begin(state, [0], conditions(1, 2), [1])


def test_phrases_hear_the_same_path_however_it_comes(random_phrases: S2SModel) -> None:
    """The belief that the plan is chosen from is that of the offline encoder, also after a beginning taken back."""
    model, question = random_phrases, codes(15, 8)
    _, phones = model.encoder(model.books, question, torch.tensor([15]))
    heard: list[tuple[list[Readings], list[list[int]]]] = []
    assert model.phrases is not None
    hook = model.phrases.register_forward_pre_hook(lambda _module, inputs: heard.append(inputs))
    try:
        state = model.streaming_state(1)
        model.recall(state, 0, [(codes(6, 1)[0], codes(8, 2)[0])])
        model.listen(question[:, :, :6], state, [0])
        model.begin(state, [0], conditions(1), [1])
        state.rewind([0])
        model.listen(question[:, :, 6:], state, [0])
        model.begin(state, [0], conditions(1), [1], plans=[5])
    finally:
        hook.remove()
    path, blank = phones[0].argmax(-1).tolist(), model.config.n_phones
    assert heard[1][0][0] == sure(collapsed(path, blank))
    assert heard[1][1] == [[state.rows[0].plans[0]]]
    assert state.rows[0].plan == 5
    model.remember(state, [0])
    assert state.rows[0].plans[0] == 5


def test_a_turn_known_by_its_codes_finds_its_plan(model: S2SModel) -> None:
    table = [[int(p) for p in row if p not in (0, 255)] for row in model.score.table] if model.score else []
    blank = model.config.n_phones
    for plan, score in enumerate(table):
        path = [label for phone in score for label in (phone, phone, blank)]
        assert nearest_plan(model, path) == plan
    assert nearest_plan(model, [blank] * 8) == -1
    assert nearest_plan(model, [48, 47] * 30) == -1
