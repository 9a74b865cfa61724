"""Localised policy gradients with general utilities, where exact answers are known."""
