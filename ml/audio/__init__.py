"""Audio files and signal helpers."""
