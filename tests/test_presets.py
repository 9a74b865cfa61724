import pytest

from descant.cli.config import resolve
from descant.train.settings import flatten


def settled(algorithm="dgpg", preset="descant", **values):
    flags = [f"--{name.replace('_', '.', 1)}={value}" for name, value in values.items()]
    return flatten(resolve("cloud", algorithm, (preset,), None, flags))


@pytest.mark.parametrize("servers", [5, 20, 200, 1500])
@pytest.mark.parametrize("preset", ["descant", "true-load"])
def test_a_policy_for_any_size_learns_in_a_small_cluster(preset, servers):
    known = settled(preset=preset, domain_servers=servers)
    assert known["train.servers"] == (20, 20)
    assert known["domain.servers"] == servers
    asks = known["algorithm.base.heed"] is not None
    assert asks == (preset == "descant" or servers >= 100), "under load only far from there"


def test_who_says_where_to_learn_gets_steps_of_that_size():
    known = settled(domain_servers=1500, train_servers="1500..1500")
    assert (known["train.servers"], known["train.rollouts"]) == ((1500, 1500), 2)
    assert known["algorithm.base.trust"] == 1.0


@pytest.mark.parametrize(
    "values",
    [{"algorithm_net": "mlp", "algorithm_order": "together"}, {"domain_observation": "clusters"}],
)
def test_what_is_bound_to_a_size_learns_there_and_asks_nobody(values):
    known = settled(domain_servers=100, **values)
    assert known["train.servers"] is None
    assert known["algorithm.base.heed"] is None


@pytest.mark.parametrize(("algorithm", "prefix"), [("mappo", ""), ("ippo", "base.")])
def test_agents_without_guidance_ask_no_model(algorithm, prefix):
    known = settled(algorithm, domain_servers=1500)
    assert known["train.servers"] == (20, 20)
    assert known[f"algorithm.{prefix}heed"] is None


def test_groups_of_ones_own_are_learnt_where_they_are():
    assert settled(domain_servers=200, domain_clusters=50)["train.servers"] is None


def test_true_load_is_itself_after_another_preset():
    flags = ("--domain.servers=50",)
    known = flatten(resolve("cloud", "dgpg", ("descant", "true-load"), None, flags))
    assert known["algorithm.base.heed"] is None


def test_few_rules_are_played_in_large_clusters():
    assert settled(domain_servers=200)["train.rules"] == ()
    assert "most-efficient-first" in settled(domain_servers=300)["train.rules"]


@pytest.mark.parametrize("algorithm", ["dgpg", "mappo", "ippo"])
def test_nothing_holds_an_actor_back_where_nodes_are_full(algorithm):
    known = settled(algorithm, "trace", domain_trace="somewhere")
    trust = [value for name, value in known.items() if name.endswith(".trust")]
    assert trust == [None]


@pytest.mark.parametrize("algorithm", ["mappo", "ippo", "maipg", "qmix"])
@pytest.mark.parametrize(("domain", "preset"), [("particle", "spread"), ("jaxmarl", "smax")])
def test_small_worlds_have_settings_for_whoever_learns_by_proximal_ascent(
    domain, preset, algorithm
):
    known = flatten(resolve(domain, algorithm, (preset,), None, []))
    prefix = "algorithm" if algorithm == "mappo" else "algorithm.base"
    if algorithm != "qmix":
        assert known["train.rollouts"] == 128
        assert known[f"{prefix}.net"] == ("mlp" if preset == "spread" else "gru")
    elif preset == "spread":
        assert known["train.rollouts"] == 128
        assert known[f"{prefix}.hidden"] == flatten(resolve(domain, algorithm))[f"{prefix}.hidden"]


@pytest.mark.parametrize(("algorithm", "prefix"), [("iql", ""), ("qmix", "base.")])
def test_units_that_learn_from_a_replay_remember_and_see_as_much(algorithm, prefix):
    known = flatten(resolve("jaxmarl", algorithm, ("smax",), None, []))
    other = flatten(resolve("jaxmarl", "mappo", ("smax",), None, []))
    assert known[f"algorithm.{prefix}net"] == "gru"

    def ticks(known):
        return known["train.rollouts"] * known["train.steps"] * known["train.iterations"]

    assert ticks(known) == ticks(other)
    steps = known[f"algorithm.{prefix}updates"] * known["train.iterations"]
    assert steps * known[f"algorithm.{prefix}minibatch"] == 4 * ticks(known)


@pytest.mark.parametrize(("domain", "preset"), [("traffic", "signals"), ("pistonball", "pistons")])
@pytest.mark.parametrize("algorithm", ["localised", "mappo", "maipg", "coma", "iql"])
def test_points_on_a_graph_have_settings_for_whoever_learns_there(domain, preset, algorithm):
    known, plain = (flatten(resolve(domain, algorithm, names)) for names in ((preset,), ()))
    assert known["train.rollouts"] == 16
    changed = {name for name in known if known[name] != plain[name] and name[:5] != "train"}
    if algorithm == "localised":
        assert known["algorithm.sharing"] == "shared" and known["algorithm.discount"] == 0.97
        assert ("algorithm.entropy" in changed) == (preset == "pistons")
        assert ("algorithm.critic" in changed) == (preset == "signals")
    elif algorithm == "iql":
        assert not changed
    else:
        prefix = "algorithm" if algorithm == "mappo" else "algorithm.base"
        assert known[f"{prefix}.net"] == "mlp"
        assert known[f"{prefix}.discount"] == (0.97 if preset == "signals" else 0.99)
