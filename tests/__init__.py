"""All tests; README.md in this folder says what each kind may touch."""
