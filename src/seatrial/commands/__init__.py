"""One use case per file; each joins rooms for one command and speaks no click."""
