"""`tools/repro`: runs a notebook, records what it found, and says which records still hold."""
