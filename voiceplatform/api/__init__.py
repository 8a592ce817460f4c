"""What every REST resource shares: access, errors, pages, throttles, ETags, idempotency, schema.

A resource is a module ``api.py`` of its app: filters, serializers, viewsets, and ``register(router)``, which
:mod:`voiceplatform.api.urls` calls. ``apps/speakers/api.py`` is the one to read first.
"""
