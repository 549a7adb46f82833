"""`tools/check`: every fault of the knowledge base at once."""
