"""Whether a model, anybody's, is the paper's network, and where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from convbench.base.errors import UnknownName, Unsupported
from convbench.fidelity.evaluation import apart
from convbench.fidelity.explanation import KINDS, Explanation
from convbench.fidelity.ledger import Ledger, ledger
from convbench.fidelity.nearest import nearer
from convbench.frameworks.trace import Trace, described
from convbench.frameworks.tracers import Tracer, tracer_of
from convbench.networks.graph import Graph
from convbench.networks.ops import Shape
from convbench.networks.zoo.names import architecture


def explain(
    model: Any,
    as_: str | Graph,
    *,
    input: Shape | None = None,  # noqa: A002  (what a network is given is called so everywhere)
    name: str | None = None,
    allow: Sequence[str] = (),
) -> Explanation:
    """How a PyTorch module or a Keras model differs from an architecture, to the last parameter.

    `as_` is a name of the canon, or a graph, such as `architecture("vgg16", classes=10)` gives.
    The model runs, without computing anything, on images `input` of shape `(C, H, W)`; by default
    those that it fixes itself, or else the architecture's. `name` is what to call the model; the
    name of its class says it otherwise. `allow` names kinds of differences that do not matter: the
    explanation then says whether the model is accepted. Raises UnknownName for a name or a kind,
    Unsupported for what is no model or cannot be traced.
    """
    graph = architecture(as_) if isinstance(as_, str) else as_
    tracer = tracer_of(model)
    name = name or type(model).__name__
    image = input or tracer.image_of(model) or graph.input
    theirs = tracer.trace(model, name, image)
    found = ledger(described(graph), theirs)
    doubts = (*theirs.doubts, *_in_evaluation(tracer, model, theirs, image))
    _require_kinds(allow, found)
    nearest = nearer(theirs, found, graph.name)
    notes = (*theirs.notes, *([nearest] if nearest else []))
    return Explanation(name, graph.name, theirs.framework, found, notes, doubts, tuple(allow))


def _require_kinds(allow: Sequence[str], found: Ledger) -> None:
    """Raises UnknownName for what is no kind of difference."""
    known = dict.fromkeys((*KINDS, *(entry.kind for entry in found.entries)))
    for kind in allow:
        if kind not in known:
            raise UnknownName("kind of difference", kind, tuple(known))


def _in_evaluation(tracer: Tracer, model: Any, training: Trace, image: Shape) -> Iterator[str]:
    """What is to be doubted of a model because of what it does in evaluation."""
    try:
        other = apart(training, tracer.trace(model, training.name, image, training=False))
    except Unsupported as error:
        other = f"in evaluation it cannot be followed: {error.why}"
    if other:
        yield other
