"""Who may do what, by hand: a row for each method of each address, and letters for each model of the admin.

Columns: nobody, sita (whose things the world holds), ravana (another user), Viewer, Operator, Trainer, Admin. A word is
``ok`` (let in: neither refused nor a server error), ``in`` (sent to the login page), ``no`` (403), or the exact status.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PEOPLE = ("nobody", "sita", "ravana", "Viewer", "Operator", "Trainer", "Admin")


@dataclass(frozen=True)
class Row:
    """One method of one address, and what each person gets."""

    method: str
    expected: str
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""


EVERYONE = "ok ok ok ok ok ok ok"
OPEN = "200 200 200 200 200 200 200"
LOGGED_IN = "401 200 200 200 200 200 200"
MINE_OR_ROLE = "401 200 404 200 200 200 200"
MINE_OR_OPERATOR = "401 200 404 403 200 403 200"
MINE_ALONE = "401 200 404 403 403 403 403"
OPERATORS = "401 403 403 403 200 403 200"
OPERATORS_CREATE = "401 403 403 403 201 403 201"
VIEWERS_PAGE = "in no no ok ok ok ok"
TRAINERS_PAGE = "in no no no no ok ok"
ADMINS_PAGE = "in no no no no no ok"
ROLES_SEE = "401 403 403 200 200 200 200"
TRAINERS_DO = "401 403 403 403 403 ok ok"
ADMINS_DO = "401 403 403 403 403 403 ok"

ANY = {"if-match": "*"}
VOICE = {"slug": "new", "name_te": "కొత్త", "name_en": "New", "gender": "male"}
MOOD = {"slug": "new", "name_te": "కొత్త", "name_en": "New", "emoji": "🙂"}
BLEND = {"slug": "new", "name_te": "కొత్త", "name_en": "New", "weights": {"priya": 0.5, "arjun": 0.5}}

API: dict[str, list[Row]] = {
    "api:speaker-list": [Row("get", OPEN), Row("post", OPERATORS_CREATE, VOICE)],
    "api:speaker-detail": [Row("get", OPEN), Row("patch", OPERATORS, {"rate": 1.1}, ANY)],
    "api:emotion-list": [Row("get", OPEN), Row("post", OPERATORS_CREATE, MOOD)],
    "api:emotion-detail": [Row("get", OPEN), Row("patch", OPERATORS, {"rate": 1.1}, ANY)],
    "api:blend-list": [Row("get", OPEN), Row("post", OPERATORS_CREATE, BLEND)],
    "api:blend-detail": [Row("get", OPEN), Row("patch", OPERATORS, {"order": 3}, ANY)],
    "api:session-list": [Row("get", LOGGED_IN), Row("post", "401 201 201 201 201 201 201")],
    "api:session-detail": [Row("get", MINE_OR_ROLE), Row("patch", MINE_OR_OPERATOR, {"rate": 1.1})],
    "api:session-end": [Row("post", MINE_OR_OPERATOR)],
    "api:session-ticket": [Row("post", "401 201 404 403 403 403 403")],
    "api:session-interrupt": [Row("post", MINE_ALONE)],
    "api:session-forget": [Row("post", MINE_ALONE)],
    "api:turn-list": [Row("get", LOGGED_IN)],
    "api:turn-detail": [
        Row("get", MINE_OR_ROLE),
        Row("patch", "401 403 403 403 200 200 200", {"mark": "good"}),
        Row("delete", "401 204 404 403 204 403 204"),
    ],
    "api:turn-audio": [Row("get", MINE_OR_ROLE)],
    "api:turn-output": [Row("get", MINE_OR_ROLE)],
    "api:turn-peaks": [Row("get", MINE_OR_ROLE)],
    "api:turn-codes": [Row("get", MINE_OR_ROLE)],
    "api:dataset-list": [Row("get", ROLES_SEE), Row("post", TRAINERS_DO, {"name": "new", "licence": "own"})],
    "api:dataset-detail": [
        Row("get", ROLES_SEE),
        Row("patch", TRAINERS_DO, {"name": "newer"}, ANY),
        Row("delete", ADMINS_DO),
    ],
    "api:dataset-clips": [Row("get", ROLES_SEE)],
    "api:dataset-audio": [Row("get", "401 403 403 404 404 404 404", query="name=nowhere.flac")],
    "api:dataset-files": [Row("post", TRAINERS_DO)],
    "api:dataset-pairs": [Row("post", TRAINERS_DO, {"name": "new", "size": "none"})],
    "api:dataset-turns": [Row("post", TRAINERS_DO, {"turns": []})],
    "api:dataset-ingest": [Row("post", TRAINERS_DO)],
    "api:job-list": [Row("get", ROLES_SEE), Row("post", TRAINERS_DO, {"kind": "nothing"})],
    "api:job-detail": [Row("get", ROLES_SEE), Row("delete", ADMINS_DO)],
    "api:job-cancel": [Row("post", TRAINERS_DO)],
    "api:job-resume": [Row("post", TRAINERS_DO)],
    "api:job-metrics": [Row("get", ROLES_SEE)],
    "api:job-log": [Row("get", ROLES_SEE)],
    "api:job-samples": [Row("get", ROLES_SEE)],
    "api:job-file": [Row("get", "401 403 403 404 404 404 404", query="name=nowhere.txt")],
    "api:job-config-schema": [Row("get", ROLES_SEE)],
    "api:model-list": [Row("get", ROLES_SEE)],
    "api:model-detail": [Row("get", ROLES_SEE)],
    "api:model-promote": [Row("post", ADMINS_DO)],
    "api:model-roll-back": [Row("post", ADMINS_DO, {"kind": "codec", "preset": "hifi"})],
    "api:lab": [Row("post", EVERYONE, {"preset": "hifi"})],
    "api:preferences": [Row("get", LOGGED_IN), Row("patch", LOGGED_IN, {"rate": 1.1})],
    "api:stats": [Row("get", LOGGED_IN)],
    "api:schema": [Row("get", OPEN)],
    "api:docs": [Row("get", OPEN)],
    "api:redoc": [Row("get", OPEN)],
    "api:nowhere": [Row(method, " ".join(["404"] * 7)) for method in ("get", "post", "put", "patch", "delete")],
    "simple-speakers": [Row("get", OPEN)],
    "simple-stats": [Row("get", OPEN)],
    "simple-config": [Row("post", "401 200 404 404 200 404 200", {"session": "{session}", "rate": 1.1})],
    "realtime-client-secrets": [Row("post", "401 403 403 403 403 403 403")],
}

PAGES: dict[str, list[Row]] = {
    **{name: [Row("get", OPEN)] for name in ("talk", "listen", "lab", "about", "history")},
    **{name: [Row("get", "404 200 404 404 404 404 404")] for name in ("history-session", "history-export")},
    "history-delete": [Row("post", "404 302 404 404 404 404 404")],
    "favicon": [Row("get", EVERYONE)],
    "manifest": [Row("get", OPEN)],
    "metrics": [Row("get", "no no no ok ok ok ok")],
    "training-consent": [Row("post", EVERYONE, {"given": "true"})],
    "healthz": [Row("get", OPEN)],
    "readyz": [Row("get", " ".join(["503"] * 7))],
    "login": [Row("get", EVERYONE), Row("post", EVERYONE)],
    "logout": [Row("post", EVERYONE)],
    "set_language": [Row("post", EVERYONE, {"language": "en"})],
    "tokens": [Row("get", "in 200 200 200 200 200 200")],
    "token-revoke": [Row("post", "in 302 404 404 404 404 404")],
    **{
        name: [Row("get", "404 200 404 200 200 200 200")]
        for name in (
            "turn-audio",
            "turn-output",
            "turn-codes",
            "turn-audio-peaks",
            "turn-output-peaks",
            "turn-codes-image",
        )
    },
    **{
        f"training:{name}": [Row("get", VIEWERS_PAGE)]
        for name in (
            "overview",
            "overview-live",
            "datasets",
            "dataset",
            "dataset-live",
            "jobs",
            "job",
            "job-live",
            "job-samples",
            "job-metrics",
            "compare",
            "models",
            "model",
        )
    },
    # files that the world's rows do not have: 404 for who may ask
    **{f"training:{name}": [Row("get", "in no no 404 404 404 404")] for name in ("dataset-audio", "job-file")},
    "training:job-new": [Row("get", TRAINERS_PAGE), Row("post", TRAINERS_PAGE)],
    **{
        f"training:{name}": [Row("post", TRAINERS_PAGE)]
        for name in (
            "dataset-change",
            "dataset-codes",
            "dataset-pairs",
            "dataset-upload",
            "dataset-ingest",
            "job-cancel",
            "job-resume",
            "job-export",
            "job-hear",
            "model-evaluate",
        )
    },
    **{
        f"training:{name}": [Row("post", ADMINS_PAGE)]
        for name in ("dataset-delete", "job-delete", "roll-back", "model-promote")
    },
}

STAFF = "in in in ok ok ok ok"
OPERATING = "in in in no ok no ok"
ADMIN_PAGES: dict[str, list[Row]] = {
    "admin:index": [Row("get", STAFF)],
    "admin:app_list": [Row("get", STAFF)],
    "admin:search": [Row("get", STAFF)],
    "admin:login": [Row("get", EVERYONE)],
    "admin:logout": [Row("post", EVERYONE)],
    "admin:password_change": [Row("get", STAFF)],
    "admin:password_change_done": [Row("get", STAFF)],
    "admin:jsi18n": [Row("get", STAFF)],
    "admin:autocomplete": [
        Row("get", "in in in no no no ok", query="app_label=accounts&model_name=apitoken&field_name=user&term=s")
    ],
    "admin:view_on_site": [Row("get", "in in in 404 404 404 404")],
    "admin/(?P<url>.*)$": [Row("get", "in in in 404 404 404 404")],
    **{
        f"admin:speakers_{model}_{page}": [Row("get", words)]
        for model in ("speaker", "emotion", "voiceblend")
        for page, words in (("import", OPERATING), ("export", STAFF), ("simple_history", STAFF))
    },
    **{
        f"admin:speakers_{model}_process_import": [Row("post", OPERATING)]
        for model in ("speaker", "emotion", "voiceblend")
    },
    # without dials or a voice to hear it with there is nothing to say: 400 for who may ask
    **{
        f"admin:speakers_{model}_audition": [Row("post", "in in in 400 400 400 400")]
        for model in ("speaker", "emotion", "voiceblend")
    },
    "admin:voice_voicesession_timeline": [Row("get", STAFF)],
    "admin:auth_user_password_change": [Row("get", "in in in no no no ok")],
    "admin:console_savedfilter_keep": [
        Row("post", STAFF, {"page": "voice.turn", "name": "good ones", "query": "mark=good"}),
        Row("post", "in in in no no no ok", {"page": "auth.user", "name": "x", "query": "y=z"}),
    ],
    # sita's own filter: nobody else removes it, and she is no staff
    "admin:console_savedfilter_remove": [
        Row("post", "in in in 404 404 404 404", {"page": "voice.turn", "id": "{filter}"})
    ],
}

MODELS: dict[str, tuple[str, str, str, str]] = {
    # what Viewer, Operator, Trainer, Admin may do with a model in the admin: v(iew), a(dd), c(hange), d(elete)
    "speakers.speaker": ("v", "vac", "v", "vac"),
    "speakers.emotion": ("v", "vac", "v", "vac"),
    "speakers.voiceblend": ("v", "vac", "v", "vac"),
    "voice.voicesession": ("v", "vc", "v", "vcd"),
    "voice.turn": ("v", "vcd", "vc", "vcd"),
    "training.dataset": ("v", "v", "v", "v"),
    "training.job": ("v", "v", "v", "v"),
    "training.modelversion": ("v", "v", "v", "v"),
    "training.workerheartbeat": ("v", "v", "v", "vd"),
    "training.devicelease": ("v", "v", "v", "vd"),
    "console.savedfilter": ("", "", "", ""),
    "accounts.apitoken": ("", "", "", "va"),
    "auth.user": ("", "", "", "vacd"),
    "auth.group": ("", "", "", "vacd"),
    "axes.accessattempt": ("", "", "", "vcd"),
    "axes.accesslog": ("", "", "", "vcd"),
    "axes.accessfailurelog": ("", "", "", "vcd"),
}
