"""Every network's exact totals, added up again from its layers and held against a golden file.

A change in a shared block shows here, at once, which networks it touched. If it was meant,
`CONVBENCH_RENEW_GOLDEN=1 pytest tests/test_counts.py` writes the file again: read the difference.
"""

from __future__ import annotations

import os
from math import prod
from pathlib import Path

import pytest
from attrs import evolve

from convbench.architectures import ARCHITECTURES
from convbench.ops import Conv, Dense, TableConv
from tests.builders import graph

GOLDEN = Path(__file__).parent / "golden" / "counts.tsv"
COLUMNS = ("name", "parameters", "buffers", "MACs", "layers")


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


def line(name):
    return "\t".join((name, *(f"{n:,}" for n in added_up(graph(name)))))


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
    assert line(name) == golden().get(name, "not in the golden file")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_layers_add_up_to_the_totals(name):
    net = graph(name)
    assert added_up(net)[:3] == (net.parameters, net.buffers, net.macs)


def test_the_golden_file_lists_the_canon_and_nothing_else():
    assert [*golden()] == [*ARCHITECTURES]


def test_a_bias_that_is_gone_shows():
    net = graph("lenet5_keras")
    kept = (evolve(n, tensors=n.tensors[:1]) if n.address == "conv1" else n for n in net.nodes)
    assert added_up(evolve(net, nodes=tuple(kept)))[0] == net.parameters - 6
