"""Tests that run the real engines: act, gitlab-ci-local, a browser."""
