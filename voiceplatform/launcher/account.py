"""The operator account of a fresh installation."""

import secrets

from django.contrib.auth import get_user_model
from django.db import transaction

OPERATOR = "operator"


@transaction.atomic
def ensure_operator() -> str | None:
    """Create the operator (staff, superuser) unless an account of that name exists.

    Returns:
        The generated password, to be shown once, or None when nothing was created.
    """
    users = get_user_model().objects
    if users.filter(username=OPERATOR).exists():
        return None
    password = secrets.token_urlsafe(12)
    users.create_superuser(username=OPERATOR, email=None, password=password)
    return password
