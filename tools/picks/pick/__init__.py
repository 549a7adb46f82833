"""`tools/pick`: a day of a curator in one command."""
