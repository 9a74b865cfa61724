import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from descant.core.errors import UserError
from descant.reproduce._common import targets
from descant.reproduce._common.found import Found
from reproduce import made_up

ALONE = ["compare", "curves"]
WANTED = {
    "dgpg": "fig2 fig3 table1 fig4 fig5 table8 table9 variance scaling",
    "maipg": "fig1 table5 fig2 fig6 smac ablation football",
    "utilities": "decay radius scaling utilities safety certificate fairness wireless growth "
    "locality truncation reuse radii",
}


def test_a_folder_is_the_registry():
    found = []
    for family in WANTED:
        folder = Path(targets.__file__).parents[1] / family
        files = [path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")]
        found += sorted(f"{family}.{name}" for name in files)
    assert targets.names() == [*ALONE, *found]
    assert set(found) == {f"{family}.{n}" for family, ns in WANTED.items() for n in ns.split()}


@pytest.mark.parametrize("name", targets.names())
def test_targets_are_complete(name):
    target = targets.load(name)
    assert target.summary
    assert set(target.scales) == {"quick", "full"}
    assert all(scale.name == key for key, scale in target.scales.items())
    assert target.scales["full"].seeds >= 5
    quick, full = (target.jobs(target.scales[key]) for key in ("quick", "full"))
    assert quick
    assert len({job.name for job in quick}) == len(quick)
    assert sum(job.seconds() for job in quick) < sum(job.seconds() for job in full)


def comparing():
    """Targets and scales that take other sizes."""
    scales = [(name, s) for name in targets.names() for s in targets.load(name).scales.values()]
    return [(name, s.name) for name, s in scales if len(s.servers) > 1 and not s.fixed]


@pytest.mark.parametrize(("name", "size"), comparing())
def test_targets_that_compare_sizes_take_others(name, size):
    target = targets.load(name)
    scale = target.scales[size]
    for sizes in ((6,), (2, 3, 4, 7, 9, 30, 400, 2000)):
        scale = replace(scale, servers=sizes, resized=True)
        found = Found(made_up.results(target, scale))
        assert target.show(scale, found).tables


def test_targets_share_what_is_the_same():
    names = ("dgpg.table1", "dgpg.fig4", "dgpg.fig5", "dgpg.table9")
    jobs = [{j.name for j in t.jobs(t.scales["quick"])} for t in map(targets.load, names)]
    assert all(found == jobs[0] for found in jobs)
    scaling = targets.load("dgpg.scaling")
    own = {job.name for job in scaling.jobs(scaling.scales["quick"])}
    assert len(own & jobs[0]) > len(own) / 2


def test_an_unknown_target_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"Did you mean 'dgpg\.fig3'"):
        targets.load("dgpg.fg3")


def test_planning_imports_nothing_heavy():
    code = """
import sys
from descant.reproduce._common import targets
for name in targets.names():
    target = targets.load(name)
    for scale in target.scales.values():
        sum(job.seconds() for job in target.jobs(scale))
heavy = {"jax", "numpy", "scipy", "matplotlib", "polars"} & sys.modules.keys()
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
