"""Which other network of the canon a model is nearer to, for those who named the wrong one."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

from convbench.base.errors import ConvbenchError
from convbench.fidelity.explanation import LONGEST, grouped
from convbench.fidelity.ledger import CONVENTIONS, Ledger, ledger
from convbench.frameworks.trace import Trace, described
from convbench.networks.zoo.names import ARCHITECTURES, architecture

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
    for other in ARCHITECTURES:
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
