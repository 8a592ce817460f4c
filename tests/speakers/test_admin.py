"""Operators edit voices, blends and emotions through the same checks, and cannot break what clients know."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.speakers import audition_admin, samples
from apps.speakers.admin_forms import normalised
from apps.speakers.models import Emotion, Speaker, VoiceBlend
from apps.voice.models import VoiceSession
from tests.support.factories import make_emotion, make_role, make_speaker, open_session

pytestmark = pytest.mark.django_db

SPEAKERS = reverse("admin:speakers_speaker_changelist")


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_role("Operator"))
    return client


@pytest.mark.parametrize("page", ["speaker", "emotion", "voiceblend"])
def test_lists_cost_the_same_for_few_and_many_rows(
    operator: Client, page: str, django_assert_max_num_queries: Any
) -> None:
    address = reverse(f"admin:speakers_{page}_changelist")

    def add(number: int) -> None:
        make_speaker(f"s{number}"), make_emotion(f"e{number}")
        VoiceBlend.objects.create(slug=f"b{number}", name_te="అ", name_en="b", weights={"s0": 0.5, "s1": 0.5})

    add(0), add(1)
    # session, user, permissions (2), saved filters, count, rows (twice: the page's form for the order reads them anew)
    with django_assert_max_num_queries(9) as few:
        assert operator.get(address).status_code == 200
    for number in range(2, 12):
        add(number)
    with django_assert_max_num_queries(len(few.captured_queries)):
        assert operator.get(address, {"q": ""}).context["cl"].result_count == 12


def form(**changes: Any) -> dict[str, Any]:
    return {
        "slug": "arjun",
        "name_te": "అర్జున్",
        "name_en": "Arjun",
        "description": "young, lively",
        "gender": "male",
        "accent": "standard",
        "is_published": "on",
        "pitch_semitones": 0,
        "energy_db": 0,
        "rate": 1,
        "accent_strength": 0,
        **changes,
    }


def test_a_voice_is_added_and_changed_but_keeps_its_slug(operator: Client) -> None:
    operator.post(reverse("admin:speakers_speaker_add"), form())
    arjun = Speaker.objects.get(slug="arjun")
    address = reverse("admin:speakers_speaker_change", args=[arjun.pk])
    assert operator.post(address, form(slug="other", rate=1.2)).status_code == 302
    arjun.refresh_from_db()
    assert (arjun.slug, arjun.rate) == ("arjun", 1.2)


def test_a_value_out_of_range_is_explained(operator: Client) -> None:
    response = operator.post(reverse("admin:speakers_speaker_add"), form(rate=9))
    assert response.status_code == 200
    assert "rate" in response.context["adminform"].form.errors
    assert not Speaker.objects.exists()


def test_a_change_is_heard_by_the_live_sessions_that_use_the_voice(
    operator: Client, django_capture_on_commit_callbacks: Any
) -> None:
    arjun, other = make_speaker("arjun"), make_speaker("ravi")
    using, not_using = open_session(speaker="arjun").session, open_session(speaker="ravi").session
    address = reverse("admin:speakers_speaker_change", args=[arjun.pk])
    with django_capture_on_commit_callbacks(execute=True):
        operator.post(address, form(pitch_semitones=3))
    events = dict(VoiceSession.objects.values_list("pk", "event_seq"))
    assert events == {using.pk: using.event_seq + 1, not_using.pk: not_using.event_seq}
    assert other.pk


def test_voices_are_withdrawn_and_published_not_deleted(operator: Client) -> None:
    speaker, emotion = make_speaker(), make_emotion()
    for page, row, model in [("speaker", speaker, Speaker), ("emotion", emotion, Emotion)]:
        address = reverse(f"admin:speakers_{page}_changelist")
        for action, published in [("withdraw", False), ("publish", True)]:
            operator.post(address, {"action": action, "_selected_action": [row.pk]})
            assert model._default_manager.get().is_published is published
        assert operator.post(reverse(f"admin:speakers_{page}_delete", args=[row.pk])).status_code == 403


def test_dragging_stores_the_order(operator: Client) -> None:
    first, second = make_speaker("first", order=0), make_speaker("second", order=1)
    rows = {"form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 2, "_save": "1"}
    for at, (row, order) in enumerate([(first, 1), (second, 0)]):
        rows |= {f"form-{at}-id": row.pk, f"form-{at}-order": order}
    assert operator.post(SPEAKERS, rows).status_code == 302
    assert list(Speaker.objects.values_list("slug", flat=True)) == ["second", "first"]


def test_history_says_who_and_what_and_leads_back(operator: Client) -> None:
    arjun = make_speaker("arjun", rate=1.0)
    address = reverse("admin:speakers_speaker_change", args=[arjun.pk])
    operator.post(address, form(rate=1.5))
    page = operator.get(reverse("admin:speakers_speaker_history", args=[arjun.pk])).text
    assert "operator" in page
    assert "1.5" in page
    first = arjun.history.earliest()
    back = reverse("admin:speakers_speaker_simple_history", args=[arjun.pk, first.pk])
    assert operator.get(back).status_code == 200
    assert operator.post(back, form(rate=1.0)).status_code == 302
    arjun.refresh_from_db()
    assert arjun.rate == 1.0
    assert [row.rate for row in arjun.history.all()] == [1.0, 1.5, 1.0]


# --- blends --------------------------------------------------------------------------------------------------------


def test_a_blend_is_made_with_dials_and_adds_up(operator: Client) -> None:
    for slug in ("arjun", "priya", "ravi"):
        make_speaker(slug)
    data = {"slug": "mix", "name_te": "మిశ్రమం", "name_en": "Mix", "is_published": "on"}
    add = reverse("admin:speakers_voiceblend_add")
    response = operator.post(add, data | {"share_arjun": 30})
    assert response.status_code == 200  # one voice is no blend, and the form says so
    assert not VoiceBlend.objects.exists()
    assert operator.post(add, data | {"share_arjun": 30, "share_priya": 60}).status_code == 302
    blend = VoiceBlend.objects.get()
    assert blend.weights == {"arjun": 0.3333, "priya": 0.6667}
    shown = operator.get(reverse("admin:speakers_voiceblend_change", args=[blend.pk])).context["adminform"].form
    assert shown.fields["share_priya"].initial == 66.7


@pytest.mark.parametrize("shares", [{"a": 1, "b": 1, "c": 1}, {"a": 99, "b": 0.5}, {f"v{n}": 7 for n in range(7)}])
def test_shares_add_up_to_one(shares: dict[str, float]) -> None:
    assert sum(normalised(shares).values()) == pytest.approx(1, abs=1e-9)


# --- by ear --------------------------------------------------------------------------------------------------------


def test_each_emotion_of_a_voice_can_be_heard_where_there_is_a_recording(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker = make_speaker("priya")
    make_emotion("happy"), make_emotion("sad")
    monkeypatch.setattr(samples, "_sample_name", lambda f, s, e: f"{f}/{s}-{e}.opus" if e == "happy" else None)
    page = operator.get(reverse("admin:speakers_speaker_change", args=[speaker.pk])).text
    assert 'data-src="/static/voice/samples/priya-happy.opus"' in page
    assert page.count("data-src=") == 1
    assert page.count("volume_off") == 1


def test_what_the_form_says_can_be_heard_before_it_is_saved(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the model; that it answers: `tests/browser/test_voices.py`."""
    heard: list[dict[str, Any]] = []
    monkeypatch.setattr(audition_admin, "audition", lambda **asked: heard.append(asked) or b"RIFF")
    priya, happy = make_speaker("priya", rate=1.1), make_emotion("happy")
    make_speaker("arjun", gender="male")
    address = reverse("admin:speakers_speaker_audition")
    answer = operator.post(address, {"object": priya.pk, "with": "happy", "pitch_semitones": "4.5", "slug": "x"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "audio/wav")
    assert "no-store" in answer["Cache-Control"]
    voice = heard[-1]["speaker"]
    assert (voice.slug, voice.pitch_semitones, voice.rate, heard[-1]["emotion"]) == ("priya", 4.5, 1.1, happy)
    assert operator.post(address, {"with": "happy", "gender": "male"}).status_code == 200  # a new one
    assert heard[-1]["speaker"].gender == "male"
    emotion = {"object": happy.pk, "with": "arjun", "default_intensity": "0.5"}
    assert operator.post(reverse("admin:speakers_emotion_audition"), emotion).status_code == 200
    assert (heard[-1]["speaker"].slug, heard[-1]["emotion"].default_intensity) == ("arjun", 0.5)
    blend = {"with": "happy", "share_priya": "60", "share_arjun": "20"}
    assert operator.post(reverse("admin:speakers_voiceblend_audition"), blend).status_code == 200
    assert heard[-1]["blend"].weights == {"priya": 0.75, "arjun": 0.25}
    priya.refresh_from_db()
    assert priya.pitch_semitones == 0


@pytest.mark.parametrize(
    ("page", "asked", "status"),
    [
        ("speaker", {}, 400),
        ("speaker", {"with": "happy", "pitch_semitones": "99"}, 400),
        ("speaker", {"with": "happy", "rate": "fast"}, 400),
        ("speaker", {"with": "happy", "gender": "robot"}, 400),
        ("emotion", {"with": "nobody"}, 400),
        ("voiceblend", {"with": "happy", "share_priya": "60"}, 400),
        ("speaker", {"with": "happy", "object": "x"}, 503),  # all is well but that no server answers
    ],
)
def test_what_cannot_be_heard_is_explained(
    operator: Client, settings: Any, tmp_path: Any, page: str, asked: dict[str, str], status: int
) -> None:
    settings.INFERENCE_URLS = [f"unix://{tmp_path}/nobody.sock"]
    settings.REDIS_URL = None
    make_speaker("priya"), make_emotion("happy")
    answer = operator.post(reverse(f"admin:speakers_{page}_audition"), asked)
    assert answer.status_code == status
    assert answer.json()["detail"]


# --- import and export ---------------------------------------------------------------------------------------------


def bring_in(client: Client, name: str, content: str, format_index: int) -> Any:
    """Upload, look at the preview, confirm. Returns the preview's result."""
    address = reverse("admin:speakers_speaker_import")
    upload = SimpleUploadedFile(name, content.encode())
    response = client.post(address, {"import_file": upload, "format": format_index, "resource": ""})
    assert response.status_code == 200
    preview = response.context.get("result")
    confirm = response.context.get("confirm_form")
    if confirm is not None:
        data = {key: value for key, value in confirm.initial.items() if value is not None}
        assert client.post(reverse("admin:speakers_speaker_process_import"), data).status_code == 302
    return preview


def test_configuration_goes_out_and_comes_back_as_csv_and_json(
    operator: Client, settings: Any, tmp_path: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    make_speaker("priya", rate=1.1)
    using = open_session(speaker="priya").session
    for index, name in enumerate(("v.csv", "v.json")):
        data = {"format": index, "resource": "", "speakerresource_id": ""}
        fields = ["slug", "name_te", "name_en", "description", "gender", "accent", "pitch_semitones", "energy_db"]
        fields += ["rate", "accent_strength", "order", "is_published"]
        out = operator.post(
            reverse("admin:speakers_speaker_export"), data | {f"speakerresource_{f}": "on" for f in fields}
        )
        assert out.status_code == 200, out.content
        text = out.content.decode()
        assert "ప్రియ" in (text if index == 0 else json.dumps(json.loads(text), ensure_ascii=False))
        unchanged = bring_in(operator, name, text, index)
        assert unchanged.totals["skip"] == 1
        changed = text.replace(f"1.{index + 1}", f"1.{index + 2}")
        with django_capture_on_commit_callbacks(execute=True):
            assert bring_in(operator, name, changed, index).totals["update"] == 1
        assert Speaker.objects.get().rate == float(f"1.{index + 2}")
    assert Speaker.objects.get().history.first().history_user.username == "operator"
    using.refresh_from_db()
    assert using.event_seq == 2  # as with every other change, live sessions heard of it: once per change


def test_an_import_that_breaks_a_rule_is_refused_with_the_field(operator: Client, settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    head = "slug,name_te,name_en,gender,accent,rate\n"
    result = bring_in(operator, "v.csv", head + "one,ఒకటి,One,male,standard,9\n", 0)
    assert result.has_validation_errors()
    assert "rate" in result.invalid_rows[0].error.message_dict
    assert not Speaker.objects.exists()


def test_viewers_take_out_but_do_not_bring_in(client: Client) -> None:
    client.force_login(make_role("Viewer"))
    assert client.get(reverse("admin:speakers_speaker_export")).status_code == 200
    assert client.get(reverse("admin:speakers_speaker_import")).status_code == 403
    assert client.post(reverse("admin:speakers_speaker_process_import")).status_code == 403
