"""Settings: `dev` (default), `test`, `production`; all begin with `base`."""
