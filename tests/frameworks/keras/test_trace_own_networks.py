"""Networks of ours, compiled to Keras and traced back to their descriptions."""

from __future__ import annotations

import pytest
from attrs import evolve

from convbench.base.errors import Unsupported
from convbench.frameworks.trace import Trace, described
from convbench.networks.ops import AvgPool, Flatten
from convbench.networks.zoo.names import architecture
from tests.support.small_graphs import GRAPHS, OTHERS

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")


from convbench.frameworks.keras.on_tensorflow import framework  # noqa: E402
from tests.support.keras_traces import closes, traced  # noqa: E402

pytestmark = pytest.mark.keras


def plainly(trace: Trace):
    """What a trace says, without what descriptions and Keras write differently.

    Padding may be a layer of its own; of a vector of one position flattening makes nothing.
    """
    named, found = {}, {}
    for position, step in enumerate(trace.steps):
        read = tuple(named[i] for i in step.inputs)
        named[position] = step.address
        if isinstance(step.layer, Flatten) and trace.steps[step.inputs[0]].output[1:] == (1, 1):
            named[position] = read[0]
            continue
        layer, before = step.layer, found.get(read[0]) if read else None
        if before and read[0] == f"{step.address}.padding":
            layer = evolve(layer, padding=before[0].padding)
            if isinstance(layer, AvgPool):
                layer = evolve(layer, count_padding=True)
            read = found.pop(read[0])[1]
        if isinstance(layer, AvgPool) and not any(layer.padding):
            layer = evolve(layer, count_padding=False)
        held = [(t.name, t.shape, t.trainable) for t in step.tensors]
        found[step.address] = (layer, read, step.output, held)
    return found, [trace.steps[i].address for i in trace.outputs]


def built(graph, mode="default"):
    return framework().build(graph, allocate=False, mode=mode).native


def same(trace: Trace, graph) -> bool:
    totals = (trace.parameters, trace.buffers, sum(step.macs for step in trace.steps))
    wanted = (graph.parameters, graph.buffers, graph.macs)
    return totals == wanted and plainly(trace) == plainly(described(graph))


@pytest.mark.parametrize("name", GRAPHS)
def test_a_network_of_ours_is_traced_back_to_its_description(name):
    graph = GRAPHS[name]()
    trace = traced(built(graph), graph.input)
    assert same(trace, graph)
    assert closes(trace)
    assert (trace.unused, trace.doubts) == ((), ())


@pytest.mark.parametrize(
    "name",
    [
        *("lenet5", "alexnet", "vgg11_lrn", "googlenet_aux", "resnet20_cifar", "resnet50_v1_5"),
        *("squeezenet", "mobilenet_v2", "efficientnet_b0", "vgg16_cats_dogs_finetuned"),
    ],
)
def test_the_canon_is_traced_back_to_its_description(name):
    graph = architecture(name)
    assert same(traced(built(graph), graph.input), graph)


def test_grouped_kernels_of_tensorflow_are_convolutions():
    graph = GRAPHS["towers"]()
    try:
        network = built(graph, "native_groups")
    except Unsupported as error:
        pytest.skip(str(error))
    assert same(traced(network, graph.input), graph)


@pytest.mark.parametrize("change", OTHERS)
def test_another_network_is_seen_to_be_another(change):
    other = OTHERS[change]
    assert not same(traced(built(other), other.input), GRAPHS[other.name]())
