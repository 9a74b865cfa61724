r"""How noisy one agent's policy gradient is, and whose noise it is.

Several algorithms are asked about the same decisions: a policy meets worlds under way, and each
algorithm says what every decision adds to the gradient of the shared weights. For single agents,

* the variance of that gradient, and its parts by the law of total variance: the **world** (start
  state and noise of the environment), the agent's **own** chance, and the **others'** chance, with
  common random numbers: all but the others' draws is held still while those are drawn anew;
* signal to noise, $|\mathbb{E} g|^2 / \mathrm{Var}\, g$, where $|\mathbb{E} g|^2$ is estimated from
  products of different worlds (the squared mean of a sample is too large by variance / samples);
* the learning part $g_J$ and the guidance part $g_G$ apart, their correlation $\rho$, and the
  variance of $(1 - \alpha) g_J - \alpha g_G$ as Theorem 4.2 of Yang & Liu (2026) predicts it and as
  it is; the prediction is made from one half of the worlds, the measurement from the other.

    from descant.evaluate import variance

    records = []
    for servers in (5, 10, 20, 50, 100):
        domain, estimators = variance.estimators("cloud", {"domain.servers": servers})
        records.append(variance.measure(domain, estimators, samples=48))  # JSON-able
    found = variance.slopes(records)
    print(found["mappo"]["snr"])  # {"slope": -1.1, "low": ..., "high": ..., "sizes": [...]}
    print(variance.table(records))  # rows of plain values, one per size and estimator

`estimators` builds the five (IPPO, MAPPO, DG-PG sampled, expected, exact) around one policy, which
may be trained for some iterations first (`iterations=3`). Any other algorithms do, too, as long as
they are at the same policy: `measure(domain, {"mine": (algorithm, learner)})`.

**What signals are measured in.** Algorithms standardise advantages and slopes by their batch. In a
window of few ticks this would make noise (the divisor is random) and hide it (all agents share the
advantage of a tick: standardised by itself it is always zero). So the numbers come from a
calibration batch, once, and are held still; that is what a large training batch comes to. Signal to
noise, shares and correlations do not depend on the unit, and absolute variances across sizes say
little, as rewards are divided by N in some domains.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from descant.core import discovery
from descant.core.algorithm import (
    OVER_TICKS,
    AbstractAlgorithm,
    AbstractPolicy,
    Assessment,
    each_tick,
)
from descant.core.domain import Domain, Rule
from descant.core.env import AbstractEnv
from descant.core.errors import UserError, nearest
from descant.core.types import Key, Keys, Observation, PyTree, Rollout
from descant.evaluate.noise import Moments, agreement, record_of
from descant.evaluate.noise import slopes as slopes
from descant.evaluate.noise import table as table
from descant.train.collect import Worlds
from descant.train.loop import begin, iterate, plan
from descant.train.settings import defaults, with_values
from descant.train.trained import make

Estimators = Mapping[str, tuple[AbstractAlgorithm, PyTree]]
"""Algorithms with a learner each, by name; their policies are equal."""

ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
FIVE = {
    "ippo": ("ippo", {}),
    "mappo": ("mappo", {}),
    "dgpg-sampled": ("dgpg", {"algorithm.guidance": "sampled"}),
    "dgpg-expected": ("dgpg", {"algorithm.guidance": "expected"}),
    "dgpg-exact": ("dgpg", {"algorithm.guidance": "exact"}),
}
"""Published and own estimators: algorithm and settings of each."""
BLOCKS = 16
"""Blocks of worlds: products of different blocks give squared means, resampled blocks intervals."""
ROOM = 2**26
"""Numbers that gradients of draws side by side may hold at once (256 MiB), roughly."""


@dataclass(frozen=True)
class Design:
    """What is drawn and what is asked."""

    samples: int
    """Worlds; a multiple of 16."""
    steps: int
    """Ticks of a window; rewards beyond it are the critic's guess."""
    warm: int
    """Ticks played before the window opens."""
    agents: int
    """Agents asked, at even positions among those who act when the window opens."""
    play: str | None
    """Rule played before the window; the policy itself if none."""
    alphas: tuple[float, ...]
    """Guidance weights."""

    def validate(self, domain: Domain) -> None:
        """Check values against a domain.

        Raises:
            UserError: a value is out of its range, or there is no such rule.
        """
        spec = domain.env.spec
        if self.samples < 2 * BLOCKS or self.samples % BLOCKS:
            raise UserError(
                f"samples: expected a multiple of {BLOCKS} from {2 * BLOCKS} on, "
                f"got {self.samples}."
            )
        for name, least in (("steps", 1), ("warm", 0), ("agents", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name}: expected at least {least}, got {getattr(self, name)}.")
        if self.warm + self.steps > spec.horizon:
            raise UserError(
                f"warm + steps: {self.warm} + {self.steps} ticks do not fit in an episode of "
                f"{spec.horizon}."
            )
        if self.agents > spec.agents:
            raise UserError(f"agents: the domain has {spec.agents}, got {self.agents}.")
        if self.play is not None and self.play not in domain.rules:
            known = list(domain.rules)
            raise UserError(
                f"play: there is no rule called {self.play!r}.{nearest(self.play, known)} "
                f"Known: {', '.join(known)}."
            )
        for alpha in self.alphas:
            if not 0 <= alpha <= 1:
                raise UserError(f"alphas: expected 0 to 1, got {alpha}.")


def measure_noise(
    domain: Domain, algorithm: AbstractAlgorithm, learner: PyTree, **options: Any
) -> dict[str, Any]:
    """The record of one algorithm, as `measure` gives it under its name."""
    name = "algorithm"
    return measure(domain, {name: (algorithm, learner)}, **options)["estimators"][name]


def measure(
    domain: Domain,
    estimators: Estimators,
    *,
    samples: int = 64,
    steps: int = 4,
    warm: int = 100,
    agents: int = 2,
    play: str | None = None,
    alphas: Sequence[float] = ALPHAS,
    seed: int = 0,
) -> dict[str, Any]:
    """Noise of per-agent gradients of several algorithms at one policy, on the same draws.

    Args:
        domain: where.
        estimators: algorithms with learners; all policies must be equal.
        samples: worlds, a multiple of 16; each gives four gradients of each agent.
        steps: ticks of a window.
        warm: ticks played before it opens.
        agents: agents asked, at even positions among those who act when the window opens.
        play: the rule played before; the policy itself if none.
        alphas: guidance weights to mix at.
        seed: of everything random here.

    Returns:
        Plain values: sizes and options, and under `estimators` a record for each. `learning`,
        `guidance` (None without a model) and each of `mixtures` have `variance`, `signal`
        (|mean|^2), `snr`, `shares` (`world`, `own`, `others`), `shared_snr` (squared mean of all
        who act, against the noise of one) and `team_snr` (of their mean), each with `low` and
        `high`; beside them are `correlation` (of the two parts, sample by sample), `cosine` (of
        what the return teaches on average and the way down the model) and `theorem`. `agreement`
        has cosines between the mean guidance of different algorithms.

    Raises:
        UserError: a value cannot be used, or policies differ.
    """
    design = Design(samples, steps, warm, agents, play, tuple(float(a) for a in alphas))
    design.validate(domain)
    policy = _common_policy(estimators)
    bench = Bench(domain, design, {name: algorithm for name, (algorithm, _) in estimators.items()})
    learners = {name: learner for name, (_, learner) in estimators.items()}
    moments, between = _moments(bench, policy, learners, jax.random.key(seed))
    spec = domain.env.spec
    return {
        "domain": domain.name,
        "agents": spec.agents,
        "actions": spec.actions,
        "entities": spec.entities,
        "asked": agents,
        "samples": samples,
        "steps": steps,
        "warm": warm,
        "play": play,
        "seed": seed,
        "parameters": sum(x.size for x in jax.tree.leaves(eqx.filter(policy, eqx.is_array))),
        "estimators": {
            name: record_of(moment, design.alphas, seed) for name, moment in moments.items()
        },
        "agreement": agreement(list(moments), between),
    }


def _common_policy(estimators: Estimators) -> AbstractPolicy:
    policies = [algorithm.policy(learner) for algorithm, learner in estimators.values()]
    if not policies:
        raise UserError("estimators: expected at least one algorithm.")
    for name, other in zip(estimators, policies, strict=True):
        if not eqx.tree_equal(policies[0], other):
            raise UserError(
                f"estimators: the policy of {name!r} is not that of {next(iter(estimators))!r}; "
                "noise is compared at one policy."
            )
    if policies[0].begin() is not None:
        raise UserError("estimators: agents that remember are not measured; take another network.")
    return policies[0]


def _start(
    env: AbstractEnv, play: Rule, warm: int, agents: int, key: Key
) -> tuple[Worlds, Int[Array, " I"]]:
    """A world under way, and the agents to ask."""
    reset_key, warm_key = jax.random.split(key)

    def tick(worlds, key):
        act_key, step_key, again_key = jax.random.split(key, 3)
        action = play(worlds.state, worlds.observation, act_key)
        state, step = env.step(step_key, worlds.state, action)
        after = Worlds(state, step.observation)
        if env.spec.fixed:
            return after, None
        over = step.terminated | step.truncated
        return jax.lax.cond(over, lambda _: Worlds(*env.reset(again_key)), lambda x: x, after), None

    worlds = Worlds(*env.reset(reset_key))
    worlds = jax.lax.scan(tick, worlds, jax.random.split(warm_key, warm))[0]
    active = worlds.observation.active
    order = jnp.argsort(~active)
    position = (jnp.arange(agents) + 0.5) / agents * jnp.sum(active)
    return worlds, order[position.astype(jnp.int32)]


def _roll(
    env: AbstractEnv,
    policy: AbstractPolicy,
    estimators: Estimators,
    start: Worlds,
    key: Key,
    levels: Float[Array, "T N"],
) -> dict[str, Rollout]:
    """The window that follows when agents draw at these levels; one scenario, [T, 1, ...]."""

    def tick(carry, now):
        worlds, over = carry
        key, level = now
        state, observation = worlds
        observation = _with_active(observation, observation.active & ~over)
        observation = policy.informed(state, observation)
        action, log_prob = policy.draw(observation, level)
        extras = {
            name: {
                "probes": {n: probe(state, action, key) for n, probe in algorithm.probes.items()},
                "context": algorithm.context(state),
            }
            for name, (algorithm, _) in estimators.items()
        }
        state, step = env.step(key, state, action)
        kept = {
            "observation": observation,
            "action": action,
            "log_prob": log_prob,
            "reward": jnp.where(over, 0.0, step.reward),
            "terminated": step.terminated | over,
            "truncated": step.truncated,
            "diagnostics": {},
        }
        over = over | step.terminated | step.truncated
        return (Worlds(state, step.observation), over), (kept, extras, step.observation)

    keys = jax.random.split(key, levels.shape[0])
    kept, extras, following = jax.lax.scan(tick, (start, jnp.bool_(False)), (keys, levels))[1]
    rollouts = {}
    for name, (algorithm, learner) in estimators.items():
        value = jax.vmap(algorithm.value, in_axes=(None, 0))
        own = kept | extras[name]
        own |= {
            "value": value(learner, kept["observation"]),
            "bootstrap": value(learner, following),
        }
        rollouts[name] = Rollout(**jax.tree.map(lambda x: x[:, None], own))
    return rollouts


def _with_active(observation: Observation, active: Array) -> Observation:
    return eqx.tree_at(lambda o: o.active, observation, active)


@dataclass(frozen=True, eq=False)
class Bench:
    """What is asked, where; its methods are compiled once and used again and again."""

    domain: Domain
    design: Design
    algorithms: dict[str, AbstractAlgorithm]

    @property
    def draws(self) -> int:
        """Windows of one world: four for each agent asked, two for everybody."""
        return 4 * self.design.agents + 2

    @property
    def fitting(self) -> int:
        """Windows that fit in memory side by side."""
        spec = self.domain.env.spec
        each = self.design.steps * spec.agents * max(spec.entities, spec.actions) * 64
        return max(1, ROOM // each)

    @property
    def together(self) -> int:
        """Worlds of one call: a divisor of a block that fits."""
        block = self.design.samples // BLOCKS
        most = max(1, self.fitting // self.draws)
        return max(n for n in range(1, block + 1) if block % n == 0 and n <= most)

    @partial(jax.jit, static_argnums=0)
    def open(self, policy: AbstractPolicy, keys: Keys) -> tuple[Worlds, Int[Array, "E I"]]:
        """Worlds under way, and the agents to ask."""
        design = self.design

        def play(state, observation, key):
            if design.play is not None:
                return self.domain.rules[design.play](state, observation, key)
            return policy.sample(policy.informed(state, observation), key)[0]

        def one(key):
            return _start(self.domain.env, play, design.warm, design.agents, key)

        return jax.vmap(one)(keys)

    @partial(jax.jit, static_argnums=0)
    def roll(
        self, learners: dict[str, PyTree], worlds: Worlds, asked: Int[Array, "E I"], keys: Keys
    ) -> dict[str, Rollout]:
        """Windows of worlds, [E, draws, T, 1, ...]: for each agent asked two draws of its own
        chance, and for each of them two of the others'; at last two of everybody's."""
        env, design = self.domain.env, self.design
        slots = env.spec.agents
        first = next(iter(self.algorithms))
        policy = self.algorithms[first].policy(learners[first])
        estimators = {n: (a, learners[n]) for n, a in self.algorithms.items()}

        def levels(asked, key):
            own_key, other_key, all_key = jax.random.split(key, 3)
            shape = (design.agents, 2, 2, design.steps, slots)
            own = jax.random.uniform(own_key, (*shape[:2], 1, design.steps, 1))
            others = jax.random.uniform(other_key, shape)
            mine = (jnp.arange(slots)[None] == asked[:, None])[:, None, None, None]
            each = jnp.where(mine, own, others).reshape(-1, design.steps, slots)
            whole = jax.random.uniform(all_key, (2, design.steps, slots))
            return jnp.concatenate([each, whole])

        def one(now):
            index, key, levels = now
            start = jax.tree.map(lambda x: x[index], worlds)
            return _roll(env, policy, estimators, start, key, levels)

        roll_keys, level_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        drawn = jax.vmap(levels)(asked, level_keys)
        index = jnp.repeat(jnp.arange(keys.shape[0]), self.draws)
        rows = (index, roll_keys[index], drawn.reshape(-1, design.steps, slots))
        out = _mapped(one, rows, min(self.fitting, index.shape[0]))
        count = keys.shape[0]
        return jax.tree.map(lambda x: x.reshape(count, self.draws, *x.shape[1:]), out)

    @partial(jax.jit, static_argnums=0)
    def freeze(
        self, learners: dict[str, PyTree], rollouts: dict[str, Rollout]
    ) -> dict[str, AbstractAlgorithm]:
        """Algorithms that normalise with these windows, [E, draws, T, 1, ...], for good."""

        def flat(x):
            return jnp.moveaxis(_merged(x)[:, :, 0], 0, 1)

        return {
            name: algorithm.frozen(learners[name], jax.tree.map(flat, rollouts[name]))
            for name, algorithm in self.algorithms.items()
        }

    @partial(jax.jit, static_argnums=0)
    def products(
        self,
        frozen: dict[str, AbstractAlgorithm],
        learners: dict[str, PyTree],
        rollouts: dict[str, Rollout],
        asked: Int[Array, "E I"],
    ) -> tuple[Array, Array, Array, Array]:
        """Means over worlds of the inner products of `Moments`, [I + 1, algorithms, P, P], and of
        gradients, [I + 1, algorithms, P, X]."""
        agents = self.design.agents
        # Dictionaries leave compiled functions in another order; the bench's order counts.
        names = list(self.algorithms)
        policy = frozen[names[0]].policy(learners[names[0]])

        def by_name(rollouts):
            return [(frozen[n], learners[n], rollouts[n]) for n in names]

        def of_one(now):
            rollouts, agent = now
            return _gradients(policy, by_name(rollouts), agent)

        def of_all(rollouts):
            return _gradients(policy, by_name(rollouts), None)

        def flat(cut):
            return jax.tree.map(lambda x: _merged(x[:, cut]), rollouts)

        who = jnp.repeat(asked.reshape(-1), 4)
        fits = self.fitting
        g = jax.lax.map(of_one, (flat(slice(0, -2)), who), batch_size=min(len(who), fits))
        g = g.reshape(-1, agents, 2, 2, *g.shape[1:])
        # All agents' rows are pulled back once for each algorithm and part.
        fits = max(1, fits // (2 * len(names)))
        t = jax.lax.map(of_all, flat(slice(-2, None)), batch_size=min(2 * len(asked), fits))
        t = t.reshape(-1, 2, *t.shape[1:])
        # Of everybody nothing can be held still: the second draw is all drawn anew.
        one, everybody = inner(g), inner(jnp.stack([t, t], axis=2)[:, None])
        same, own, world, mean = (
            jnp.concatenate(both) for both in zip(one, everybody, strict=True)
        )
        return same, own, world, mean


def _mapped(function: Callable, xs: PyTree, size: int) -> PyTree:
    """`jax.lax.map` in batches; it cannot lay out results that have nothing in them, such as the
    entities of a world without any."""
    each = jax.eval_shape(function, jax.tree.map(lambda x: x[0], xs))
    leaves, tree = jax.tree.flatten(each)

    def something(x):
        return [leaf for leaf in jax.tree.leaves(function(x)) if leaf.size]

    found = iter(jax.lax.map(something, xs, batch_size=size))
    count = jax.tree.leaves(xs)[0].shape[0]
    nothing = [None if x.size else jnp.zeros((count, *x.shape), x.dtype) for x in leaves]
    return tree.unflatten([next(found) if x is None else x for x in nothing])


def _merged(x: Array) -> Array:
    """Worlds and their draws as one axis."""
    # Where there are no entities, sizes cannot be worked out from what is left.
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def inner(
    g: Float[Array, "E I 2 2 L P X"],
) -> tuple[
    Float[Array, "I L P P"],
    Float[Array, "I L P P"],
    Float[Array, "I L P P"],
    Float[Array, "I L P X"],
]:
    """Means over worlds of the inner products that `Moments` names, and of the gradients: by world,
    agent, own draw, others' draw, algorithm and part."""
    worlds = g.shape[0]
    by_own = jnp.mean(g, axis=3)
    same = jnp.einsum("eiuvapx,eiuvaqx->iapq", g, g) / (4 * worlds)
    own = jnp.einsum("eiuapx,eiuaqx->iapq", g[:, :, :, 0], g[:, :, :, 1]) / (2 * worlds)
    world = jnp.einsum("eiapx,eiaqx->iapq", by_own[:, :, 0], by_own[:, :, 1]) / worlds
    return same, _symmetric(own), _symmetric(world), jnp.mean(by_own, axis=(0, 2))


def _moments(
    bench: Bench, policy: AbstractPolicy, learners: dict[str, PyTree], key: Key
) -> tuple[dict[str, Moments], Float[np.ndarray, "L L"]]:
    """Inner products of gradients by algorithm, and of everybody's mean guidance between
    algorithms."""
    design = bench.design
    at_once = bench.together

    def windows(keys):
        open_keys, roll_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        worlds, asked = bench.open(policy, open_keys)
        return bench.roll(learners, worlds, asked, roll_keys), asked

    calibration_key, key = jax.random.split(key)
    calls = math.ceil(max(BLOCKS, design.samples // 4) / at_once)
    seen = [windows(k)[0] for k in jax.random.split(calibration_key, (calls, at_once))]
    seen = jax.tree.map(lambda *x: jnp.concatenate(x), *seen)
    frozen = bench.freeze(learners, seen)
    rows = []
    calls = design.samples // BLOCKS // at_once
    for keys in jax.random.split(key, (BLOCKS, calls, at_once)):
        found = []
        for some in keys:
            rollouts, asked = windows(some)
            found.append(jax.device_get(bench.products(frozen, learners, rollouts, asked)))
        rows.append([np.mean(part, axis=0) for part in zip(*found, strict=True)])
    same, own, world, mean = (np.stack(part).astype(np.float64) for part in zip(*rows, strict=True))
    found = {
        name: Moments(same[:, :, i], own[:, :, i], world[:, :, i], _between(mean[:, :, i]))
        for i, name in enumerate(bench.algorithms)
    }
    together = _between(mean[:, -1, :, 1][:, None])[:, :, 0]
    return found, (together.sum((0, 1)) - np.einsum("bbpq->pq", together)) / BLOCKS


def _between(mean: Float[np.ndarray, "B I P X"]) -> Float[np.ndarray, "B B I P P"]:
    return np.einsum("bipx,ciqx->bcipq", mean, mean, optimize=True)


def _gradients(
    policy: AbstractPolicy,
    asked: list[tuple[AbstractAlgorithm, PyTree, Rollout]],
    agent: Int[Array, ""] | None,
) -> Float[Array, "algorithms P X"]:
    """Learning and guidance part of an agent's gradient over a window, or of the mean gradient of
    all who act.

    Each algorithm says what it wants of the probabilities, and all of that is pulled back through
    the policy together.
    """
    weights, rest = eqx.partition(policy, eqx.is_inexact_array)
    common = asked[0][2]
    observation, action = jax.tree.map(lambda x: x[:, 0], (common.observation, common.action))
    active = observation.active
    if agent is None:
        some = None
        weight = active / jnp.maximum(jnp.sum(active, axis=-1, keepdims=True), 1)
    else:
        some = agent[None]
        weight = jnp.broadcast_to(
            (jnp.arange(active.shape[-1]) == agent).astype(jnp.float32), active.shape
        )

    def says(weights, some):
        assess = jax.vmap(eqx.combine(weights, rest).assess, (0, 0, None), OVER_TICKS)
        return assess(observation, action, some)

    everything = says(weights, None)
    wanted = [_wanted(*one, everything, weight) for one in asked]
    wanted = jax.tree.map(lambda *x: jnp.concatenate(x), *wanted)
    if some is not None:
        wanted = jax.tree.map(lambda x: jnp.take(x, some, axis=2), wanted)

    def told(weights):
        said = says(weights, some)
        return said.log_prob, said.probabilities, said.aim

    _, pull = jax.vjp(told, weights)
    gradients = jax.vmap(lambda w: ravel_pytree(pull(w)[0])[0])(wanted)
    return gradients.reshape(len(asked), 2, -1)


def _wanted(
    algorithm: AbstractAlgorithm,
    learner: PyTree,
    rollout: Rollout,
    said: Assessment,
    weight: Float[Array, "T N"],
) -> tuple[Float[Array, "P T N"], Float[Array, "P T N A"], Float[Array, "P T N A"] | None]:
    """Derivatives of the weighted learning and guidance parts by log-probabilities of what was
    done, by all probabilities, and by the points that agents go for."""

    def total(told):
        log_prob, probabilities, aim = told
        now = said._replace(log_prob=log_prob, probabilities=probabilities, aim=aim)
        parts = algorithm.parts(learner, each_tick(now, lambda x: x[:, None]), rollout)
        return tuple(jnp.sum(weight[:, None] * part) for part in parts)

    _, pull = jax.vjp(total, (said.log_prob, said.probabilities, said.aim))
    return jax.vmap(pull)(tuple(jnp.eye(2)))[0]


def _symmetric(products: Float[Array, "I L P P"]) -> Float[Array, "I L P P"]:
    return 0.5 * (products + jnp.swapaxes(products, -1, -2))


def estimators(
    domain_name: str,
    values: Mapping[str, Any] | None = None,
    *,
    iterations: int = 0,
    critic: int = 0,
    rollouts: int = 4,
    steps: int = 0,
    seed: int = 0,
) -> tuple[Domain, dict[str, tuple[AbstractAlgorithm, PyTree]]]:
    """IPPO, MAPPO and DG-PG sampled, expected and exact around one policy.

    Args:
        domain_name: name or file of a domain.
        values: settings by dotted name, `{"domain.servers": 50, "algorithm.order": "together"}`;
            those of the algorithm count for all five where they have them.
        iterations: of training the policy, by DG-PG exact; 0 leaves it untrained.
        critic: iterations in which critics follow the policy, which stays as it is.
        rollouts: of an iteration.
        steps: ticks of a rollout; 0 takes the horizon.
        seed: of networks and training.

    Raises:
        UserError: a value cannot be used, or the domain has no model.
    """
    values = dict(values or {})
    given = {
        name: with_values(defaults(domain_name, algorithm), _known(algorithm, values) | own)
        for name, (algorithm, own) in FIVE.items()
    }
    domain, _ = make(next(iter(given.values())))
    # In one domain: agents who ask its model are then the same agents.
    members = {
        name: discovery.load("algorithms", settings.algorithm_name).make(settings.algorithm, domain)
        for name, settings in given.items()
    }
    start_key, train_key, critic_key = jax.random.split(jax.random.key(seed), 3)
    learn: dict[str, Any] = {"rollouts": rollouts, "steps": steps}
    guided = members["dgpg-exact"]
    trained = train(guided, domain.env, guided.init(start_key), train_key, iterations, **learn)
    policy = guided.policy(trained)
    found: dict[str, tuple[AbstractAlgorithm, PyTree]] = {}
    for name, algorithm in members.items():
        if name == "ippo" or name == "mappo":
            learner = following(
                algorithm, domain.env, policy, start_key, critic_key, critic, **learn
            )
        else:
            # DG-PG's critic is MAPPO's.
            world = found["mappo"][1]
            own = algorithm.init(start_key)
            learner = replace(world, credit=own.credit, actor_state=own.actor_state)
        found[name] = algorithm, learner
    return domain, found


def _known(algorithm: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the algorithm's base are nested in all but MAPPO."""
    base = "algorithm.base." if algorithm != "mappo" else "algorithm."
    return {
        name.replace("algorithm.", base, 1) if name.startswith("algorithm.") else name: value
        for name, value in values.items()
    }


def at_one_policy(
    domain: Domain,
    algorithms: Mapping[str, AbstractAlgorithm],
    key: Key,
    iterations: int,
    *,
    rollouts: int,
    steps: int = 0,
) -> dict[str, tuple[AbstractAlgorithm, PyTree]]:
    """Algorithms at the untrained policy of the first, each with critics of its own that have
    followed it for some iterations."""
    start, key = jax.random.split(key)
    first = next(iter(algorithms.values()))
    policy = first.policy(first.init(start))
    learn = {"rollouts": rollouts, "steps": steps}
    return {
        name: (algorithm, following(algorithm, domain.env, policy, start, key, iterations, **learn))
        for name, algorithm in algorithms.items()
    }


def following(
    algorithm: AbstractAlgorithm,
    env: AbstractEnv,
    policy: AbstractPolicy,
    start: Key,
    key: Key,
    iterations: int,
    *,
    rollouts: int,
    steps: int,
) -> PyTree:
    """A learner whose critics have followed a policy that stays as it is."""
    learner = at_policy(algorithm, algorithm.init(start), policy)
    learn: dict[str, Any] = {"rollouts": rollouts, "steps": steps}
    return train(algorithm, env, learner, key, iterations, held=policy, **learn)


def at_policy(algorithm: AbstractAlgorithm, learner: PyTree, policy: AbstractPolicy) -> PyTree:
    """A learner with another policy of the same shape."""
    # Leaf by leaf: a policy may be more than the part of the learner that it is made of.
    weights = lambda learner: jax.tree.leaves(algorithm.policy(learner))  # noqa: E731
    return eqx.tree_at(weights, learner, jax.tree.leaves(policy))


def train(
    algorithm: AbstractAlgorithm,
    env: AbstractEnv,
    learner: PyTree,
    key: Key,
    iterations: int,
    *,
    rollouts: int,
    steps: int,
    held: AbstractPolicy | None = None,
) -> PyTree:
    """Some iterations of learning; with a policy that is held, everything but the policy learns."""
    if not iterations:
        return learner
    what = plan(algorithm, env, rollouts=rollouts, steps=steps, iterations=iterations)

    @jax.jit
    def go(learner, held, key):
        run = begin(what, key)._replace(learner=learner)

        def step(run, index):
            run, _ = iterate(what, run, key, index)
            if held is not None:
                run = run._replace(learner=at_policy(algorithm, run.learner, held))
            return run, None

        return jax.lax.scan(step, run, jnp.arange(iterations))[0].learner

    return go(learner, held, key)
