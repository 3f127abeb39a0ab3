"""The figures of `implementations.toml` against the libraries themselves."""

from __future__ import annotations

import math
import warnings
from importlib.metadata import version

import pytest
from attrs import evolve

from convbench.papers.implementations import LIBRARIES, read_implementations
from convbench.papers.sources import tables_folder


def keras_counts(entry):
    import keras  # noqa: PLC0415

    def values(variables):
        return sum(math.prod(variable.shape) for variable in variables)

    with keras.StatelessScope(initialize_variables=False):  # shapes alone, no memory
        model = getattr(keras.applications, entry.model)(weights=None, **entry.arguments)
    return values(model.trainable_weights), values(model.non_trainable_weights)


def timm_counts(entry):
    import_torchvision()
    import timm  # noqa: PLC0415

    return torch_counts(timm.create_model, entry)


def torchvision_counts(entry):
    return torch_counts(import_torchvision().models.get_model, entry)


def torch_counts(create, entry):
    import torch  # noqa: PLC0415

    with torch.device("meta"), warnings.catch_warnings():  # shapes alone, no memory
        warnings.filterwarnings("ignore", "The default weight initialization", FutureWarning)
        model = create(entry.model, **entry.arguments)
    trained = sum(value.numel() for value in model.parameters() if value.requires_grad)
    kept = {name: value.numel() for name, value in model.named_buffers()}
    return trained, sum(n for name, n in kept.items() if not name.endswith("num_batches_tracked"))


def import_torchvision():
    """Torchvision, whose wheel on PyPI is built for CUDA, also beside a CPU build of PyTorch.

    There its compiled operators do not load, and its import asks for two of them, which are for
    detection; no classifier uses them.
    """
    import torch  # noqa: PLC0415

    try:
        import torchvision  # noqa: PLC0415
    except RuntimeError:
        for name in ("nms", "qnms"):
            boxes = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", boxes)
        import torchvision  # noqa: PLC0415
    return torchvision


COUNTS = {"keras": keras_counts, "timm": timm_counts, "torchvision": torchvision_counts}

ENTRIES = read_implementations(tables_folder())


def objection(entry):
    """What is wrong with an entry in one sentence; None if nothing is."""
    installed = version(entry.library)
    if installed != entry.version:
        return f"{entry.where}: wanted version {installed}, found {entry.version}"
    counts = COUNTS[entry.library](entry)
    if counts != (entry.parameters, entry.buffers):
        return f"{entry.where}: wanted {counts}, found {(entry.parameters, entry.buffers)}"
    return None


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.library}-{entry.call}")
def test_an_implementation_is_what_the_table_says(entry):
    assert objection(entry) is None


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "wrong",
    [
        {"parameters": 1},
        {"buffers": 1},
        {"version": "0.0.1"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_wrong_figure_is_seen(library, wrong):
    entry = next(entry for entry in ENTRIES if entry.library == library)
    assert "wanted" in objection(evolve(entry, **wrong))
