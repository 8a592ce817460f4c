"""Speech data: the dialogue corpus and what is made from it."""
