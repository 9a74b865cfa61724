import jax
import numpy as np
import pytest

import descant
from descant.core.errors import UserError
from descant.session import train
from descant.train.settings import defaults, with_values

TINY = {
    "domain.servers": 3,
    "domain.horizon": 30,
    "domain.arrivals": 20,
    "train.iterations": 1,
    "train.rollouts": 1,
    "train.validation": 0,
    "train.scenarios": 0,
    "algorithm.minibatch": 4,
    "algorithm.minibatches": 2,
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of one iteration each: with the size-free network, the same with agents that ask the
    model, with a perceptron, and with memory."""
    found = {}
    for name in ("pointer", "advised", "mlp", "gru"):
        folder = tmp_path_factory.mktemp("runs") / name
        own = {"algorithm.heed": 0.0} if name == "advised" else {"algorithm.net": name}
        settings = with_values(defaults("cloud", "mappo"), TINY | own)
        assert train(settings, folder).status == "finished"
        found[name] = folder
    return found


def first(policy):
    return jax.jit(policy.domain.env.reset)(jax.random.key(0))[1]


@pytest.mark.parametrize("net", ["pointer", "mlp"])
def test_equal_observations_get_equal_legal_actions(runs, net):
    policy = descant.load_policy(runs[net])
    observation = first(policy)
    action = np.asarray(policy(observation))
    assert action.shape == (3,)
    assert np.all((action >= 0) & (action < 3))
    np.testing.assert_array_equal(action, policy(observation))
    np.testing.assert_array_equal(policy(observation, greedy=True).shape, (3,))
    assert policy.iteration == 1


def test_the_pointer_network_acts_at_any_size(runs):
    policy = descant.load_policy(runs["pointer"], servers=7)
    action = np.asarray(policy(first(policy)))
    assert action.shape == (7,)
    assert np.all((action >= 0) & (action < 7))


def test_agents_who_ask_the_model_do_so_at_any_size(runs):
    policy = descant.load_policy(runs["advised"], servers=7)
    state, observation = jax.jit(policy.domain.env.reset)(jax.random.key(0))
    with pytest.raises(UserError, match="ask the analytic model as they choose"):
        policy(observation)
    action = np.asarray(policy(policy.informed(state, observation)))
    assert action.shape == (7,)
    assert np.all((action >= 0) & (action < 7))


def test_who_remembers_is_told_what(runs):
    policy = descant.load_policy(runs["gru"])
    observation = first(policy)
    with pytest.raises(UserError, match=r"what policy\.listen\(observation, memory\) returns"):
        policy(observation)
    heard = policy.listen(observation, policy.memory)
    again = policy.listen(observation, heard.memory)
    assert policy(heard).shape == (3,)
    before, after = (np.asarray(x.memory["actor"]) for x in (heard, again))
    assert np.abs(np.asarray(policy.memory["actor"])).max() == 0
    assert np.abs(before).max() > 0
    assert np.abs(after - before).max() > 0


def test_a_perceptron_is_bound_to_its_size(runs):
    with pytest.raises(UserError, match=r"do not fit domain\.servers = 7"):
        descant.load_policy(runs["mlp"], servers=7)


def test_what_is_not_there_is_refused(runs, tmp_path):
    with pytest.raises(UserError, match="no run folder"):
        descant.load_policy(tmp_path)
    with pytest.raises(UserError, match="seeds 0 to 0, got 1"):
        descant.load_policy(runs["pointer"], seed=1)
