"""The demonstration: a pull request from its first push to the served model, on this repository's own pipeline."""
