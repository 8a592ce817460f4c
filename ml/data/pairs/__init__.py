"""Pairs of spoken questions and answers, made from the dialogue corpus: what the speech-to-speech model learns from."""
