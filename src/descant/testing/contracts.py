"""What every domain and every algorithm holds to, as checks to run on files of your own.

    check_domain(my_domain.make(my_domain.Config()))
    check_algorithm(lambda domain: my_algorithm.make(my_algorithm.Config(), domain), domain)

A check that fails raises `AssertionError` with a sentence that says what to look at. Choose small
sizes: contracts are about meaning, and small worlds compile fast.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from descant.core.algorithm import AbstractAlgorithm
from descant.core.domain import Domain
from descant.core.env import AbstractEnv
from descant.core.model import AbstractModel, AbstractTargetModel
from descant.core.types import Action, Key, Observation, PyTree, Rollout, Spec, Step
from descant.ops.guidance import slopes
from descant.train.collect import collect, open_worlds

JOINT = 4096
"""Joint actions that an expectation enumerates, or draws where there are more."""
LOOK = 3
"""States of a walk at which the model is asked."""


def check_domain(domain: Domain, *, seed: int = 0, ticks: int = 8) -> None:
    """World, rules and analytic model of a domain, on a walk with random legal actions.

    Args:
        domain: made with small sizes, preferably; idle agents and masks are only checked where the
            walk meets them.
        seed: of everything random here.
        ticks: length of the walk, at most one episode.

    Raises:
        AssertionError: something does not hold.
    """
    say = _Say(f"domain {domain.name!r} (seed {seed})")
    env = domain.env
    key = jax.random.key(seed)
    _check_shapes(say, env, key)
    _check_names(say, domain)
    length = min(ticks, env.spec.horizon)
    walk = _until_done(jax.jit(lambda k: _walk(env, k, length))(key))
    _check_walk(say, env.spec, walk, length)
    _check_pure(say, env, key)
    _check_rules(say, domain, walk)
    if domain.model is not None:
        _check_model(say, domain.model, walk, key)


def check_algorithm(
    make: Callable[[Domain], AbstractAlgorithm],
    domain: Domain,
    *,
    seed: int = 0,
    rollouts: int = 2,
    steps: int = 6,
) -> None:
    """One iteration of an algorithm: collect, look at what was collected, learn.

    Args:
        make: the algorithm for a domain.
        domain: one whose contracts hold.
        seed: of everything random here.
        rollouts: scenarios side by side.
        steps: ticks of each, at most one episode.

    Raises:
        AssertionError: something does not hold.
    """
    algorithm = make(domain)
    say = _Say(f"algorithm {type(algorithm).__name__} on {domain.name!r} (seed {seed})")
    init_key, worlds_key, roll_key, learn_key = jax.random.split(jax.random.key(seed), 4)
    learner = algorithm.init(init_key)
    say.same(learner, algorithm.init(init_key), "init gives another learner for the same key.")
    steps = min(steps, domain.env.spec.horizon)

    def roll(learner):
        memory = algorithm.begin(learner)
        worlds = open_worlds(domain.env, worlds_key, rollouts, memory=memory)
        return collect(algorithm, learner, domain.env, worlds, roll_key, steps, renew=True)[1]

    rollout = jax.jit(roll)(learner)
    _check_rollout(say, algorithm, domain.env.spec, rollout, (steps, rollouts))
    _check_policy(say, algorithm, learner, rollout)
    update = jax.jit(lambda *given: algorithm.update(*given))
    for progress in (0.0, 1.0):
        after, metrics = update(learner, rollout, jnp.float32(progress), learn_key)
        at = f"update at progress {progress:.0f}"
        say.finite(after, f"{at} leaves something in the learner that is not finite.")
        say.finite(metrics, f"{at} returns a metric that is not finite.")
        shapes = {name: np.shape(value) for name, value in metrics.items() if np.shape(value)}
        say.that(not shapes, f"metrics must be single numbers; shapes of others: {shapes}.")
        say.alike(learner, after, f"{at} changes shapes or dtypes of the learner.")
        if progress == 0:
            before, now = algorithm.policy(learner), algorithm.policy(after)
            moved = not _equal(before, now)
            say.that(moved, "one update left every weight of the policy as it was.")
    again = update(learner, rollout, jnp.float32(1), learn_key)[0]
    say.same(after, again, "update gives another learner for the same arguments.")


class _Say:
    """Assertions that name their subject."""

    def __init__(self, subject: str):
        self.subject = subject

    def that(self, holds: Any, sentence: str) -> None:
        """Raise with the sentence unless it holds."""
        if not bool(np.all(np.asarray(holds))):
            raise AssertionError(f"{self.subject}: {sentence}")

    def close(self, a: Any, b: Any, scale: Any, sentence: str) -> None:
        """Equal up to a share of a scale."""
        worst = float(np.max(np.abs(np.asarray(a) - np.asarray(b)), initial=0.0))
        limit = float(np.max(np.abs(np.asarray(scale)), initial=0.0))
        self.that(worst <= limit, f"{sentence} Off by {worst:.3g}, allowed {limit:.3g}.")

    def finite(self, tree: PyTree, sentence: str) -> None:
        """No NaN, no infinity; names the first leaf that has one."""
        for path, leaf in _leaves(tree):
            good = not np.issubdtype(leaf.dtype, np.floating) or np.isfinite(leaf).all()
            self.that(good, f"{sentence} It is {path}.")

    def same(self, a: PyTree, b: PyTree, sentence: str, *, rounding: float = 0.0) -> None:
        """Equal leaf by leaf, to the bit or to rounding."""
        for (path, x), (_, y) in zip(_leaves(a), _leaves(b), strict=True):
            good = x.shape == y.shape
            if good and np.issubdtype(x.dtype, np.floating):
                size = rounding * (1 + np.max(np.abs(x), initial=0.0))
                good = np.allclose(x, y, rtol=0, atol=size, equal_nan=True)
            elif good:
                good = np.array_equal(x, y)
            self.that(good, f"{sentence} It is {path}.")

    def alike(self, a: PyTree, b: PyTree, sentence: str) -> None:
        """The same tree of shapes and dtypes."""
        first, second = jax.tree.structure(a), jax.tree.structure(b)
        self.that(first == second, f"{sentence} Trees: {first} and {second}.")
        pairs = zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True)
        for (path, x), y in pairs:
            one, two = (f"{z.dtype}{list(z.shape)}" for z in (x, y))
            self.that(one == two, f"{sentence} {jax.tree_util.keystr(path)}: {one} and {two}.")


class _Walk(NamedTuple):
    """An episode with random legal actions, [T, ...]."""

    state: PyTree
    observation: Observation
    action: jax.Array
    after: PyTree
    step: Step
    other: tuple[PyTree, Step]
    """What follows when agents that are not active choose otherwise."""


def _anything(spec: Spec, observation: Observation, key: Key) -> Action:
    """A random legal joint action."""
    shape = spec.agents, spec.actions
    if spec.continuous:
        return jax.random.uniform(key, shape, minval=-1.0)
    return jax.random.categorical(
        key, jnp.where(jnp.broadcast_to(observation.mask, shape), 0, -1e9)
    )


def _form(spec: Spec) -> jax.ShapeDtypeStruct:
    """Shape and type of a joint action."""
    if spec.continuous:
        return jax.ShapeDtypeStruct((spec.agents, spec.actions), jnp.float32)
    return jax.ShapeDtypeStruct((spec.agents,), jnp.int32)


def _walk(env: AbstractEnv, key: Key, ticks: int) -> _Walk:
    def tick(carry, key):
        state, observation = carry
        act_key, step_key = jax.random.split(key)
        action = _anything(env.spec, observation, act_key)
        active = observation.active.reshape(-1, *[1] * (action.ndim - 1))
        other = -action if env.spec.continuous else (action + 1) % env.spec.actions
        changed = jnp.where(active, action, other)
        after, step = env.step(step_key, state, action)
        other = env.step(step_key, state, changed)
        seen = _Walk(state, observation, action, after, step, other)
        return (after, step.observation), seen

    reset_key, run_key = jax.random.split(key)
    return jax.lax.scan(tick, env.reset(reset_key), jax.random.split(run_key, ticks))[1]


def _until_done(walk: _Walk) -> _Walk:
    """Ticks up to and including the first at which the episode ends."""
    done = np.asarray(walk.step.terminated | walk.step.truncated)
    count = int(np.argmax(done)) + 1 if done.any() else len(done)
    return jax.tree.map(lambda x: x[:count], walk)


def _check_shapes(say: _Say, env: AbstractEnv, key: Key) -> None:
    spec = env.spec
    for name in ("agents", "actions", "horizon"):
        say.that(getattr(spec, name) >= 1, f"spec.{name} must be at least 1.")
    state, observation = jax.eval_shape(env.reset, key)
    action = _form(spec)
    after, step = jax.eval_shape(env.step, key, state, action)
    say.alike(state, after, "step must return a state like that of reset.")
    say.alike(observation, step.observation, "step must observe as reset does.")
    _check_observation(say, spec, observation)
    for name in ("reward", "terminated", "truncated"):
        shape, kind = getattr(step, name).shape, getattr(step, name).dtype
        wanted = jnp.floating if name == "reward" else jnp.bool_
        say.that(shape == (), f"step.{name} must be one number for the team, not {shape}.")
        good = jnp.issubdtype(kind, wanted)
        say.that(good, f"step.{name} must be {wanted.__name__}, not {kind}.")
    for name, value in step.diagnostics.items():
        floating = jnp.issubdtype(value.dtype, jnp.floating)
        say.that(floating and value.shape == (), f"diagnostics[{name!r}] must be one float.")


def _check_observation(say: _Say, spec: Spec, observation: Any) -> None:
    n, a = spec.agents, spec.actions
    wanted = {
        "local": (observation.local, [(n, spec.local)], jnp.floating),
        "world.entities": (
            observation.world.entities,
            [(spec.entities, spec.features)],
            jnp.floating,
        ),
        "world.globals": (observation.world.globals, [(spec.globals,)], jnp.floating),
        "mask": (observation.mask, [(n, a), (1, a)], jnp.bool_),
        "active": (observation.active, [(n,)], jnp.bool_),
    }
    for name, (value, shapes, kind) in wanted.items():
        expected = " or ".join(map(str, shapes))
        say.that(
            value.shape in shapes,
            f"observation.{name} has shape {value.shape}, but spec says {expected}.",
        )
        good = jnp.issubdtype(value.dtype, kind)
        say.that(good, f"observation.{name} must be {kind.__name__}, not {value.dtype}.")
    for demand, left, whole in spec.supplies:
        good = demand < spec.local and max(left, whole) < spec.features
        say.that(good, f"spec.supplies names feature {(demand, left, whole)} that nothing has.")


def _check_names(say: _Say, domain: Domain) -> None:
    state, _ = jax.eval_shape(domain.env.reset, jax.random.key(0))
    action = _form(domain.env.spec)
    known = jax.eval_shape(domain.env.step, jax.random.key(0), state, action)[1].diagnostics
    missing = [name for name in domain.figures if name not in known]
    say.that(not missing, f"figures {missing} are no diagnostics; there are {sorted(known)}.")
    missing = [name for name in domain.env.spec.outcomes if name not in known]
    say.that(not missing, f"outcomes {missing} are no diagnostics; there are {sorted(known)}.")
    headline = not domain.headline or domain.headline in domain.rules
    say.that(headline, f"headline {domain.headline!r} is none of its rules {list(domain.rules)}.")


def _check_walk(say: _Say, spec: Spec, walk: _Walk, length: int) -> None:
    for name, tree in (
        ("observation", (walk.observation, walk.step.observation)),
        ("reward", walk.step.reward),
        ("diagnostics", walk.step.diagnostics),
    ):
        say.finite(tree, f"random legal actions make the {name} not finite.")
    observation = walk.observation
    anything = np.asarray(observation.mask.any(-1) | ~observation.active)
    say.that(anything, "an active agent has no legal action; let it rest, or leave it one.")
    ends = np.asarray(walk.step.terminated | walk.step.truncated)
    if spec.fixed:
        early = len(ends) < length or (length < spec.horizon and ends.any())
        say.that(not early, "an episode ended before the horizon, but spec.fixed says it cannot.")
    if len(ends) == spec.horizon:
        say.that(ends[-1], "the last tick of the horizon neither terminated nor truncated.")
    sentence = "what inactive agents choose must change nothing."
    say.same((walk.after, walk.step), walk.other, sentence, rounding=1e-6)


def _check_pure(say: _Say, env: AbstractEnv, key: Key) -> None:
    def once(key):
        reset_key, act_key, step_key = jax.random.split(key, 3)
        state, observation = env.reset(reset_key)
        action = _anything(env.spec, observation, act_key)
        return (state, observation), env.step(step_key, state, action)

    keys = jax.random.split(key, 3)
    compiled = jax.jit(once)
    alone = [compiled(k) for k in keys]
    sentence = "reset and step differ between eager and compiled runs; is something not traced?"
    say.same(once(keys[0]), alone[0], sentence, rounding=1e-5)
    together = jax.jit(jax.vmap(once))(keys)
    for i, single in enumerate(alone):
        row = jax.tree.map(lambda x, i=i: x[i], together)
        sentence = "scenarios under vmap differ from the same scenarios one by one."
        say.same(single, row, sentence, rounding=1e-5)


def _check_rules(say: _Say, domain: Domain, walk: _Walk) -> None:
    spec = domain.env.spec
    rows = jax.tree.map(lambda x: x[:LOOK], (walk.state, walk.observation))
    keys = jax.random.split(jax.random.key(1), len(rows[1].active))

    def ask(state, observation, key):
        return {name: rule(state, observation, key) for name, rule in domain.rules.items()}

    mask = np.broadcast_to(rows[1].mask, (*rows[1].active.shape, spec.actions))
    for name, action in jax.jit(jax.vmap(ask))(*rows, keys).items():
        if spec.continuous:
            say.that(action.shape == mask.shape, f"rule {name!r} must give one point per agent.")
            say.finite(action, f"rule {name!r} gives points that are not finite.")
            continue
        good = action.shape == mask.shape[:2] and jnp.issubdtype(action.dtype, jnp.integer)
        say.that(good, f"rule {name!r} must give one whole number per agent.")
        action, active = np.asarray(action), np.asarray(rows[1].active)
        within = (action >= 0) & (action < spec.actions)
        say.that(within | ~active, f"rule {name!r} gives actions outside 0 to {spec.actions - 1}.")
        safe = np.clip(action, 0, spec.actions - 1)[..., None]
        legal = np.take_along_axis(mask, safe, axis=-1)[..., 0]
        say.that(legal | ~active, f"rule {name!r} gives actions that the mask forbids.")


def _check_model(say: _Say, model: AbstractModel, walk: _Walk, key: Key) -> None:
    """At the states of the walk in which most agents act, and at one in which few do."""
    acting = np.asarray(walk.observation.active).sum(axis=-1)
    order = np.argsort(-acting, kind="stable")
    look = np.unique([*order[: LOOK - 1], order[max(int((acting > 0).sum()) - 1, 0)]])
    state, observation, action = jax.tree.map(
        lambda x: x[look], (walk.state, walk.observation, walk.action)
    )
    context = jax.jit(jax.vmap(model.context))(state)
    say.finite(context, "the model's context is not finite.")
    actions = observation.mask.shape[-1]

    def ask(context, action, active, key):
        facts = _facts(model, context, action, active, actions, key)
        if isinstance(model, AbstractTargetModel):
            facts |= _target_facts(model, context, action, actions, key)
        return facts

    keys = jax.random.split(key, len(look))
    facts = jax.device_get(jax.jit(jax.vmap(ask))(context, action, observation.active, keys))
    aligned = facts.pop("alignment")
    say.that(bool(aligned), "alignment must have a term at least.")
    for name, value in aligned.items():
        good = np.isin(value, (0.0, 1.0))
        say.that(good, f"alignment[{name!r}] must be 0 or 1, not {value}.")
    say.finite(facts, "the model says something that is not finite.")
    # Differences of potentials are known to a part in 10^5 of the potential itself.
    ground = 2e-5 * np.abs(facts.pop("potential")).max() + 1e-7
    known = [*SENTENCES] if isinstance(model, AbstractTargetModel) else GENERAL
    for name in known:
        claim, truth, error = facts[name]
        scale = 2e-3 * np.abs(truth).max() + ground + np.max(error)
        say.close(claim, truth, scale, SENTENCES[name])


SENTENCES = {
    "linear": "respond is not linear in the actions.",
    "influence": "influence is not what an agent's action adds to respond.",
    "pull": "pull is not the inner product with influence.",
    "weight": "weight is not the squared length of influence in the metric.",
    "idle": "potential moves with what inactive agents choose; their rows must count nothing.",
    "slopes": "the gradient of potential is not what finite differences give; "
    "is something rounded, or does the reference move when actions move?",
    "contraction": "the gradient of potential is not <metric (x - reference), dx/da>; "
    "is potential half the squared distance?",
    "in_turn": "in_turn is not what potential changes by when an agent follows those before it.",
    "own": "marginal is not in_turn at the action taken.",
    "marginal": "marginal does not add up to potential(after all) - potential(nobody).",
    "alternatives": "alternatives is not what potential changes by, the others as they did.",
    "expected": "expected is not the mean of potential over independently drawn actions.",
}
"""What a model that is given by a reference must hold to; causes before effects."""
GENERAL = ("idle", "slopes", "own")
"""What any model must hold to: others may charge for what no potential shows, or approximate."""


def _facts(
    model: AbstractModel,
    context: PyTree,
    action: jax.Array,
    active: jax.Array,
    actions: int,
    key: Key,
) -> dict[str, Any]:
    """Claims, truths by enumeration or differences, and what the truth is uncertain by."""
    agents = action.shape[0]
    way_key, mix_key, draw_key = jax.random.split(key, 3)
    chosen = jax.nn.one_hot(action, actions) * active[:, None]
    nobody = jnp.zeros_like(chosen)

    def at(matrix):
        return model.potential(context, matrix)

    def alone(agent, choice):
        return nobody.at[agent, choice].set(1.0)

    index = jnp.arange(agents)
    every = jax.vmap(
        jax.vmap(
            lambda base, agent, choice: at(base + alone(agent, choice)) - at(base),
            in_axes=(None, None, 0),
        ),
        in_axes=(0, 0, None),
    )
    before = jnp.where((index[None] < index[:, None])[..., None], chosen[None], 0.0)
    without = jnp.where((index[None] != index[:, None])[..., None], chosen[None], 0.0)
    in_turn = every(before, index, jnp.arange(actions))
    zero = jnp.float32(0)
    claimed = model.in_turn(context, action)
    marginal = model.marginal(context, action)
    way = jax.random.normal(way_key, chosen.shape)
    mixed = jax.nn.softmax(jax.random.normal(mix_key, chosen.shape))
    mean, error = _mean_potential(at, mixed * active[:, None], draw_key)
    return {
        "potential": at(chosen),
        "slopes": (
            jnp.sum(slopes(model, context, mixed) * way),
            _difference(at, mixed, way),
            2e-3 * jnp.sum(jnp.abs(slopes(model, context, mixed) * way)),
        ),
        "idle": (at(jax.nn.one_hot(action, actions)), at(chosen), zero),
        "marginal": (jnp.sum(marginal), at(chosen) - at(nobody), 1e-5 * jnp.sum(abs(marginal))),
        "in_turn": (claimed, in_turn, zero),
        "own": (marginal, jnp.take_along_axis(claimed, action[:, None], axis=-1)[:, 0], zero),
        "alternatives": (
            model.alternatives(context, action),
            every(without, index, jnp.arange(actions)),
            zero,
        ),
        "expected": (model.expected(context, mixed * active[:, None]), mean, 4 * error),
        "alignment": model.alignment(context, action),
    }


def _difference(at: Callable, where: jax.Array, way: jax.Array) -> jax.Array:
    """Central difference along a way, extrapolated to width zero."""

    def central(width):
        return (at(where + width * way) - at(where - width * way)) / (2 * width)

    return (4 * central(0.05) - central(0.1)) / 3


def _mean_potential(
    at: Callable, probabilities: jax.Array, key: Key
) -> tuple[jax.Array, jax.Array]:
    """Mean of the potential over independent agents, exact if possible, and its standard error."""
    agents, actions = probabilities.shape
    if actions**agents <= JOINT:
        joint = jnp.stack(jnp.unravel_index(jnp.arange(actions**agents), (actions,) * agents), -1)
        rests = jnp.sum(probabilities, axis=-1) == 0
        each = jnp.where(
            rests[None],
            1.0 / actions,
            jnp.take_along_axis(probabilities[None], joint[..., None], axis=-1)[..., 0],
        )
        weight = jnp.prod(each, axis=-1)
    else:
        rows = jnp.where(probabilities > 0, jnp.log(jnp.maximum(probabilities, 1e-9)), -1e9)
        joint = jax.random.categorical(key, rows[None], shape=(JOINT, agents))
        rests = jnp.sum(probabilities, axis=-1) == 0
        weight = jnp.full((JOINT,), 1 / JOINT)
    matrices = jax.nn.one_hot(joint, actions) * ~rests[None, :, None]
    value = jax.lax.map(at, matrices, batch_size=256)
    mean = jnp.sum(weight * value)
    exact = actions**agents <= JOINT
    spread = jnp.sqrt(jnp.sum(weight * (value - mean) ** 2) / JOINT)
    return mean, jnp.float32(0) if exact else spread


def _target_facts(
    model: AbstractTargetModel, context: PyTree, action: jax.Array, actions: int, key: Key
) -> dict[str, Any]:
    """The same of a model that is given by a reference."""
    agents = action.shape[0]
    mix_key, way_key, vector_key = jax.random.split(key, 3)
    shape = (agents, actions)
    mixed = jax.nn.softmax(jax.random.normal(mix_key, shape))
    way = jax.random.normal(way_key, shape)

    def respond(matrix):
        return model.respond(context, matrix)

    x, dx = jax.jvp(respond, (mixed,), (way,))
    metric = model.metric(context)
    covector = jax.random.normal(vector_key, x.shape) * jnp.sqrt(metric)
    slope = slopes(model, context, mixed)
    influence = jax.vmap(
        jax.vmap(lambda i, j: model.influence(context, i, j), in_axes=(None, 0)),
        in_axes=(0, None),
    )(jnp.arange(agents), jnp.arange(actions))
    start = respond(jnp.zeros(shape))
    jacobian = jax.jacobian(respond)(mixed)
    pulled = jax.vmap(lambda i: model.pull(context, i, covector))(jnp.arange(agents))
    contracted = metric * (x - model.reference(context)) * dx
    root = jnp.sqrt(metric)
    return {
        "linear": (
            root * (respond(mixed + way) - x),
            root * dx,
            1e-5 * jnp.max(root * jnp.abs(x)),
        ),
        "contraction": (
            jnp.sum(slope * way),
            jnp.sum(contracted),
            1e-4 * jnp.sum(jnp.abs(contracted)),
        ),
        "influence": (
            root[None] * jnp.moveaxis(influence, -1, 0).reshape(x.shape[0], -1).T,
            root[None] * jnp.moveaxis(jacobian, 0, -1).reshape(-1, x.shape[0]),
            1e-5 * jnp.max(root * jnp.abs(start)),
        ),
        "pull": (pulled, influence @ covector, jnp.float32(0)),
        "weight": (model.weight(context), influence**2 @ metric, jnp.float32(0)),
    }


def _check_rollout(
    say: _Say,
    algorithm: AbstractAlgorithm,
    spec: Spec,
    rollout: Rollout,
    size: tuple[int, int],
) -> None:
    say.finite(rollout.log_prob, "the policy's log-probabilities are not finite.")
    say.finite((rollout.value, rollout.bootstrap), "the critic's values are not finite.")
    whole = (*size, spec.agents)
    missing = set(algorithm.probes) ^ set(rollout.probes)
    say.that(not missing, f"probes {sorted(missing)} are declared and not measured, or else.")
    for name, value in {**rollout.probes, "log_prob": rollout.log_prob}.items():
        say.that(value.shape == whole, f"{name} must be [T, E, N] = {whole}, not {value.shape}.")
        say.finite(value, f"{name} is not finite.")
    views = rollout.value.shape
    good = views[:2] == size and views[2:] in [(1,), (spec.agents,)]
    say.that(good, f"value must be [T, E, 1] or [T, E, N], not {views}.")


def _check_policy(
    say: _Say, algorithm: AbstractAlgorithm, learner: PyTree, rollout: Rollout
) -> None:
    policy = algorithm.policy(learner)
    observation = jax.tree.map(lambda x: x[:, 0], rollout.observation)
    action, log_prob = rollout.action[:, 0], rollout.log_prob[:, 0]

    def ask(observation, action):
        observation = policy.listen(observation)
        return (
            policy.assess(observation, action),
            policy.best(observation),
            policy.act(observation, jax.random.key(0)),
        )

    said, best, acted = jax.jit(jax.vmap(ask))(observation, action)
    active = np.asarray(observation.active)
    gap = np.where(active, np.asarray(said.log_prob) - np.asarray(log_prob), 0)
    say.close(gap, 0, 1e-3, "assess and sample disagree on the log-probability of an action.")
    if said.aim is not None:
        for name, point in (("sample", action), ("best", best), ("act", acted)):
            say.that(point.shape == said.aim.shape, f"{name} must give one point per agent.")
            say.finite(point, f"{name} gives points that are not finite.")
        return
    probabilities = np.asarray(said.probabilities)
    mask = np.broadcast_to(observation.mask, probabilities.shape)
    total = np.where(active, probabilities.sum(-1), 1)
    say.close(total, 1, 1e-3, "probabilities of an agent's actions do not add up to 1.")
    leak = np.where(active[..., None] & ~mask, probabilities, 0)
    say.close(leak, 0, 1e-6, "illegal actions have a probability.")
    own = np.take_along_axis(probabilities, np.asarray(action)[..., None], axis=-1)[..., 0]
    gap = np.where(active, np.log(np.maximum(own, 1e-30)) - np.asarray(said.log_prob), 0)
    say.close(gap, 0, 1e-3, "probabilities and log-probabilities of assess disagree.")
    for name, choice in (("sample", action), ("best", best), ("act", acted)):
        legal = np.take_along_axis(mask, np.asarray(choice)[..., None], axis=-1)[..., 0]
        say.that(legal | ~active, f"{name} chose an action that the mask forbids.")
    ceiling = np.where(active, math.log(probabilities.shape[-1]) + 1e-3, np.inf)
    bounded = (np.asarray(said.entropy) >= -1e-3) & (np.asarray(said.entropy) <= ceiling)
    say.that(bounded | ~active, "entropy lies outside 0 to log A.")


def _leaves(tree: PyTree) -> list[tuple[str, np.ndarray]]:
    """Leaves as arrays, by path; random keys as their bits."""
    found = []
    for path, leaf in jax.tree.leaves_with_path(tree):
        if jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        found.append((jax.tree_util.keystr(path) or "the value", np.asarray(leaf)))
    return found


def _equal(a: PyTree, b: PyTree) -> bool:
    pairs = zip(_leaves(a), _leaves(b), strict=True)
    return all(np.array_equal(x, y) for (_, x), (_, y) in pairs)
