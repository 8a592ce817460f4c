"""The Telugu dialogue corpus: files of intents, chains, follow-ups and fallbacks, and their loader."""
