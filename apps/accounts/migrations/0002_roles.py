"""The four roles with their permissions (later models' permissions follow after each migration)."""

from __future__ import annotations

from typing import Any

from django.apps import apps as installed
from django.db import migrations


def make_roles(_apps: Any, schema_editor: Any) -> None:
    # Permissions are rows that Django writes only after all migrations; the roles need them now.
    from apps.accounts.roles import sync_roles

    for label in ("speakers", "voice", "training", "accounts", "auth"):
        sync_roles(installed.get_app_config(label), using=schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_tokens_and_kept_answers"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("speakers", "0003_voice_blends"),
        ("training", "0001_initial"),
        ("voice", "0003_marks_faults_response_time"),
    ]

    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
