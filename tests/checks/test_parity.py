"""Parity finds every difference that there is, names the first, and is not fooled by rounding."""

from __future__ import annotations

import numpy as np
import pytest

from convbench.base.errors import BadRecord
from convbench.checks.parity import FARTHEST, Parity, compare
from convbench.frameworks.arrays import reading, writing
from convbench.frameworks.modes import precision
from convbench.measure import records
from convbench.networks.ops import BatchNorm
from tests.support.builders import graph

NET = "resnet20_cifar"
STEPS = 2


def evidence(net):
    """Numbers such as a framework might keep, by kind and key."""
    random = np.random.default_rng(0)
    found = {("output", n.address): random.normal(size=(2, *n.output)) for n in net.nodes[1:]}
    for node in net:
        for tensor in node.tensors:
            kind = "gradient" if tensor.trainable else "statistic"
            found[kind, f"{node.address}/{tensor.name}"] = random.normal(size=tensor.shape)
    return found | {("loss", str(step)): np.asarray(2.0 - step / 10) for step in range(STEPS)}


@pytest.fixture(scope="module")
def right():
    return evidence(graph(NET))


@pytest.fixture
def compared(tmp_path, right):
    """The parity of what is given, with what is right or with something else."""

    def compared(other, one=right, dtype="float64") -> Parity:
        files = (tmp_path / "one.npz", tmp_path / "other.npz")
        for file, arrays in zip(files, (one, other), strict=True):
            with writing(file) as keep:
                for (kind, key), array in arrays.items():
                    keep(kind, key, array)
        return compare(graph(NET), ("one", "other"), files, dtype, seconds=1.5)

    return compared


def moved(array, by):
    """The array with its largest value moved so far, relative to the whole."""
    out = np.array(array)
    out[np.unravel_index(np.argmax(np.abs(out)), out.shape)] += by * np.linalg.norm(out)
    return out


def test_the_same_arrays_are_the_same_function(compared, right):
    found = compared(right)
    assert found.same
    assert (found.outputs, found.gradients, found.statistics, found.losses) == (0, 0, 0, 0)
    assert (found.name, found.sides, found.steps, found.seconds) == (
        NET,
        ("one", "other"),
        STEPS,
        1.5,
    )


def test_rounding_is_no_difference(compared, right):
    found = compared({key: array * (1 + 1e-13) for key, array in right.items()})
    assert found.same
    assert 0 < found.outputs < 1e-12


@pytest.mark.parametrize(
    ("kind", "key", "at"),
    [
        ("output", "conv1", "conv1"),
        ("output", "conv3_1.sum", "conv3_1.sum"),
        ("output", "softmax", "softmax"),
        ("gradient", "conv1/weight", "conv1"),
        ("gradient", "fc/bias", "fc"),
        ("statistic", "bn1/running_var", "bn1"),
    ],
)
def test_one_array_that_differs_is_named(compared, right, kind, key, at):
    found = compared(right | {(kind, key): moved(right[kind, key], 1e-6)})
    assert not found.same
    assert found.disagreement is not None
    assert (found.disagreement.at, found.disagreement.kind) == (at, kind)
    assert 1e-8 < found.disagreement.error < 2e-6
    assert found.disagreement.before == 0
    one, other = found.disagreement.values
    assert one != other
    assert str(found.disagreement).startswith(f"{at}: ")
    assert found.worst_node == at


def test_the_first_node_in_order_is_named_though_another_is_worse(compared, right):
    worse = {
        ("output", "fc"): 2.0,
        ("output", "conv3_1.sum"): 1e-6,
        ("gradient", "conv1/weight"): 9,
    }
    found = compared(right | {key: moved(right[key], by) for key, by in worse.items()})
    assert found.disagreement is not None
    assert found.disagreement.at == "conv3_1.sum"
    assert found.worst_node == "conv1"


def test_gradients_are_named_from_the_end(compared, right):
    keys = [("gradient", "conv1/weight"), ("gradient", "fc/weight")]
    found = compared(right | {key: moved(right[key], 1e-3) for key in keys})
    assert found.disagreement is not None
    assert found.disagreement.at == "fc"


def test_what_is_zero_but_for_rounding_has_no_error_of_its_own(compared, right):
    key = ("gradient", "fc/bias")
    noise = 1e-17 * right[key]
    assert compared(right | {key: -noise}, one=right | {key: noise}).same
    assert not compared(right | {key: -1e9 * noise}, one=right | {key: noise}).same


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_a_difference(compared, right, value):
    broken = np.array(right["output", "conv1"])
    broken[0, 0, 0, 0] = value
    found = compared(right | {("output", "conv1"): broken})
    assert not found.same
    assert found.outputs == FARTHEST


def test_a_loss_that_drifts_is_a_difference(compared, right):
    drifted = right | {("loss", "1"): right["loss", "1"] * (1 + 1e-5)}
    found = compared(drifted)
    assert not found.same
    assert found.disagreement is None
    assert 1e-6 < found.losses < 2e-5


def test_an_array_that_one_side_lacks_is_told(compared, right):
    less = {key: array for key, array in right.items() if key != ("gradient", "fc/bias")}
    with pytest.raises(BadRecord, match=r"wanted gradient fc/bias from other, found none"):
        compared(less)


def test_every_node_is_compared(compared, right):
    net = graph(NET)
    for node in net.nodes[1::7]:
        key = ("output", node.address)
        assert not compared(right | {key: right[key] + 1}).same
    for node in (n for n in net if isinstance(n.op, BatchNorm)):
        key = ("statistic", f"{node.address}/running_mean")
        assert compared(right | {key: right[key] + 1}).statistics > 1e-3


def test_parity_survives_json(compared, right):
    found = compared(right | {("output", "fc"): right["output", "fc"] + 1})
    assert records.structure(records.as_json(found), Parity, "here") == found


def test_evidence_comes_back_as_it_was_and_in_order(tmp_path):
    arrays = {("output", "a.b"): np.eye(3), ("gradient", "a.b/weight"): np.arange(4.0)}
    with writing(tmp_path / "x.npz") as keep:
        for (kind, key), array in arrays.items():
            keep(kind, key, array)
    with reading(tmp_path / "x.npz") as found:
        assert list(found) == list(arrays)
        for key, array in arrays.items():
            np.testing.assert_array_equal(found[key](), array)


def test_evidence_is_numbers_alone(tmp_path):
    with writing(tmp_path / "x.npz") as keep, pytest.raises(ValueError, match="Object arrays"):
        keep("output", "a", np.array([object()]))


def test_single_precision_has_a_limit_of_its_own(compared, right):
    moved_a_little = right | {("output", "fc"): moved(right["output", "fc"], 1e-5)}
    assert not compared(moved_a_little).same
    found = compared(moved_a_little, dtype="float32")
    assert (found.same, found.dtype) == (True, "float32")
    further = right | {("output", "fc"): moved(right["output", "fc"], 1e-2)}
    assert not compared(further, dtype="float32").same


def test_modes_are_compared_in_a_precision_that_both_have():
    assert precision("default", "default") == "float64"
    assert precision("default", "native_groups") == "float32"
