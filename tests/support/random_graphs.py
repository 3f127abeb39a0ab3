"""Small networks drawn at random, and changes of one kind each to make to them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from attrs import evolve, frozen

from convbench.base.errors import BadAddress, BadLayer, ShapeMismatch
from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    Op,
    Relu,
    Relu6,
    Silu,
    Softmax,
)

Line = tuple[str, Op, tuple[str, ...]]
"""Address, layer and inputs: one call of a Builder."""


def random_graph(seed: int) -> Graph:
    """A network of a few blocks: plain, residual or branched, with or without batch norm."""
    draw = Random(seed)
    net = Builder(f"random{seed}", (3, 24, 24))
    x = _layer(net, draw, net.input, "stem", 8, 3)
    for i in range(draw.randint(2, 4)):
        width = draw.choice((8, 12, 16))
        x = draw.choice((_plain, _residual, _branched))(net, draw, x, f"block{i}", width)
        if draw.random() < 0.3 and net.shape(x)[1] > 4:
            pool = draw.choice((MaxPool(2, stride=2), AvgPool(2, stride=2, count_padding=True)))
            x = net(f"block{i}.end", pool, x)
    x = net("pool", GlobalAvgPool(), x)
    x = net("flatten", Flatten(), x)
    x = net("dropout", Dropout(0.5), x)
    net("softmax", Softmax(), net("fc", Dense(10), x))
    return net.graph()


def _layer(net, draw, x, at, width, kernel, stride=1):
    """A convolution with what belongs to it."""
    normed = draw.random() < 0.6
    conv = Conv(width, kernel=kernel, stride=stride, padding=kernel // 2, bias=not normed)
    x = net(f"{at}.conv", conv, x)
    x = net(f"{at}.bn", BatchNorm(eps=1e-5, decay=0.9), x) if normed else x
    return net(f"{at}.relu", Relu(), x)


def _plain(net, draw, x, at, width):
    stride = draw.choice((1, 2)) if net.shape(x)[1] > 6 else 1
    x = _layer(net, draw, x, f"{at}.a", width, draw.choice((3, 5)), stride)
    return _layer(net, draw, x, f"{at}.b", width + 4, 3)


def _residual(net, draw, x, at, width):
    inner = _layer(net, draw, x, f"{at}.a", width, 3)
    inner = _layer(net, draw, inner, f"{at}.b", width, 3)
    short = net(f"{at}.shortcut", Conv(width, kernel=1, bias=False), x)
    return net(f"{at}.relu", Relu(), net(f"{at}.sum", Add(), inner, short))


def _branched(net, draw, x, at, width):
    one = _layer(net, draw, x, f"{at}.one", width, 1)
    two = _layer(net, draw, x, f"{at}.two_a", width // 2, 1)
    two = _layer(net, draw, two, f"{at}.two_b", width, 3)
    three = net(f"{at}.pool", MaxPool(3, stride=1, padding=1), x)
    three = _layer(net, draw, three, f"{at}.three", width // 2, 1)
    return net(f"{at}.concat", Concat(), one, two, three)


def lines_of(graph: Graph) -> list[Line]:
    """The calls that make a graph, but for its input."""
    return [(node.address, node.op, node.inputs) for node in graph.nodes[1:]]


def rebuilt(graph: Graph, lines: list[Line], auxiliary: dict[str, float] | None = None) -> Graph:
    """The graph that other calls make; raises what a Builder raises."""
    net = Builder(graph.name, graph.input)
    for at, op, inputs in lines:
        net(at, op, *inputs)
    return net.graph(auxiliary)


@frozen
class Change:
    """One kind of change, and how the ledger should call it."""

    kind: str
    make: Callable[[Graph, list[Line], int], Graph | None]
    """The graph with the layer at this position changed; None where that cannot be."""
    seen_by_parity: bool = True
    """Dropout is off in parity, so what is about it alone is not seen there."""


def changed(graph: Graph, change: Change, seed: int) -> Graph | None:
    """The graph with a change at a place drawn at random, if there is a place for it."""
    lines = lines_of(graph)
    places = list(range(len(lines)))
    Random(seed).shuffle(places)
    for place in places:
        try:
            made = change.make(graph, list(lines), place)
        except (ShapeMismatch, BadAddress, BadLayer):
            continue
        if made is not None:
            return made
    return None


def _op(kind, alter):
    """A change that puts another layer in the place of one of a kind; None leaves it alone."""

    def make(graph, lines, place):
        at, op, inputs = lines[place]
        other = alter(op, graph[inputs[0]].output) if isinstance(op, kind) else None
        if other is None:
            return None
        lines[place] = (at, other, inputs)
        return rebuilt(graph, lines)

    return make


def _kernel(op, image):
    if op.kernel == (1, 1):
        return evolve(op, kernel=3, padding=1) if image[1] > 1 and op.stride == (1, 1) else None
    return evolve(op, kernel=op.kernel[0] - 2, padding=tuple(p - 1 for p in op.padding))


def _shifted(op, _):
    return evolve(op, padding=(0, 2, 0, 2)) if op.padding == (1, 1, 1, 1) else None


def _missing(graph, lines, place):
    at, op, inputs = lines[place]
    if not isinstance(op, Relu | BatchNorm) or graph[at].output != graph[inputs[0]].output:
        return None
    return rebuilt(graph, _rewired(lines[:place] + lines[place + 1 :], at, inputs[0]))


def _rewired(lines, old, new):
    return [(at, op, tuple(new if i == old else i for i in inputs)) for at, op, inputs in lines]


def _inserted(lines, place, op, name="inserted"):
    at, _, inputs = lines[place]
    lines[place] = (at, lines[place][1], (name, *inputs[1:]))
    return [*lines[:place], (name, op, (inputs[0],)), *lines[place:]]


def _extra(graph, lines, place):
    _, _, inputs = lines[place]
    source = graph[inputs[0]]
    if len(source.output) != 3 or len(inputs) > 1 or isinstance(source.op, Relu):
        return None
    op = Conv(source.output[0], kernel=1) if place % 2 else Silu()
    return rebuilt(graph, _inserted(lines, place, op))


def _norm_for_bias(graph, lines, place):
    at, op, inputs = lines[place]
    if not isinstance(op, Conv) or not op.bias:
        return None
    lines[place] = (at, evolve(op, bias=False), inputs)
    behind = _rewired(lines[place + 1 :], at, "norm")
    return rebuilt(
        graph, [*lines[: place + 1], ("norm", BatchNorm(eps=1e-5, decay=0.9), (at,)), *behind]
    )


def _bias_for_norm(graph, lines, place):
    at, op, _ = lines[place]
    if not isinstance(op, BatchNorm):
        return None
    before, conv, its = lines[place - 1]
    lines[place - 1] = (before, evolve(conv, bias=True), its)
    return rebuilt(graph, _rewired(lines[:place] + lines[place + 1 :], at, before))


def _stride_moved(graph, lines, place):
    at, op, inputs = lines[place]
    if not isinstance(op, Conv) or op.stride == (1, 1):
        return None
    for later in range(place + 1, len(lines)):
        if isinstance(lines[later][1], Conv):
            break
    name, conv, its = lines[later]
    lines[place] = (at, evolve(op, stride=1), inputs)
    lines[later] = (name, evolve(conv, stride=2), its)
    return rebuilt(graph, lines)


def _head(graph, lines, place):
    at = lines[place][0]
    if len(graph[at].output) != 3 or place > len(lines) - 8:
        return None
    head = [
        ("aux.pool", GlobalAvgPool(), (at,)),
        ("aux.flatten", Flatten(), ("aux.pool",)),
        ("aux.fc", Dense(10), ("aux.flatten",)),
        ("aux.softmax", Softmax(), ("aux.fc",)),
    ]
    return rebuilt(graph, [*lines[: place + 1], *head, *lines[place + 1 :]], {"aux.softmax": 0.3})


def _swapped(graph, lines, place):
    """Batch norm after the ReLU instead of before it."""
    at, op, inputs = lines[place]
    if not isinstance(op, BatchNorm) or not isinstance(lines[place + 1][1], Relu):
        return None
    relu = lines[place + 1]
    behind = _rewired(lines[place + 2 :], relu[0], at)
    return rebuilt(
        graph, [*lines[:place], (relu[0], relu[1], inputs), (at, op, (relu[0],)), *behind]
    )


CHANGES = (
    Change("kernel size", _op(Conv, _kernel)),
    Change("stride position", _stride_moved),
    Change("bias added", _op(Conv, lambda op, _: None if op.bias else evolve(op, bias=True))),
    Change("bias missing", _op(Conv, lambda op, _: evolve(op, bias=False) if op.bias else None)),
    Change("batch norm in place of bias", _norm_for_bias),
    Change("bias in place of batch norm", _bias_for_norm),
    Change("batch norm without scale", _op(BatchNorm, lambda op, _: evolve(op, scale=False))),
    Change("groups", _op(Conv, lambda op, image: evolve(op, groups=2) if image[0] > 3 else None)),
    Change("channels", _op(Conv, lambda op, _: evolve(op, channels=op.channels * 2))),
    Change("layer missing", _missing),
    Change("layer extra", _extra),
    Change("auxiliary head added", _head),
    Change("padding", _op(Conv, _shifted)),
    Change("epsilon", _op(BatchNorm, lambda op, _: evolve(op, eps=1e-3))),
    Change("momentum", _op(BatchNorm, lambda op, _: evolve(op, decay=0.99))),
    Change("activation", _op(Relu, lambda *_: Relu6())),
    Change("order of operations", _swapped),
    Change("dropout rate", _op(Dropout, lambda *_: Dropout(0.2)), seen_by_parity=False),
)


def shuffled(graph: Graph, seed: int) -> Graph:
    """The same network, written down in another order of branches."""
    draw = Random(seed)
    *waiting, answer = lines_of(graph)
    known, lines = {graph.nodes[0].address}, []
    while waiting:
        ready = [line for line in waiting if known.issuperset(line[2])]
        at, op, inputs = line = draw.choice(ready)
        waiting.remove(line)
        known.add(at)
        if isinstance(op, Add | Concat):
            inputs = tuple(draw.sample(inputs, len(inputs)))
        lines.append((at, op, inputs))
    return rebuilt(graph, [*lines, answer], dict(graph.auxiliary))
