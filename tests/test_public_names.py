"""The public API: what `convbench` names, that it is documented, and that it is typed."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import convbench
from convbench.base.errors import UnknownName, Unsupported

ROOT = Path(__file__).parents[1]
USER = """\
from convbench import (
    Builder,
    ConvbenchError,
    Explanation,
    Finding,
    Graph,
    Throughput,
    __version__,
    architecture,
    check,
    explain,
    load_run,
    names,
    ops,
)


def small(name: str) -> Graph:
    net = Builder(name, (1, 8, 8))
    net.chain(
        net.input,
        ("flatten", ops.Flatten()),
        ("scores", ops.Dense(3)),
        ("softmax", ops.Softmax()),
    )
    return net.graph()


def differing(name: str) -> tuple[Finding, ...]:
    return check(name).differs


def explained(model: object) -> Explanation:
    return explain(model, architecture("lenet5", classes=3))


def fastest(found: Throughput) -> float:
    return max(one.images_per_second for one in found.values())


def best(folder: str) -> float:
    return float(load_run(folder).throughput["images_per_second"].max())


def known() -> tuple[str, ...]:
    try:
        return names()
    except ConvbenchError as error:
        raise SystemExit(f"{__version__}: {error}") from error
"""


def test_all_is_what_can_be_imported_in_order_and_nothing_else():
    exported = {}
    exec("from convbench import *", exported)
    assert sorted(set(exported) - {"__builtins__"}) == convbench.__all__
    modules = set(convbench._MODULES)
    assert {*modules, "__version__"} == set(convbench.__all__)
    assert set(convbench.__all__) <= set(dir(convbench))


@pytest.mark.parametrize("name", [n for n in convbench.__all__ if n != "__version__"])
def test_each_public_name_says_what_it_is(name):
    assert getattr(convbench, name).__doc__.strip()


def test_a_name_that_is_not_public_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute ARCHITECTURES"):
        _ = convbench.ARCHITECTURES


def mypy(folder: Path, text: str) -> str:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed; it is in the dependency group test")
    (folder / "user.py").write_text(text, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--follow-imports=silent",
    ]
    ran = subprocess.run(
        [*command, f"--cache-dir={folder / 'cache'}", "user.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr


@pytest.mark.processes
def test_a_users_file_with_each_name_passes_strict_types(tmp_path):
    assert set(convbench.__all__) <= set(re.findall(r"\w+", USER))
    assert mypy(tmp_path, USER) == "Success: no issues found in 1 source file\n"


@pytest.mark.processes
def test_type_checkers_see_a_name_that_is_not_public(tmp_path):
    found = mypy(tmp_path, "from convbench import architectures\nnumber: str = 1\n")
    assert 'has no attribute "architectures"' in found


def test_a_network_is_checked_by_name_or_as_a_graph():
    report = convbench.check("lenet5")
    assert report.proven
    assert report.framework is None
    assert all(isinstance(found, convbench.Finding) for found in report.findings)
    assert convbench.check(convbench.architecture("lenet5")) == report


def test_what_has_no_table_is_not_checked():
    with pytest.raises(UnknownName, match="lenet5"):
        convbench.check("lenet55")
    with pytest.raises(UnknownName):
        convbench.check(convbench.architecture("vgg16", classes=10))
    with pytest.raises(Unsupported, match="give the name"):
        convbench.check(convbench.architecture("lenet5"), "pytorch")


@pytest.mark.pytorch
@pytest.mark.processes
def test_a_frameworks_model_is_checked_in_a_worker():
    pytest.importorskip("torch")
    report = convbench.check("lenet5", "pytorch")
    assert report.proven
    assert report.framework == "pytorch"


@pytest.mark.parametrize(
    "page", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"], ids=lambda page: page.stem
)
def test_pages_import_from_the_package_alone(page):
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^(?:>>> )?\s*(?:from|import) convbench\..*", text, re.MULTILINE) == []
