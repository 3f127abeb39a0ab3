"""How much memory a task needs at least, by arithmetic, and how it is told that it does not fit.

A lower bound must hold for whatever a framework may do: it leaves out everything that some order
of the work, or some compiler, could do without. What fits is never refused.
"""

from __future__ import annotations

import re
from math import prod

from attrs import frozen

from convbench.base.errors import ConvbenchError, Shortage
from convbench.base.units import Byte
from convbench.frameworks.modes import parts
from convbench.measure.machine import environment
from convbench.measure.records import Task
from convbench.networks.graph import Graph
from convbench.networks.ops import BatchNorm, Conv, Dense, Dropout, Flatten
from convbench.networks.passes import PASSES

VALUE_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
KEEPING = ("pytorch", "keras", "keras-torch")
"""Frameworks that keep what gradients need, where no compiler may compute it once more."""


@frozen(str=False, eq=False)
class DoesNotFit(ConvbenchError):
    """A task that needs more memory than it may have."""

    shortage: Shortage

    @classmethod
    def beyond(cls, needed: Byte, limit: Byte | None) -> DoesNotFit:
        """A task that needs more than the limit, or than there is."""
        return cls(Shortage(needed, limit))

    def __str__(self) -> str:
        return f"does not fit: {self.shortage}; choose a smaller batch"


def refuse_beyond(needed: Byte, limit: Byte | None) -> None:
    """Raises DoesNotFit for what needs more than the limit, or than the machine has left."""
    if limit is not None and needed > limit:
        raise DoesNotFit.beyond(needed, limit)
    available = environment.available_bytes()
    if needed > available:
        raise DoesNotFit(Shortage(needed, available=available))


def of_task(graph: Graph, task: Task) -> Byte:
    """What a task holds at one moment at least: the largest of what three moments hold."""
    value = VALUE_BYTES.get(task.dtype, min(VALUE_BYTES.values()))
    weight = max(value, VALUE_BYTES["float32"])  # half precisions are mixed
    weights = weight * (graph.parameters + graph.buffers)
    at_work = value * task.batch * _layer_at_work(graph)
    if not task.goes_backward:
        return weights + at_work
    # When the gradients begin, all that they need is there, and none of them. Then what they need
    # may go as they come: in the end they are there, unless each is used, and dropped, at once.
    momentum = weight * graph.parameters if PASSES[task.pass_].trains else 0
    keeps = task.framework in KEEPING and "compiled" not in parts(task.mode)
    kept = value * task.batch * _kept_for_gradients(graph) if keeps else 0
    largest = max((node.parameters for node in graph), default=0)
    gradients = weight * (largest if PASSES[task.pass_].trains else graph.parameters)
    return weights + momentum + max(at_work, kept, gradients)


def of_examination(graph: Graph, batch: int, dtype: str) -> Byte:
    """What it takes to answer with every node's output and to train the weights with momentum."""
    outputs = sum(prod(n.output) for n in graph if not isinstance(n.op, Flatten | Dropout))
    return VALUE_BYTES[dtype] * (batch * outputs + 3 * graph.parameters)


def _layer_at_work(graph: Graph) -> int:
    """The images, and the layer whose input and output are the most values, for one image.

    Only of layers that multiply with weights: others may share memory, or be merged.
    """
    images = prod(graph.input)
    sizes = [
        prod(node.output) + sum(prod(graph[name].output) for name in node.inputs if name != first)
        for first in [graph.nodes[0].address]
        for node in graph.leading_to((graph.output.address,))
        if isinstance(node.op, Conv | Dense)
    ]
    return images + max(sizes, default=0)


def _kept_for_gradients(graph: Graph) -> int:
    """What must outlive the forward pass, for one image: the inputs of layers that are trained.

    Those that lead to the network's own answer alone: an auxiliary classifier may be done with
    before that is known. What several layers read is kept once.
    """
    kept: dict[str, int] = {graph.nodes[0].address: prod(graph.input)}
    for node in graph.leading_to((graph.output.address,)):
        if isinstance(node.op, Conv | Dense | BatchNorm) and node.parameters:
            source = graph[node.inputs[0]]
            while isinstance(source.op, Flatten | Dropout):  # which may be what entered them
                source = graph[source.inputs[0]]
            kept[source.address] = prod(source.output)
    return sum(kept.values())


_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}
_ASKED = re.compile(r"(?:to allocate|unable to allocate) ([\d.]+) (\w+)", re.IGNORECASE)
_SHAPED = re.compile(r"allocating tensor with shape\[([\d,]+)\] and type (\w+)")
_SHAPED_BYTES = {"double": 8, "float": 4, "bfloat16": 2, "half": 2}


def asked_for(text: str) -> Byte:
    """The memory that a framework says it asked for in vain; 0 if it does not say.

    >>> asked_for("DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes.")
    64
    >>> asked_for("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of")
    2147483648
    >>> asked_for("OOM when allocating tensor with shape[4,64,8,8] and type float on /job")
    65536
    """
    if (plain := _ASKED.search(text)) and plain[2] in _UNITS:
        return int(float(plain[1]) * _UNITS[plain[2]])
    if shaped := _SHAPED.search(text):
        return prod(map(int, shaped[1].split(","))) * _SHAPED_BYTES.get(shaped[2], 1)
    return 0
