"""Comparison → drawings that need no service: Unicode bars and Mermaid."""
