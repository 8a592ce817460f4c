"""Other people's clients, unmodified; run by tests/live/test_realtime_clients.py, each in its own environment."""
