"""MAPPO on one page: sixteen jobs a tick, eight servers, one shared reward; only jax and optax.

Each agent has a job and picks a server for it, all at once; servers of different speeds work off
their queues, and the team pays for waiting. `dgpg_in_a_page.py` is this page with guidance:
compare the two with diff.

    python examples/mappo_in_a_page.py
"""

import jax
import jax.numpy as jnp
import optax

AGENTS, SERVERS, TICKS, SCENARIOS = 16, 8, 64, 16
ITERATIONS, EPOCHS, HIDDEN = 30, 8, 16
DISCOUNT, TRACE, CLIP, ENTROPY, RATE = 0.95, 0.95, 0.2, 1e-3, 1e-2
LOAD = 0.8  # work that arrives, as a share of what the servers can do


def step(queue, speed, size, action):
    """What is left of the work [S] after a tick, and the reward: minus the mean wait, in ticks."""
    load = queue + size @ jax.nn.one_hot(action, SERVERS)
    left = jnp.maximum(load - speed, 0)
    return left, -jnp.mean(left / speed)


def features(queue, speed):
    """[S, 3]: wait, speed, and one; the same few numbers for every server, so no layer counts
    them."""
    return jnp.stack([jnp.log1p(queue / speed), speed / jnp.mean(speed), jnp.ones(SERVERS)], -1)


def logits(params, seen):
    """[N, S]: how much each agent likes each server."""
    queue, speed, size = seen
    servers, jobs = features(queue, speed) @ params["server"], size[:, None] @ params["job"]
    return jnp.tanh(servers[None] + jobs[:, None]) @ params["word"]


def value(params, queue, speed):
    """What the critic expects: one number for the whole team, since it sees the whole world."""
    return jnp.mean(jnp.tanh(features(queue, speed) @ params["critic"]) @ params["worth"])


def init(key):
    """Weights; a last layer of zeros makes the first policy uniform and the first values zero."""
    server, job, critic = jax.random.split(key, 3)
    return {
        "server": jax.random.normal(server, (3, HIDDEN)),
        "job": jax.random.normal(job, (1, HIDDEN)),
        "word": jnp.zeros(HIDDEN),
        "critic": jax.random.normal(critic, (3, HIDDEN)),
        "worth": jnp.zeros(HIDDEN),
    }


def rollout(policy, key):
    """One scenario under `policy`, a function from what is seen to logits: [T, ...] each."""
    speed_key, key = jax.random.split(key)
    speed = jax.random.uniform(speed_key, (SERVERS,), minval=0.5, maxval=2.0)
    speed = speed * AGENTS / LOAD / jnp.sum(speed)

    def tick(queue, key):
        size_key, act_key = jax.random.split(key)
        size = jax.random.uniform(size_key, (AGENTS,), minval=0.5, maxval=1.5)
        log_pi = jax.nn.log_softmax(policy((queue, speed, size)))
        action = jax.random.categorical(act_key, log_pi)
        left, reward = step(queue, speed, size, action)
        return left, ((queue, speed, size), action, chosen(log_pi, action), reward)

    last, kept = jax.lax.scan(tick, jnp.zeros(SERVERS), jax.random.split(key, TICKS))
    return *kept, last


def chosen(rows, action):
    """The entry of each row that the action names."""
    return jnp.take_along_axis(rows, action[..., None], axis=-1)[..., 0]


def gae(reward, values):
    """A_t = d_t + (discount * trace) A_{t+1} with d_t = r_t + discount V_{t+1} - V_t; [T]."""
    delta = reward + DISCOUNT * values[1:] - values[:-1]

    def back(advantage, delta):
        advantage = delta + DISCOUNT * TRACE * advantage
        return advantage, advantage

    return jax.lax.scan(back, 0.0, delta, reverse=True)[1]


def standardise(x):
    """Mean 0, deviation 1."""
    return (x - jnp.mean(x)) / (jnp.std(x) + 1e-6)


def credit(params, rollouts, progress):
    """One learning signal per tick and agent [E, T, N], and targets for the critic [E, T]."""
    (queue, speed, _), action, _, reward, last = rollouts
    queue = jnp.concatenate([queue, last[:, None]], axis=1)
    speed = jnp.concatenate([speed, speed[:, :1]], axis=1)
    values = jax.vmap(jax.vmap(value, (None, 0, 0)), (None, 0, 0))(params, queue, speed)
    advantage = jax.vmap(gae)(reward, values)
    target = advantage + values[:, :-1]
    return jnp.broadcast_to(standardise(advantage)[..., None], action.shape), target


def loss(params, rollouts, advantage, target):
    """Clipped surrogate for the actor, squared error for the critic, a little entropy."""
    seen, action, before, _, _ = rollouts
    each = jax.vmap(jax.vmap(logits, (None, 0)), (None, 0))(params, seen)
    log_pi = jax.nn.log_softmax(each)
    ratio = jnp.exp(chosen(log_pi, action) - before)
    clipped = jnp.clip(ratio, 1 - CLIP, 1 + CLIP)
    actor = -jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))
    entropy = -jnp.mean(jnp.sum(jnp.exp(log_pi) * log_pi, axis=-1))
    values = jax.vmap(jax.vmap(value, (None, 0, 0)), (None, 0, 0))(params, seen[0], seen[1])
    return actor - ENTROPY * entropy + 0.5 * jnp.mean((values - target) ** 2)


@jax.jit
def iterate(params, state, key, progress):
    """Some rollouts, one signal, a few steps on it."""
    keys = jax.random.split(key, SCENARIOS)
    rollouts = jax.vmap(lambda key: rollout(lambda seen: logits(params, seen), key))(keys)
    advantage, target = credit(params, rollouts, progress)

    def climb(carry, _):
        params, state = carry
        downhill = jax.grad(loss)(params, rollouts, advantage, target)
        move, state = optimiser.update(downhill, state)
        return (optax.apply_updates(params, move), state), None

    (params, state), _ = jax.lax.scan(climb, (params, state), length=EPOCHS)
    return params, state, jnp.mean(rollouts[3])


optimiser = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(RATE))


def train(seed=0, iterations=ITERATIONS, say=print):
    """Weights after training, and the reward per tick of each iteration."""
    init_key, key = jax.random.split(jax.random.key(seed))
    params = init(init_key)
    state, rewards = optimiser.init(params), []
    for i, now in enumerate(jax.random.split(key, iterations)):
        params, state, reward = iterate(params, state, now, i / max(iterations - 1, 1))
        rewards.append(float(reward))
        if i % 5 == 0 or i == iterations - 1:
            say(f"iteration {i + 1:3d}   reward per tick {rewards[-1]:8.3f}")
    return params, rewards


def by_speed(seen):
    """The rule to beat: draw a server in proportion to its speed."""
    return jnp.broadcast_to(jnp.log(seen[1]), (AGENTS, SERVERS))


if __name__ == "__main__":
    keys = jax.random.split(jax.random.key(1), 64)
    reward = jax.jit(jax.vmap(lambda key: rollout(by_speed, key)))(keys)[3]
    print(f"rule: by speed  reward per tick {float(jnp.mean(reward)):8.3f}")
    train()
