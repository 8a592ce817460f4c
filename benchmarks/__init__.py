"""Measurements of the whole on this machine; `make bench`."""
