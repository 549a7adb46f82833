"""The machinery behind the commands in `tools/`."""
