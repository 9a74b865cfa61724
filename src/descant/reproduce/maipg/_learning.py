"""Many small games learnt side by side, by MAIPG itself, in one compiled program."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from descant.algorithms import _settings, maipg, mappo
from descant.core.types import Key, PyTree, Scalar
from descant.credit.schedules import Given
from descant.domains import matrix
from descant.domains.matrix.payoffs import payoffs
from descant.reproduce.maipg._games import Mixer
from descant.train.loop import Plan, Run, begin, iterate, plan

BATCH = 64
"""Plays of a game in an update."""


def settings(mixer: Mixer) -> maipg.Config:
    """Policies that are tables, one gradient step an update; networks of the value are small, for
    there is no state to tell apart."""
    base = mappo.Config(
        net="linear",
        order="together",
        spread=1.0,
        minibatch=BATCH,
        rate=0.02,
        critic_rate=0.02,
        entropy=0.0,
        entropy_stop=0.0,
        trust=None,
    )
    critic = _settings.Critic(hidden=16, depth=1)
    return maipg.Config(base=base, critic=critic, mixer=mixer, embed=8)


def learn(
    *,
    worlds: Sequence[matrix.Config],
    mixer: Mixer,
    spreads: Sequence[float],
    weights: Sequence[float],
    seeds: int,
    updates: int,
) -> dict[str, Any]:
    """What greedy joint actions pay after training, and how likely they are, by spread, game, seed
    and weight; all four are data of one program. Equal seeds begin alike at every weight.

    Games must be of one size.
    """
    domains = [matrix.make(world) for world in worlds]
    at = maipg.weighted(settings(mixer), domains[0])

    def one(spread: Scalar, game: PyTree, weight: Scalar, key: Key) -> tuple[Scalar, Scalar]:
        algorithm = at(Given(level=weight))
        what = plan(algorithm, game, rollouts=BATCH, steps=0, iterations=updates)
        run, _ = jax.lax.scan(
            lambda run, index: (iterate(what, run, key, index)[0], None),
            _spread(begin(what, key), spread),
            jnp.arange(updates),
        )
        return _outcome(what, run)

    games = jax.tree.map(lambda *x: jnp.stack(x), *(domain.env for domain in domains))
    keys = jax.random.split(jax.random.key(0), (len(worlds), seeds))
    shape = len(spreads), len(worlds), seeds, len(weights)
    spread, game, seed, weight = np.indices(shape).reshape(4, -1)
    found = jax.jit(jax.vmap(one))(
        jnp.asarray(spreads)[spread],
        jax.tree.map(lambda x: x[game], games),
        jnp.asarray(weights)[weight],
        keys[game, seed],
    )
    pays, chance = (np.asarray(x, np.float64).reshape(shape).tolist() for x in found)
    best = [float(payoffs(world).max()) for world in worlds]
    return {"pays": pays, "chance": chance, "best": best}


def _spread(run: Run, spread: Scalar) -> Run:
    """The run with initial biases of this deviation instead of 1."""
    actor = run.learner.actor
    net = replace(actor.net, bias=spread * actor.net.bias)
    return run._replace(learner=replace(run.learner, actor=replace(actor, net=net)))


def _outcome(what: Plan, run: Run) -> tuple[Scalar, Scalar]:
    """What the greedy joint action pays, and how likely it is."""
    key = jax.random.key(0)
    state, observation = what.env.reset(key)
    policy = what.algorithm.policy(run.learner)
    action = policy.best(observation)
    reward = what.env.step(key, state, action)[1].reward
    return reward, jnp.exp(jnp.sum(policy.assess(observation, action).log_prob))
