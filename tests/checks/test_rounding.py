"""What a precision costs is told apart from what is wrong, as far as that can be done."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from convbench.base.errors import BadRecord
from convbench.checks.rounding import ONCE, UNIT, Rounding, allowed, judge
from convbench.frameworks.arrays import writing
from convbench.frameworks.weights import batch, filler, moved
from convbench.measure import records
from convbench.networks.builder import Builder
from convbench.networks.ops import Conv, Dense, Flatten, MaxPool, Relu, Relu6, Softmax

BATCH = 2
NET = Builder("small", (3, 8, 8))
NET.chain(
    NET.input,
    ("conv", Conv(4, 3, padding=1)),
    ("relu", Relu()),
    ("pool", MaxPool(3, stride=2, padding=(0, 1, 0, 1))),
    ("relu6", Relu6()),
    ("flatten", Flatten()),
    ("fc", Dense(5)),
    ("softmax", Softmax()),
)
SMALL = NET.graph()


def evidence():
    """Numbers such as a framework might keep; the pools' inputs have no two alike."""
    random = np.random.default_rng(0)
    found = {("output", n.address): random.normal(size=(BATCH, *n.output)) for n in SMALL.nodes[1:]}
    for node in SMALL:
        for tensor in node.tensors:
            found["gradient", f"{node.address}/{tensor.name}"] = random.normal(size=tensor.shape)
    return found | {("loss", "0"): np.asarray(2.0), ("loss", "1"): np.asarray(1.9)}


EXACT = evidence()


def off_by(times, dtype, arrays=EXACT):
    """The arrays with each value off by so many unit roundoffs, up or down."""
    random = np.random.default_rng(1)
    return {
        key: array * (1 + times * UNIT[dtype] * random.choice((-1, 1), size=array.shape))
        for key, array in arrays.items()
    }


@pytest.fixture
def judged(tmp_path):
    """What is said of a run, given what one rounding of every weight did."""

    def judged(found, moved_=None, dtype="float32") -> Rounding:
        files = tuple(tmp_path / f"{name}.npz" for name in ("exact", "found", "moved"))
        kept = (EXACT, found, off_by(1, dtype) if moved_ is None else moved_)
        for file, arrays in zip(files, kept, strict=True):
            with writing(file) as keep:
                for (kind, key), array in arrays.items():
                    keep(kind, key, array)
        return judge(SMALL, "one", dtype, BATCH, files, seconds=1.5)

    return judged


@pytest.mark.parametrize("dtype", UNIT)
def test_an_error_of_a_few_roundings_is_rounding(judged, dtype):
    found = judged(off_by(3, dtype), dtype=dtype)
    assert found.verdict == "rounding"
    assert found.roundings == pytest.approx(3, rel=0.01)
    assert (found.name, found.side, found.dtype, found.seconds) == ("small", "one", dtype, 1.5)
    assert {kind: worst.at for kind, worst in found.worst.items()}.keys() == {
        *("output", "gradient", "loss")
    }


@pytest.mark.parametrize("dtype", UNIT)
@pytest.mark.parametrize(
    ("kind", "key", "at"),
    [
        ("output", "conv", "conv"),
        ("output", "softmax", "softmax"),
        ("gradient", "fc/weight", "fc"),
        ("gradient", "conv/weight", "conv"),
        ("loss", "0", "network"),
    ],
)
def test_more_than_rounding_is_objected_to_at_its_place(judged, dtype, kind, key, at):
    times = 1.2 * allowed(SMALL, BATCH, dtype)
    found = judged(EXACT | off_by(times, dtype, {(kind, key): EXACT[kind, key]}), dtype=dtype)
    assert found.verdict == "NOT ROUNDING"
    assert (found.unexplained.at, found.unexplained.kind) == (at, kind)
    assert str(found.unexplained).startswith(f"{at}: ")
    assert found.worst[kind].at == at


def test_what_one_rounding_does_is_measured_place_by_place(judged):
    """The same error is rounding where a rounding of the weights does much, and only there."""
    amplified = off_by(1000, "float32")
    assert judged(off_by(3000, "float32"), amplified).verdict == "rounding"
    one_place = off_by(1, "float32") | {("output", "fc"): amplified["output", "fc"]}
    found = judged(off_by(3000, "float32"), one_place)
    assert found.unexplained.at == "conv"
    only_there = EXACT | {("output", "fc"): off_by(3000, "float32")["output", "fc"]}
    assert judged(only_there, one_place).verdict == "rounding"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_never_rounding(judged, value):
    broken = np.array(EXACT["output", "fc"])
    broken[0, 0] = value
    hopeless = off_by(1e9, "float32")
    found = judged(EXACT | {("output", "fc"): broken}, hopeless)
    assert found.verdict == "NOT ROUNDING"
    assert found.unexplained.at == "fc"


