"""Strict arrays for all tests: shapes as annotated, and no silent broadcasting between ranks."""

import os
import sys
from pathlib import Path

# Compiled programs are kept from one session to the next, in a folder of this user alone.
PROGRAMS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "descant" / "tests"
PROGRAMS.mkdir(parents=True, mode=0o700, exist_ok=True)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(PROGRAMS))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

import jax
from jaxtyping import install_import_hook

# The hook sees modules as they are imported. Those that only annotate what they must not import
# (configurations, command line, report) are left alone.
CHECKED = (
    *("core", "ops", "nets", "credit", "ascent", "testing", "serve"),
    *(
        f"domains.cloud.{name}"
        for name in ("barrier", "bound", "build", "env", "model", "rules", "workload")
    ),
    *("domains.balance.world", "domains.balance.exact", "evaluate.noise", "evaluate.variance"),
    *("domains.voter.world", "domains.voter.exact", "domains.tables.world"),
    *("domains.epidemic.world", "domains.line_message.world", "domains.wireless.world"),
    *("evaluate.enumerated", "evaluate.decay", "evaluate.ceiling", "evaluate.rollouts"),
    *("reproduce._compare.work", "reproduce.maipg._noise"),
    *("domains.traffic.world", "domains.pistonball.world"),
    *("domains.matrix.game", "domains.matrix.payoffs"),
    *(f"domains.particle.{name}" for name in ("assignment", "physics", "rules", "tasks", "world")),
    *("bridges.gymnasium", "bridges.jaxmarl", "bridges.pettingzoo", "bridges.rows"),
    *(f"algorithms._{name}" for name in ("actor_critic", "action_critic", "judges", "value")),
    *("train.collect", "train.loop", "evaluate.episodes"),
    *("algorithms._localised", "algorithms._localised_actors", "evaluate.objectives"),
    *("evaluate.layout", "evaluate.networks"),
)
assert not any(name.startswith("descant.") for name in sys.modules), "imported before the hook"
install_import_hook([f"descant.{name}" for name in CHECKED], "beartype.beartype")

# [T, E] + [T, E, N] is the classic silent bug of this field: ranks must be matched by hand.
jax.config.update("jax_numpy_rank_promotion", "raise")
# Tests compile much and run little; laws about bits compile as training does.
jax.config.update("jax_disable_most_optimizations", True)
