import jax
import jax.numpy as jnp
import numpy as np

from descant.domains import particle
from descant.domains.particle import physics, rules
from descant.evaluate.episodes import score_rules

KEY = jax.random.key(0)


def test_plans_foresee_what_physics_does():
    plan = 2 * 25 + 4 * 5 + 1  # right, up, left
    place, speed = jnp.array([[0.3, -0.2]]), jnp.array([[0.4, -1.0]])
    start, drift = place, speed[:, None] * rules.DRIFT[None, :, None]
    path = []
    for tick in range(rules.AHEAD):
        action = jnp.array([[2, 4, 1][tick] if tick < rules.PLANNED else 0])
        place, speed = physics.advance(place, speed, physics.pushes(action), 0.1)
        path.append(place[0])
    np.testing.assert_allclose(start + drift[0] + rules.REACH[plan], path, rtol=1e-5)


def test_who_steers_alone_arrives_and_stays():
    start, target = jax.random.uniform(KEY, (2, 100, 2), minval=-1.0)

    def tick(carry, _):
        place, speed = carry
        # Far enough apart not to touch: they are alone in the world.
        move = jax.vmap(lambda *x: rules.steer(*(y[None] for y in x))[0])
        action = move(place, speed, target)
        push = jax.vmap(lambda p, v, f: physics.advance(p[None], v[None], f[None], 0.1))
        place, speed = (x[:, 0] for x in push(place, speed, physics.pushes(action)))
        return (place, speed), jnp.linalg.norm(place - target, axis=-1)

    still = jnp.zeros_like(start)
    away = np.asarray(jax.jit(lambda: jax.lax.scan(tick, (start, still), length=40)[1])())
    assert away[-10:].max() < 0.1
    assert away[-1].mean() < 0.05


def test_spread_by_rules_and_by_chance():
    domain = particle.make(particle.Config())
    scores = jax.jit(lambda k: score_rules(domain, k))(jax.random.split(KEY, 500))
    reward = dict(zip(domain.rules, 25 * np.asarray(scores.reward).mean(axis=1), strict=True))
    # The public environment under a random policy, summed over agents: -80.5 (0.9 standard error).
    assert abs(reward["random"] + 80.5) < 4
    assert reward["assigned"] > reward["nearest"] + 15 > reward["still"] + 25
    assert reward["assigned"] > -28


def test_without_an_assignment_the_nearest_remains():
    many = particle.make(particle.Config(agents=13))
    assert many.headline == "nearest" in many.rules
    assert "assigned" not in many.rules
