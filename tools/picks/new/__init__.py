"""`tools/new`: starts a reproduction."""
