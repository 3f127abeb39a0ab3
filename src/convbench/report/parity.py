"""The section of a report that says what was proven to compute the same function, and how far."""

from __future__ import annotations

from collections.abc import Sequence

from convbench.base.text_tables import escaped, table
from convbench.base.units import clock, count
from convbench.checks.parity import SAME, SAME_LOSSES, Parity
from convbench.measure.records import Entry

NOTE = (
    "From the same weights and the same batch: the largest relative error (in the Euclidean norm) "
    "of any node's output, of the gradients and of the batch-norm statistics of any node after a "
    "training step, and of the losses of the steps; dropout is off. Two sides are the same "
    f"function up to {SAME['float64']:.0e} in double precision, with losses up to "
    f"{SAME_LOSSES['float64']:.0e}; where a mode has single precision alone, up to "
    f"{SAME['float32']:.0e}. The worst node is where they are farthest apart, in agreement or not."
)


def section(entries: Sequence[Entry]) -> str:
    """The section; nothing where nothing was compared."""
    found = [entry for entry in entries if isinstance(entry, Parity)]
    if not found:
        return ""
    return "\n\n".join(("## The same function", NOTE, table([_row(p) for p in found]), _sum(found)))


def _row(found: Parity) -> dict[str, str]:
    steps = "" if found.steps == 1 else f" of {found.steps} steps"
    return {
        "architecture": found.name,
        "sides": " and ".join(found.sides),
        "precision": found.dtype,
        "outputs": f"{found.outputs:.0e}",
        "gradients": f"{found.gradients:.0e}",
        "statistics": f"{found.statistics:.0e}",
        "losses": f"{found.losses:.0e}{steps}",
        "worst node": found.worst_node,
        "seconds": f"{found.seconds:.1f}",
        "verdict": "same" if found.same else f"DIFFERENT: {found.disagreement or 'losses'}",
    }


def _sum(found: Sequence[Parity]) -> str:
    """How many were compared, in what time, and the worst of them."""
    worst = max(found, key=lambda parity: parity.error)
    same = sum(parity.same for parity in found)
    took = clock(sum(parity.seconds for parity in found))
    return (
        f"{count(same)} of {count(len(found))} pairs are the same function; comparing them took "
        f"{took}. The largest error of all is {worst.error:.0e}, at "
        f"{escaped(worst.worst_node)} of {escaped(worst.name)}."
    )
