"""Measurement of models on held-out audio."""
