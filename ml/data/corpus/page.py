"""The corpus as a page in Markdown: counts, intents by topic, chains, follow-ups."""

from __future__ import annotations

from ml.data.corpus.loader import Corpus
from ml.data.corpus.schema import SPLITS, Answer, Turn

_KINDS = {"again": "say it again", "why": "why", "more": "go on", "other": "another one, or a remark"}


def render_page(corpus: Corpus) -> str:
    """Markdown of `docs/corpus.md`; the same corpus gives the same bytes."""
    lines = [
        "# Dialogue corpus",
        "",
        "<!-- written by `python -m ml data corpus page`: change the files in ml/data/corpus/te, not this page -->",
        "",
        *_counts(corpus),
        *_format(),
        "## Intents",
    ]
    for topic in corpus.topics:
        lines += ["", f"### {topic.title.en} · {topic.title.te}", ""]
        lines += ["| intent | English | తెలుగు | for example | answer |", "|---|---|---|---|---|"]
        for intent in topic.intents:
            answer = _answer(intent.answers[0])
            row = [f"`{intent.id}`", intent.title.en, intent.title.te, intent.ask.train[0], answer]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    lines += ["", "## Follow-ups", "", "Their answer depends on the turn before; when there was none:", ""]
    lines += ["| kind | for example | answer |", "|---|---|---|"]
    for kind, followup in corpus.followups.items():
        lines.append(f"| `{kind}`: {_KINDS[kind]} | {followup.ask.train[0]} | {_answer(followup.default[0])} |")
    lines += ["", "## Chains", "", "Conversations in which later answers depend on earlier turns.", ""]
    lines += ["Each is learned; validation and test ask it in words that training has not.", ""]
    lines += ["| chain | turns | begins with | in the test |", "|---|---|---|---|"]
    for chain in corpus.chains:
        ask = chain.turns[0].ask
        lines.append(f"| `{chain.id}` | {len(chain.turns)} | {ask.train[0]} | {ask.test[0]} |")
    if corpus.chains:
        longest = max(corpus.chains, key=lambda chain: len(chain.turns))
        lines += ["", f"The longest, `{longest.id}`:", ""]
        lines += [_turn(turn) for turn in longest.turns]
    lines += ["", "## Fallbacks", "", "Answers to what was not understood:", ""]
    lines += [f"- {_answer(answer)}" for answer in corpus.fallbacks]
    return "\n".join(lines) + "\n"


def _answer(answer: Answer) -> str:
    return f"{answer.text} ({answer.emotion})"


def _turn(turn: Turn) -> str:
    follow = f" ({turn.follow})" if turn.follow else ""
    return f"- {turn.ask.train[0]}{follow} → {turn.answer} ({turn.emotion})"


def _counts(corpus: Corpus) -> list[str]:
    counts = corpus.counts()
    phrasings = ", ".join(f"{counts.phrasings.get(split, 0)} for {split}" for split in SPLITS)
    said = ", ".join(f"{counts.turn_phrasings.get(split, 0)} for {split}" for split in SPLITS)
    emotions = ", ".join(f"{name} {count}" for name, count in counts.emotions.items())
    return [
        "Written for this product in spoken Telugu. Splits are set in the files, phrasing by phrasing.",
        "",
        f"- {counts.intents} intents in {counts.topics} topics",
        f"- {sum(counts.phrasings.values())} phrasings: {phrasings}",
        f"- {counts.answers} answers by emotion: {emotions}",
        f"- {counts.chains} chains of {counts.turns} turns, the longest has {counts.longest_chain}; "
        f"{sum(counts.turn_phrasings.values())} phrasings of their turns: {said}",
        f"- {counts.fallbacks} fallbacks",
        "",
    ]


def _format() -> list[str]:
    return [
        "## Format",
        "",
        "One file a topic in `ml/data/corpus/te`, besides `chains-*.yaml`, `followups.yaml` and `fallbacks.yaml`.",
        "`ml/data/corpus/schema.py` defines them; `python -m ml data corpus check [FOLDER]` tells every problem of",
        "a folder. Texts are in Telugu script (English words too), numbers as words, marks `, . ? !` only; an answer",
        "has 3 to 18 words. No phrasing stands twice in the corpus, marks and spaces aside; only turns of chains may",
        "be said as an intent, a follow-up or another turn is, but then for the same split.",
        "",
        "```yaml",
        "topic: food",
        'title: {te: "భోజనం", en: "Food"}',
        "intents:",
        "  - id: food.have_you_eaten",
        '    title: {te: "తిన్నారా అని అడగడం", en: "Asking whether one has eaten"}',
        "    ask:",
        '      train: ["…"]       # 6 or more, 8 are better',
        '      validation: ["…"]  # 2 or more',
        '      test: ["…"]        # 2 or more',
        '    answers: [{text: "…", emotion: happy}]   # 2 or more',
        '    why: {text: "…", emotion: thinking}      # optional: the user then asks why',
        '    more: {text: "…", emotion: happy}        # optional: the user then asks for more',
        "    also: [food.fruit]                       # optional: intents whose answers all suit these questions too",
        "```",
        "",
        "`chains-*.yaml`:",
        "",
        "```yaml",
        "chains:",
        "  - id: chains.pulihora_lesson",
        "    turns:                       # 2 to 10",
        '      - ask: {train: ["…"], validation: ["…"], test: ["…"]}   # 3, 1 and 1 or more',
        '        answer: "…"',
        "        emotion: happy",
        "        intent: cooking.pulihora   # or follow: again, why, more, other; or neither",
        "        suits_intent: true         # optional, first turns: right for whatever is asked by the intent",
        "```",
        "",
    ]
