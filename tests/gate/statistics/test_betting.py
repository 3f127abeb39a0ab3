"""The gate's test: its error is what it promises, and it sees what is there."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from convbench.gate.statistics.betting import fewest, log_wealth, reached

ALPHA = 0.05
RUNS = 400


def wins(draw, null, direction=1, pairs=60, runs=RUNS, alpha=ALPHA):
    """How many of many runs reach 1/alpha at any time."""
    chance = np.random.default_rng(7)
    return sum(reached(draw(chance, pairs), null, direction) >= -log(alpha) for _ in range(runs))


def drifting(chance, pairs):
    """Pairs of a machine that grows ever noisier, each of which is as likely up as down."""
    return chance.choice((-1, 1), pairs) * np.exp(np.linspace(-5, 0, pairs))


@pytest.mark.parametrize(
    "draw",
    [
        lambda chance, n: chance.normal(0, 0.03, n),
        lambda chance, n: chance.standard_cauchy(n),
        lambda chance, n: chance.choice((-0.3, 0.3), n),
        drifting,
    ],
    ids=["normal", "Cauchy", "two values", "drifting"],
)
@pytest.mark.parametrize("direction", [1, -1])
def test_nothing_is_found_where_nothing_is_more_often_than_promised(draw, direction):
    # With 20 expected of 400, 35 and more come by chance once in 2,000 times.
    assert wins(draw, 0.0, direction) < 35


def test_the_promise_is_not_empty():
    assert wins(lambda chance, n: chance.normal(0, 0.03, n), 0.0) > 2


def test_ratios_beyond_the_null_are_found():
    assert wins(lambda chance, n: chance.normal(0.05, 0.03, n), 0.0) == RUNS


def test_ratios_on_its_other_side_are_not_found():
    assert wins(lambda chance, n: chance.normal(-0.02, 0.03, n), 0.0) == 0


def test_wealth_is_a_fair_game():
    """Its mean over all signs of the same sizes is what it began with."""
    sizes = np.array([0.01, 0.05, 0.02, 0.3, 0.04])
    signs = np.array(np.meshgrid(*[(-1, 1)] * 5)).reshape(5, -1).T
    ends = [np.exp(log_wealth(row * sizes, 0.0)[-1]) for row in signs]
    assert np.mean(ends) == pytest.approx(1.0)


def test_units_do_not_matter():
    ratios = np.random.default_rng(1).normal(0.01, 0.02, 30)
    assert log_wealth(ratios, 0.0) == pytest.approx(log_wealth(ratios * 1000, 0.0))


def test_pairs_at_the_null_bet_nothing():
    assert log_wealth([0.0, 0.0], 0.0) == pytest.approx([0.0, 0.0])


def test_one_wild_pair_does_not_decide():
    calm = [0.001, -0.001] * 10
    assert reached([*calm, 50.0], 0.0) < -log(ALPHA)


@pytest.mark.parametrize("error", [0.05, 0.01, 0.01 / 18, 1e-5])
def test_what_is_clear_takes_so_few_pairs_and_no_fewer(error):
    """All pairs alike and far from the tolerance: sooner than that nothing can be shown."""
    enough = fewest(error)
    assert reached([0.5] * enough, 0.03) >= -log(error)
    assert reached([0.5] * (enough - 2), 0.03) < -log(error)
