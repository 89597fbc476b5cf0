"""Continuous delivery for machine-learning models: compare, judge, report, deliver."""

__version__ = "0.1.0"
