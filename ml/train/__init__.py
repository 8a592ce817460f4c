"""Training of the models, resumable in slices."""
