"""Model versions can be looked at."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.training.services import heartbeat_record, model_version_register
from tests.support.factories import make_user

pytestmark = pytest.mark.django_db


def test_pages_show_and_do_not_edit(client: Client) -> None:
    client.force_login(make_user("operator", is_staff=True, is_superuser=True))
    row = model_version_register(
        kind="codec", preset="hifi", version="0.1.0", file="f", sha256="ab" * 32, card={"metrics": {"stoi": 0.91}}
    )
    heartbeat_record(queue="io", worker="worker@host")
    assert "hifi@abababababab" in client.get(reverse("admin:training_modelversion_changelist")).text
    address = reverse("admin:training_modelversion_change", args=[row.pk])
    assert "0.91" in client.get(address).text
    assert client.post(address, {"stage": "retired"}).status_code == 403
    assert "worker@host" in client.get(reverse("admin:training_workerheartbeat_changelist")).text
