import jax.numpy as jnp
import numpy as np
import pytest

from descant.credit.schedules import Constant, Decay, Ramp


def at(schedule, *progress):
    return [float(schedule(jnp.float32(p))) for p in progress]


def test_the_papers_three_phases():
    ramp = Ramp(start=0.9, stop=0.2, begin=0.1, end=0.5)
    wanted = [0.9, 0.9, 0.55, 0.2, 0.2, 0.2]
    assert at(ramp, 0, 0.1, 0.3, 0.5, 0.7, 1) == pytest.approx(wanted, abs=1e-6)


def test_a_ramp_of_no_length_is_a_step():
    ramp = Ramp(start=1.0, stop=0.0, begin=0.5, end=0.5)
    assert at(ramp, 0, 0.5, 0.500001, 1) == [1, 1, 0, 0]


def test_a_level_ramp_is_exact():
    assert at(Ramp(start=0.0, stop=0.0, begin=0.1, end=0.5), 0, 0.3, 1) == [0, 0, 0]
    assert at(Ramp(start=0.7, stop=0.7), 0, 1 / 3, 1) == [np.float32(0.7)] * 3


def test_decay_takes_equal_factors():
    decay = Decay(start=1.0, stop=0.01)
    assert at(decay, 0, 0.25, 0.5, 1) == pytest.approx([1, 10**-0.5, 0.1, 0.01], rel=1e-5)
    assert at(decay, -1, 2) == pytest.approx([1, 0.01], rel=1e-5)


def test_decay_from_or_to_zero_is_a_line():
    assert at(Decay(start=0.4, stop=0.0), 0, 0.5, 1) == pytest.approx([0.4, 0.2, 0])
    assert at(Decay(start=0.0, stop=0.0), 0, 1) == [0, 0]


def test_constant():
    assert at(Constant(level=0.3), 0, 0.5, 1) == [np.float32(0.3)] * 3
