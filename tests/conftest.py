"""Strict arrays for all tests: no silent broadcasting between ranks, and shapes as annotated."""

import os
import sys
from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

TOYS = Path(__file__).parent / "toys"

# The hook checks modules that it sees being imported. Those that only annotate what they must not
# import (configuration, command line, report) are left alone.
CHECKED = (
    *("core", "ops", "nets", "credit", "ascent", "domains", "evaluate.episodes", "testing"),
    *("algorithms._actor_critic", "train.collect", "train.loop", "serve"),
)
assert not any(name.startswith("descant.") for name in sys.modules), "imported before the hook"
install_import_hook([f"descant.{name}" for name in CHECKED], "beartype.beartype")
jax.config.update("jax_numpy_rank_promotion", "raise")
