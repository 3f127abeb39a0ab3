"""What stands beside ours in `tests/oracle/speed.py` is the papers' network, too."""

from __future__ import annotations

import importlib.util

import pytest

from convbench import explain

pytestmark = [pytest.mark.pytorch, pytest.mark.processes]


@pytest.mark.parametrize(("model", "name"), [("ResNet50", "resnet50"), ("MobileNet", "mobilenet")])
def test_plain_models_are_the_papers(model, name):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    from tests.support import plain_torch  # noqa: PLC0415  (imports PyTorch)

    found = explain(getattr(plain_torch, model)(), name)
    assert found.same, str(found)
