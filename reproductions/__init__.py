"""The science: one folder a reproduction, and what they share in `common`."""
