"""The passes over a network: what is run and timed, and what is known of each of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

from attrs import frozen

Pass: TypeAlias = Literal["forward", "backward", "train_step", "predict"]


@frozen(kw_only=True)
class PassFacts:
    """What is known of a pass."""

    title: str
    """As a report's headings have it."""
    goes_backward: bool = False
    """Whether it runs the network in training mode, and computes gradients."""
    trains: bool = False
    """Whether it updates the weights as well."""
    everywhere: bool = True
    """Whether every framework has it, in all of its modes."""


PASSES: Mapping[Pass, PassFacts] = MappingProxyType(
    {
        "forward": PassFacts(title="Forward (inference)"),
        "backward": PassFacts(title="Forward and backward", goes_backward=True),
        "train_step": PassFacts(title="Training step", goes_backward=True, trains=True),
        "predict": PassFacts(title="Inference by Keras's Model.predict", everywhere=False),
    }
)
"""The one table of passes, in the order in which options name them."""


EVERYWHERE: tuple[Pass, ...] = tuple(name for name, facts in PASSES.items() if facts.everywhere)
"""The passes that every framework has."""


REPORTED: tuple[Pass, ...] = tuple(sorted(PASSES, key=lambda name: PASSES[name].goes_backward))
"""All passes in the order in which a report shows them: inference first."""
