"""Simulated pairs have the sizes that they claim; recorded ones keep what the test rests on."""

from __future__ import annotations

import json
from math import log, log1p

import numpy as np
import pytest
from attrs import evolve

from convbench.gate.statistics.betting import reached
from convbench.gate.statistics.judging import BETA, level
from convbench.gate.values import Pair, Sample
from operating.simulation import QUIET, SHARED, WILD, log_ratios, pairs_of, rounds
from tests.conftest import ROOT
from tests.support.recorded_pairs import recorded

STILL = evolve(
    SHARED, drift=0.0, process=0.0, slow_process=0.0, moment=0.0, own=0.0, burst=0.0, outlier=0.0
)
STILL = evolve(STILL, second=0.0)


def chance(seed=0):
    return np.random.default_rng(seed)


def spread(values):
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def test_a_machine_without_noise_gives_the_slowdown_and_nothing_else():
    taken = rounds(STILL, 3, 0.05, chance())
    assert taken[:, 0] == pytest.approx(STILL.step_s)
    assert taken[:, 1] == pytest.approx(1.05 * STILL.step_s)


@pytest.mark.parametrize(
    "part",
    [
        *({"drift": 0.1}, {"process": 0.1}, {"moment": 0.1}, {"own": 0.1}, {"second": 0.1}),
        *({"slow_process": 0.5}, {"burst": 0.5}, {"outlier": 0.5}),
    ],
    ids=lambda part: next(iter(part)),
)
def test_each_kind_of_noise_is_there(part):
    assert np.std(rounds(evolve(STILL, **part), 20, 0.0, chance())) > 0


@pytest.mark.parametrize("common", [{"drift": 0.5}, {"moment": 0.5}], ids=["drift", "moment"])
def test_what_both_sides_meet_leaves_their_ratio_alone(common):
    assert log_ratios(rounds(evolve(STILL, **common), 20, 0.0, chance())) == pytest.approx(0.0)


def test_most_of_a_burst_meets_both_sides():
    taken = np.log(rounds(evolve(STILL, burst=0.02), 200, 0.0, chance()))
    one, both = (np.ptp(taken, axis=1) > 0).sum(), (np.min(taken, axis=1) > log(0.011)).sum()
    assert 0 < one < both / 2


@pytest.mark.parametrize(
    ("machine", "low", "high"), [(QUIET, 0.01, 0.02), (SHARED, 0.025, 0.04), (WILD, 0.05, 0.09)]
)
def test_machines_are_as_uneven_as_those_that_were_measured(machine, low, high):
    assert low < spread(log_ratios(rounds(machine, 2000, 0.0, chance()))) < high


def test_processes_of_a_shared_machine_differ_by_as_much_as_was_measured():
    taken = np.log(np.median(rounds(SHARED, 3000, 0.0, chance())[:, 0], axis=-1))
    assert 0.08 < np.std(taken) < 0.18


def test_a_simulated_pair_says_what_its_rounds_say():
    taken = rounds(SHARED, 5, 0.1, chance())
    pairs = pairs_of(SHARED, taken)
    assert [pair.number for pair in pairs] == [1, 2, 3, 4, 5]
    assert [pair.log_ratio("step time") for pair in pairs] == pytest.approx(log_ratios(taken))


def test_the_same_seed_gives_the_same_pairs():
    assert (rounds(WILD, 4, 0.0, chance(3)) == rounds(WILD, 4, 0.0, chance(3))).all()


@pytest.mark.parametrize("machine", [QUIET, SHARED, WILD], ids=["quiet", "shared", "wild"])
def test_nothing_is_worse_on_any_machine_where_nothing_changed(machine):
    for seed in range(40):
        found = log_ratios(rounds(machine, 60, 0.0, chance(seed)))
        assert reached(found, log1p(0.03), 1) < -log(level(18))


def test_a_slowdown_is_found_on_a_shared_machine():
    found = log_ratios(rounds(SHARED, 60, 0.10, chance()))
    assert reached(found, log1p(0.03), 1) > -log(level(18))


def test_neighbouring_rounds_are_compared():
    """A burst in most rounds of both sides, and the head 2% slower."""
    base, head = (1.0, 1.0, 9.0, 9.0, 9.0), (1.02, 1.02, 9.18, 9.18, 1.02)
    pair = Pair(subject="a", number=1, base=Sample(rounds_s=base), head=Sample(rounds_s=head))
    assert pair.log_ratio("step time") == pytest.approx(log(1.02))


def test_rounds_without_neighbours_are_refused():
    one, two = Sample(rounds_s=(1.0,)), Sample(rounds_s=(1.0, 2.0))
    with pytest.raises(ValueError, match="pair 3 of lenet5: the base has 1 rounds and the head 2"):
        Pair(subject="lenet5", number=3, base=one, head=two)


def test_recorded_pairs_of_neighbours_spread_less_than_medians_do():
    for subject, pairs in recorded().items():
        neighbours = [pair.log_ratio("step time") for pair in pairs]
        medians = [
            log(np.median(pair.head.rounds_s) / np.median(pair.base.rounds_s)) for pair in pairs
        ]
        assert np.std(neighbours) < 1.05 * np.std(medians), subject
        assert np.std(neighbours) < 0.04, subject


def test_recorded_pairs_with_roles_by_chance_have_no_bias():
    for subject, pairs in recorded().items():
        found = np.array([pair.log_ratio("step time") for pair in pairs])
        assert abs(found.mean()) < 3 * found.std(ddof=1) / len(found) ** 0.5, subject


def test_recorded_pairs_with_fixed_templates_have_one():
    """The base came from the same of two equal templates each time: that alone makes 1%."""
    text = (ROOT / "tests" / "recorded" / "gate_fixed.json").read_text(encoding="utf-8")
    found = np.array(json.loads(text)["lenet5 pytorch forward"])
    assert found.mean() < -4 * found.std(ddof=1) / len(found) ** 0.5
    assert found.mean() == pytest.approx(-0.0106, abs=1e-4)


@pytest.mark.parametrize("quantity", ["step time", "first result", "peak memory"])
def test_recorded_pairs_whose_sides_are_drawn_again_are_not_worse(quantity):
    draw = chance(11)
    for pairs in recorded().values():
        found = np.array([pair.log_ratio(quantity) for pair in pairs])
        for _ in range(40):
            again = draw.choice((-1, 1), 60) * draw.choice(found, 60)
            assert reached(again, log1p(0.03), 1) < -log(level(12))


def test_a_slowdown_in_recorded_pairs_is_found_and_its_lack_is_seen():
    draw = chance(12)
    for pairs in recorded().values():
        found = np.array([pair.log_ratio("step time") for pair in pairs])
        again = draw.choice((-1, 1), 100) * draw.choice(found, 100)
        assert reached(again + log1p(0.10), log1p(0.03), 1) > -log(level(12))
        assert reached(again, log1p(0.03), -1) > -log(BETA)
