"""Training of the S2S model: stages as named recipes, data, losses, trainer."""
