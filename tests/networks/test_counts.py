"""Every network's exact totals, added up again from its layers, and a digest of all its wiring.

A change in a shared block shows here, at once, which networks it touched. If it was meant,
`CONVBENCH_RENEW_GOLDEN=1 pytest tests/networks/test_counts.py` writes the file again: read
the difference.
"""

from __future__ import annotations

import hashlib
import os
from math import prod

import pytest
from attrs import evolve

from convbench.networks.ops import AvgPool, Conv, Dense, MaxPool, TableConv
from convbench.networks.zoo.names import ARCHITECTURES
from tests.conftest import ROOT
from tests.support.builders import graph

GOLDEN = ROOT / "tests" / "golden" / "counts.tsv"
RENEW = "if this was meant: CONVBENCH_RENEW_GOLDEN=1 pytest tests/networks/test_counts.py"
COLUMNS = ("name", "parameters", "buffers", "MACs", "layers", "digest")


def added_up(net):
    """The totals of a graph, from the shapes of its layers' arrays and outputs alone."""
    parameters = buffers = macs = 0
    for node in net.nodes:
        sizes = {tensor.name: prod(tensor.shape) for tensor in node.tensors}
        trained = {tensor.name for tensor in node.tensors if tensor.trainable}
        parameters += sum(size for name, size in sizes.items() if name in trained)
        buffers += sum(size for name, size in sizes.items() if name not in trained)
        if isinstance(node.op, Conv | TableConv | Dense):
            macs += sizes["weight"] * prod(node.output[1:])
    return parameters, buffers, macs, len(net.nodes)


def digest(net):
    """Changes with any layer's kind, constants, inputs or their order, with what is frozen or lost.

    No total shows whether a pooling takes the maximum or the mean, or what a branch reads.
    """
    wiring = [(node.address, node.op, node.inputs, node.frozen) for node in net.nodes]
    return hashlib.sha256(repr((wiring, net.auxiliary)).encode()).hexdigest()[:12]


def line(name):
    net = graph(name)
    return "\t".join((name, *(f"{n:,}" for n in added_up(net)), digest(net)))


def golden():
    rows = GOLDEN.read_text(encoding="utf-8").splitlines()
    assert tuple(rows[0].split("\t")) == COLUMNS
    return {row.partition("\t")[0]: row for row in rows[1:]}


@pytest.fixture(scope="module", autouse=True)
def renewed():
    if os.environ.get("CONVBENCH_RENEW_GOLDEN"):
        lines = ["\t".join(COLUMNS), *map(line, ARCHITECTURES)]
        GOLDEN.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_totals_are_what_they_were(name):
    assert line(name) == golden().get(name, "not in the golden file"), RENEW


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_layers_add_up_to_the_totals(name):
    net = graph(name)
    assert added_up(net)[:3] == (net.parameters, net.buffers, net.macs)


def test_the_golden_file_lists_the_canon_and_nothing_else():
    assert [*golden()] == [*ARCHITECTURES], RENEW


def test_a_bias_that_is_gone_shows():
    net = graph("lenet5_keras")
    kept = (evolve(n, tensors=n.tensors[:1]) if n.address == "conv1" else n for n in net.nodes)
    assert added_up(evolve(net, nodes=tuple(kept)))[0] == net.parameters - 6


@pytest.mark.parametrize(
    "change",
    [
        {"op": AvgPool(2, stride=2, count_padding=False)},
        {"op": MaxPool(2, stride=2, padding=(0, 1, 0, 1))},
        {"inputs": ("conv1",)},
        {"frozen": True},
        {"address": "pool9"},
    ],
)
def test_any_change_of_a_layer_changes_the_digest(change):
    net = graph("lenet5_keras")
    nodes = tuple(evolve(n, **change) if n.address == "pool1" else n for n in net.nodes)
    assert digest(evolve(net, nodes=nodes)) != digest(net)
    assert digest(evolve(net, auxiliary=(("softmax", 0.3),))) != digest(net)
