"""The site: Markdown pages generated from the knowledge base and the recorded runs, built by MkDocs."""
