"""The simple protocol: JSON with base64 audio at ``/ws``, and ``/config``, ``/stats``, ``/speakers`` beside it.

For clients that want no binary frames, no clock and no resume. An adapter over the same :class:`LiveSession` as the
native protocol: what it cannot say, it does not need.
"""
