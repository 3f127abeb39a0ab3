"""Whether a model is the same network in evaluation as in training, but for what is random."""

from __future__ import annotations

from collections.abc import Sequence

from convbench.fidelity.ledger import CONVENTIONS, UNUSED, Entry, ledger
from convbench.fidelity.normal_form import rewritten, without_ends
from convbench.frameworks.trace import Other, Step, Trace
from convbench.networks.ops import Dropout

RANDOM = (
    *("stochastic depth", "dropout of parts", "dropout1d", "dropout2d", "dropout3d"),
    *("alpha dropout", "feature alpha dropout", "gaussian dropout", "gaussian noise"),
    *("spatial dropout 2d", "add noise", "stopped gradient"),
)
"""What is there for training alone."""
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
