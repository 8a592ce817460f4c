"""Nine ways of speaking as prosody programs. What no program can say (laughter, fillers) is in `extras`."""

from __future__ import annotations

from ml.data.synthesis.prosody import NEUTRAL, Program

PROGRAMS: dict[str, Program] = {
    "neutral": NEUTRAL,
    "happy": Program(
        pitch=2.2, range=1.4, word_rise=2.6, declination=-1.0, final=-1.5, final_curl=2.2, question=6.0, emphasis=1.5,
        rate=1.07, pauses=0.8, energy_db=2.0, tilt_db=1.5, smile=0.035, swell_db=1.5,
    ),
    "laugh": Program(
        pitch=2.6, range=1.4, word_rise=2.4, declination=-3.5, final=-3.0, emphasis=1.2, bounce=1.0, rate=1.02,
        pauses=0.9, energy_db=1.5, breath=0.18, tremor=0.55, smile=0.045, jitter=0.25, tilt_db=0.5,
    ),
    "excited": Program(
        pitch=3.2, range=1.5, word_rise=2.8, peak_at=0.35, declination=-0.5, final=-2.0, question=6.0, emphasis=2.0,
        rate=1.22, pauses=0.55, energy_db=3.5, attack_db=1.5, tilt_db=2.5, smile=0.02, final_length=1.25,
    ),
    "empathy": Program(
        pitch=-2.2, range=0.55, word_rise=1.6, declination=-2.5, final=-1.2, final_curl=-0.8, question=3.0, rate=0.84,
        pauses=1.6, energy_db=-4.5, tilt_db=-5.0, breath=0.40, long_vowels=1.12, final_length=1.7, smile=-0.012,
    ),
    "surprise": Program(
        pitch=2.6, range=1.65, word_rise=1.8, peak_at=0.0, declination=2.5, final=4.0, final_curl=-1.5, question=9.0,
        emphasis=4.0, rate=0.97, pauses=1.2, energy_db=2.5, tilt_db=1.0, final_length=1.75, smile=-0.02,
        attack_db=1.5, breath=0.10,
    ),
    "thinking": Program(
        pitch=-1.0, range=0.45, word_rise=1.4, declination=-0.8, final=0.6, final_curl=0.5, question=2.5, rate=0.87,
        pauses=1.6, word_gaps=0.16, energy_db=-2.0, tilt_db=-2.5, final_length=1.7, word_final_length=1.2,
        swell_db=0.5,
    ),
    "telugu_heavy": Program(
        pitch=0.4, range=1.35, word_rise=4.2, declination=-2.0, final=-4.5, final_curl=1.5, bounce=0.5, rate=0.95,
        energy_db=1.5, long_vowels=1.35, final_length=1.6, word_final_length=1.55, geminates=1.5, tilt_db=1.0,
        accent=1.0, smile=-0.02,
    ),
    "telugu_mild": Program(
        pitch=0.2, range=1.15, word_rise=3.2, declination=-2.2, final=-3.6, final_curl=0.6, rate=0.98, energy_db=0.6,
        long_vowels=1.17, word_final_length=1.27, geminates=1.22, accent=0.45, smile=-0.01,
    ),
}  # fmt: skip
"""Keys in the order of ``EMOTIONS``."""
