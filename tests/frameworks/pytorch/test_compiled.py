"""PyTorch's compiled mode never runs eagerly in silence: what cannot be compiled is refused."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.pytorch, pytest.mark.processes]

BREAKS = """
import torch
from convbench.frameworks.pytorch.modes import runnable

class Breaks(torch.nn.Module):
    def forward(self, x):
        torch._dynamo.graph_break()
        return x + 1

for mode in ("default", "compiled"):
    print(mode, runnable(Breaks(), mode)(torch.zeros(1)).item())
"""


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"CXX": "/no/such/compiler"}, "No working C++ compiler found"),
        ({"TORCH_COMPILE_DISABLE": "1"}, "torch.compile does not compile here ("),
    ],
)
def test_what_does_not_compile_is_refused_in_one_sentence(environment, why):
    words = ("parity", "lenet1", "--framework", "pytorch", "--mode", "compiled")
    done = run("-m", "convbench", *words, **environment)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("convbench: lenet1 pytorch compiled parity: mode compiled: ")
    assert why in line
    assert "install a C++ compiler such as g++, and unset TORCH_COMPILE_DISABLE" in line


def test_a_graph_that_breaks_is_no_compiled_graph():
    done = run("-c", BREAKS)
    assert done.stdout == "default 1.0\n"
    assert "graph_break" in done.stderr
