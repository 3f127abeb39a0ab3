"""A user's model, as a worker needs to know it."""

from __future__ import annotations

from attrs import frozen

from convbench.base.importing import Reference


@frozen(kw_only=True)
class OwnModel:
    """What a worker has to know of a model that is described nowhere."""

    make: Reference
    """Called without arguments, it returns the model."""
    input: tuple[int, ...]
    """One image as the model takes it."""
    classes: int | None = None
    """Of the random labels; None for as many as the model's answer has."""
    loss: Reference | None = None
    """None for cross-entropy."""
    path: tuple[str, ...] = ()
    """Where the process that asks finds its modules."""
    not_from: str = ""
    """The folder whose code is another side's; empty where there is none."""
