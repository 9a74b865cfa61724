import numpy as np
import pytest

from descant.reproduce._common.drawing import columns_of
from descant.reproduce._common.figures import Curve, Panel, Series, by_name, by_size, curves
from descant.reproduce._common.page import standalone
from descant.reproduce._common.tables import Measured


def panel(n, seeds=2, published=-40.0):
    values = np.linspace([-80.0] * seeds, [-41.0] * seeds, 9)
    curve = Curve("DG-PG", np.arange(1.0, 10), values, "accent", published)
    return Panel(f"N = {n}", (curve,), (("Best-Fit", -42.0),))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_panels_of_curves(count):
    figure = curves("f", [panel(n) for n in range(count)], "Reward", "Caption.")
    drawn = figure.html()
    assert drawn.count("<svg") == 2  # for a desk and for a phone
    assert "N = 0; dashed: Best-Fit" in drawn
    assert "◇ published" in drawn
    assert "DG-PG goes from −80.0 to −41.0, published −40.0" in figure.label
    assert columns_of(count) <= 3


def test_what_is_not_finite_leaves_a_gap():
    values = np.array([[-80.0], [np.nan], [-40.0]])
    broken = Panel("N = 5", (Curve("DG-PG", np.arange(1.0, 4), values, "accent"),))
    nothing = Panel("N = 5", (Curve("IPPO", np.arange(1.0, 3), values[1:2].repeat(2, 0), "ink"),))
    assert "<path" in curves("f", [broken], "Reward", "").html()
    assert "IPPO has no finite value" in curves("f", [nothing], "Reward", "").label
    assert "<svg" in curves("f", [nothing], "Reward", "").html()


@pytest.mark.parametrize("logarithmic", [False, True])
def test_quantities_by_size(logarithmic):
    points = tuple((float(n), Measured(n / 10, n / 11, n / 9)) for n in (5, 50, 500))
    series = [
        Series("ours", points, "accent"),
        Series("published", points[:2], "run-1", published=True),
        Series("not run", (), "ink"),
    ]
    figure = by_size("f", series, "Seconds", "Caption.", logarithmic=logarithmic)
    drawn = figure.html()
    assert "● ours" in drawn and "○ published" in drawn
    assert "not run" not in drawn
    assert "ours: 0.500 at 5, 5.00 at 50, 50.0 at 500." in figure.label


def test_quantities_by_name():
    series = [
        Series("ours", ((0.0, Measured(-0.5, -0.8, -0.2)), (2.0, Measured(0.25))), "accent"),
        Series("claimed", ((0.0, Measured(-1.0)),), "rule", published=True),
    ]
    figure = by_name("f", ["MAPPO", "none", "DG-PG"], series, "slope", "Caption.")
    drawn = figure.html()
    assert all(name in drawn for name in ("MAPPO", "none", "DG-PG", "● ours", "○ claimed"))
    assert figure.label == (
        "slope, ours: −0.500 for MAPPO, 0.250 for DG-PG. claimed: −1.00 for MAPPO."
    )


def test_a_drawing_stands_alone():
    text = standalone(curves("f", [panel(5)], "Reward", "Caption."))
    assert text.startswith("<svg")
    assert 'xmlns="http://www.w3.org/2000/svg"' in text
    assert "var(--" not in text
    assert "#0b63ad" in text
