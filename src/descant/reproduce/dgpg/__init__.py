"""Yang & Liu (2026), Descent-Guided Policy Gradient."""
