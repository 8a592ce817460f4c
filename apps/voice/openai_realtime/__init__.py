"""``/v1/realtime``: the OpenAI Realtime protocol (GA names), so that its clients talk to our model unchanged.

An adapter over the same :class:`~apps.voice.live_session.LiveSession` as the native and the simple protocol. One
module per concern: client events (`client_events`), what we send (`server_events`), session configuration
(`session`), audio formats (`audio`), input buffer (`buffer`), conversation items (`items`), responses (`responses`),
silence that is answered (`idle`);
`adapter` ties them to the session, `consumer` to the socket. What is supported: ``docs/openai-realtime.md``.
"""
