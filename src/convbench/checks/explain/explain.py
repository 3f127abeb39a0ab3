"""Whether a model, anybody's, is the paper's network, and where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from convbench.base.errors import ConvbenchError, UnknownName, Unsupported
from convbench.checks.explain.explanation import KINDS, LONGEST, Explanation, grouped
from convbench.checks.explain.ledger import CONVENTIONS, UNUSED, Entry, Ledger, ledger
from convbench.checks.explain.normal_form import rewritten, without_ends
from convbench.frameworks.trace import RANDOM, Other, Step, Trace, described
from convbench.frameworks.tracers import Tracer, tracer_of
from convbench.networks.graph import Graph
from convbench.networks.ops import Dropout, Shape
from convbench.networks.zoo.names import architecture, names


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


_FROZEN = "batch norm instead of frozen batch norm"
_ALLOWED = (*CONVENTIONS, UNUSED, "auxiliary head missing", "output missing")


def apart(training: Trace, evaluation: Trace) -> str:
    """In what a model differs in evaluation, in a sentence; empty if in nothing."""
    _, before = without_ends(rewritten(training, _without_random))
    _, after = without_ends(evaluation)  # probabilities may be for users, logits for the loss
    found = ledger(before, after).entries
    other = [entry for entry in found if entry.kind not in _ALLOWED and entry.text != _FROZEN]
    if not other:
        return ""
    more = f" and {len(other) - 1} more" if len(other) > 1 else ""
    return f"in evaluation it is another network than in training: {_said(other[0])}{more}"


def _said(entry: Entry) -> str:
    at = next(iter((*entry.theirs, *entry.ours)), "")
    text = "" if entry.text == entry.kind else f" ({entry.text})"
    return f"{entry.kind}{text} at {at}"


def _without_random(step: Step, _: Sequence[Step]) -> Step | int:
    """What only training does is left out."""
    return step.inputs[0] if _is_random(step) else step


def _is_random(step: Step) -> bool:
    layer = step.layer
    name = layer.name if isinstance(layer, Other) else ""
    return len(step.inputs) == 1 and (isinstance(layer, Dropout) or name in RANDOM)


WITHIN = 0.02
"""How far parameters may be apart for a network to be looked at, relative to the model's."""


def nearer(theirs: Trace, than: Ledger, name: str) -> str | None:
    """A sentence that names the network that it is, or to which it is nearer by far.

    None is nearer for those who can see all differences from the one that they named.
    """
    differences = _kinds(than)
    if not differences:
        return None
    found = {}
    for other in names():
        with suppress(ConvbenchError):  # a network of the user's own may not be what it should
            apart = abs(_parameters(other) - theirs.parameters)
            if other != name and apart <= WITHIN * theirs.parameters:
                found[other] = _kinds(ledger(described(architecture(other)), theirs))
    nearest = min(found, key=lambda other: found[other], default=None)
    if nearest is None or found[nearest] >= differences:
        return None
    if not found[nearest]:
        return f"It is {nearest}."
    if differences <= LONGEST:
        return None
    kinds = "one kind" if found[nearest] == 1 else f"{found[nearest]} kinds"
    return f"It is nearer to {nearest}, with {kinds} of differences instead of {differences}."


@cache
def _parameters(name: str) -> int:
    return architecture(name).parameters


def _kinds(found: Ledger) -> int:
    """How many lines the differences in the network are."""
    return sum(entries[0].kind not in CONVENTIONS for entries in grouped(found.entries))
