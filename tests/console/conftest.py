from tests.voice.conftest import media

__all__ = ["media"]