def test_where_nothing_is_left_nobody_can_tell(judged):
    blurred = off_by(0.5 / UNIT["bfloat16"], "bfloat16")
    found = judged(off_by(1, "bfloat16"), blurred, dtype="bfloat16")
    assert found.verdict == "cannot tell"
    assert (found.untold.at, found.unexplained) == ("conv", None)


def flipped(address, count):
    """The exact outputs, but `count` units of a layer on the other side of 0 by next to nothing."""
    output = np.array(EXACT["output", address])
    units = np.flatnonzero(output > 0)[:count]
    output.flat[units] = -1e-12
    exact = np.array(EXACT["output", address])
    exact.flat[units] = 1e-12
    return exact, output


def test_a_unit_that_switches_explains_its_share_of_the_gradients_behind_it(judged, monkeypatch):
    exact, other = flipped("relu", 2)
    monkeypatch.setitem(EXACT, ("output", "relu"), exact)
    jumped = EXACT | off_by(1e5, "float32", {k: EXACT[k] for k in [("gradient", "conv/weight")]})
    assert judged(jumped).unexplained.at == "conv"
    found = judged(jumped | {("output", "relu"): other})
    assert found.verdict != "NOT ROUNDING"
    assert found.switched == 2 / EXACT["output", "relu"].size
    ahead = EXACT | off_by(1e5, "float32", {k: EXACT[k] for k in [("gradient", "fc/weight")]})
    assert judged(ahead | {("output", "relu"): other}).unexplained.at == "fc", "not behind it"


def test_a_maximum_that_moves_explains_it_too(judged, monkeypatch):
    """The pool reads `relu`: where its largest value loses to the second, one window moves."""
    exact = np.array(EXACT["output", "relu"])
    exact[0, 0, :3, :3] = exact.min() - 1
    exact[0, 0, 0, :2] = (5.0, 5.0 - 1e-9)
    other = np.array(exact)
    other[0, 0, 0, :2] = (5.0 - 1e-9, 5.0)
    monkeypatch.setitem(EXACT, ("output", "relu"), exact)
    jumped = EXACT | off_by(1e5, "float32", {k: EXACT[k] for k in [("gradient", "conv/weight")]})
    assert judged(jumped).unexplained.at == "conv"
    found = judged(jumped | {("output", "relu"): other})
    assert found.verdict != "NOT ROUNDING"
    assert found.switched == 1 / EXACT["output", "pool"].size


def test_an_array_that_one_run_lacks_is_told(judged):
    less = {key: array for key, array in EXACT.items() if key != ("gradient", "fc/bias")}
    with pytest.raises(BadRecord, match=r"wanted gradient fc/bias from one float32, found none"):
        judged(less)


def test_only_the_first_loss_is_judged_and_all_are_told(judged):
    found = judged(EXACT | {("loss", "1"): np.asarray(2.9)})
    assert found.verdict == "rounding"
    assert found.losses == (0.0, pytest.approx(1 / 2.9))


def test_the_longest_sum_is_what_single_precision_may_be_off_by():
    longest = BATCH * 8 * 8  # the gradient of each of conv's weights; fc sums 64 terms
    assert allowed(SMALL, BATCH, "float32") == sqrt(longest)
    assert allowed(SMALL, 1, "float32") == sqrt(64)
    assert allowed(SMALL, BATCH, "bfloat16") == ONCE


def test_units_are_those_of_the_formats():
    assert np.float32(1 + UNIT["float32"]) == 1 < np.float32(1 + 2.1 * UNIT["float32"])
    assert UNIT["float32"] == np.finfo(np.float32).eps / 2


def test_moving_moves_each_value_by_its_share_up_or_down():
    values, images = filler(SMALL, 0), batch(SMALL, BATCH, 0)
    weights, (pixels, labels) = moved(values, images, 2.0**-8)
    array, was = weights("conv/weight", (4, 3, 3, 3)), values("conv/weight", (4, 3, 3, 3))
    assert array.dtype == pixels.dtype == np.float64
    for now, before in ((array, was), (pixels, images[0])):
        share = now / before.astype(np.float64) - 1
        np.testing.assert_allclose(np.abs(share), 2.0**-8, rtol=1e-9)
        assert 0.2 < (share > 0).mean() < 0.8
    np.testing.assert_array_equal(labels, images[1])
    np.testing.assert_array_equal(array, weights("conv/weight", (4, 3, 3, 3)))


def test_a_judgement_survives_json(judged):
    found = judged(off_by(1e4, "float32"))
    assert records.structure(records.as_json(found), Rounding, "here") == found
