"""Multi-Agent Interpolated Policy Gradients (2024)."""
