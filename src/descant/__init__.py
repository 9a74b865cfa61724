"""Cooperative multi-agent policies guided by the analytic model people in a field already have."""

__version__ = "0.1.0"
