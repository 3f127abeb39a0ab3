"""PyTorch's tracer on every model of the libraries that `implementations.toml` lists."""

from __future__ import annotations

import warnings

import pytest

from convbench.frameworks.pytorch.trace.tracer import trace, without_weights
from convbench.frameworks.trace import Other
from convbench.networks.zoo.names import architecture
from tests.oracle.test_implementations import ENTRIES, import_torchvision

WITHOUT_OP = {"adaptive average pool", "stochastic depth"}
"""What these libraries do for which no paper of ours has a layer."""

MODELS = {(entry.library, entry.call): entry for entry in ENTRIES if entry.library != "keras"}


def made(entry):
    import_torchvision()
    import timm  # noqa: PLC0415
    import torchvision  # noqa: PLC0415

    create = timm.create_model if entry.library == "timm" else torchvision.models.get_model
    with without_weights(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The default weight initialization", FutureWarning)
        return create(entry.model, **entry.arguments)


@pytest.mark.parametrize(
    "entry", MODELS.values(), ids=lambda entry: f"{entry.library}-{entry.call}"
)
def test_the_ledger_of_a_library_model_closes(entry):
    found = trace(made(entry), entry.call, architecture(entry.architecture).input)
    every = [*(h for held in found.owned for h in held), *found.unused]
    assert sum(h.size for h in every if h.trainable) == found.parameters == entry.parameters
    assert sum(h.size for h in every if not h.trainable) == found.buffers == entry.buffers
    assert sum(step.macs for step in found.steps) == found.macs
    others = {step.layer.name for step in found.steps if isinstance(step.layer, Other)}
    assert others <= WITHOUT_OP
    assert len({step.address for step in found.steps}) == len(found.steps)
