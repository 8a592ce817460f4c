"""Writes of tokens and kept answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import ApiToken, IdempotentAnswer
from apps.accounts.secrets import TOKEN_PREFIX, new_secret, token_digest

TOKEN_LIFE_MAX = timedelta(days=366)
TOKENS_PER_USER = 50
LAST_USED_STEP = timedelta(minutes=1)
ANSWERS_KEPT = timedelta(days=1)


@transaction.atomic
def token_create(
    *, user: User, name: str, scopes: Sequence[str], expires_at: datetime, now: datetime | None = None
) -> tuple[ApiToken, str]:
    """A new token and its secret, which is nowhere else. Raises ValidationError."""
    moment = now or timezone.now()
    if not moment < expires_at <= moment + TOKEN_LIFE_MAX:
        days = TOKEN_LIFE_MAX.days
        raise ValidationError({"expires_at": _("Choose a time within the next %(days)d days.") % {"days": days}})
    if ApiToken.objects.filter(user=user, revoked_at=None, expires_at__gt=moment).count() >= TOKENS_PER_USER:
        raise ValidationError(_("You have %(n)d tokens already: revoke one first.") % {"n": TOKENS_PER_USER})
    secret = new_secret()
    token = ApiToken(
        user=user,
        name=name,
        digest=token_digest(secret),
        hint=secret[: len(TOKEN_PREFIX) + 6],
        scopes=list(scopes),
        expires_at=expires_at,
    )
    token.full_clean()
    token.save(force_insert=True)
    return token, secret


@transaction.atomic
def token_revoke(*, token: ApiToken, now: datetime | None = None) -> None:
    """From now on the token opens nothing; open sockets that it opened end within a minute."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now or timezone.now())


def token_touch(*, token: ApiToken, now: datetime) -> None:
    """Note the use, at most once a minute: a busy program must not write a row per request."""
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_STEP)
    if token.last_used_at is None or token.last_used_at < now - LAST_USED_STEP:
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)


def answers_clear(*, now: datetime | None = None) -> int:
    """Remove answers kept for longer than a day. Returns how many."""
    return IdempotentAnswer.objects.filter(created_at__lt=(now or timezone.now()) - ANSWERS_KEPT).delete()[0]
