"""What this machine is: every answer where somebody can tell, and None, never 0, elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from attrs import define, field

from convbench.measure.machine import environment as machine

MIB = 2**20


class NVMLError(Exception):
    """What the fake NVML raises."""


@define
class FakeProcess:
    pid: int
    usedGpuMemory: int | None  # noqa: N815  (NVML's name)


@define
class FakeNvml:
    """Stands where pynvml stands; `broken` names the call that fails."""

    names: list[str] = field(factory=list)
    processes: list[list[FakeProcess]] = field(factory=list)
    broken: str = ""
    NVMLError: type[Exception] = NVMLError

    def __getattribute__(self, name: str) -> object:
        if name.startswith("nvml") and name == object.__getattribute__(self, "broken"):
            raise NVMLError(name)
        return object.__getattribute__(self, name)

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return self.names[handle]

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "555.42"

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[FakeProcess]:  # noqa: N802
        return self.processes[handle]


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch):
    def install(fake: FakeNvml | None) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", fake)

    return install


def test_gpus_are_named_with_their_driver(nvml, tmp_path):
    nvml(FakeNvml(names=["H200", "A100"]))
    environment = machine.environment(tmp_path)
    assert (environment.gpu, environment.driver) == ("H200, A100", "555.42")
    assert machine.default_device() == "cuda"


ABSENT = {
    "not installed": None,
    "no driver": FakeNvml(names=["H200"], broken="nvmlInit"),
    "no GPU": FakeNvml(),
    "GPU lost": FakeNvml(names=["H200"], broken="nvmlDeviceGetHandleByIndex"),
    "count fails": FakeNvml(names=["H200"], broken="nvmlDeviceGetCount"),
}


@pytest.mark.parametrize("fake", ABSENT.values(), ids=ABSENT)
def test_a_machine_whose_gpu_cannot_be_asked_has_none(nvml, tmp_path, fake):
    nvml(fake)
    assert machine.environment(tmp_path).gpu is None
    assert machine.default_device() == "cpu"
    assert machine.device_process_bytes() is None


def test_device_memory_is_that_of_this_process_on_all_gpus(nvml):
    own, other = os.getpid(), os.getpid() + 1
    one = [FakeProcess(own, 3 * MIB), FakeProcess(other, 50 * MIB)]
    nvml(FakeNvml(names=["A", "B"], processes=[one, [FakeProcess(own, 4 * MIB)]]))
    assert machine.device_process_bytes() == 7 * MIB


@pytest.mark.parametrize("processes", [[], [FakeProcess(1, 5)], [FakeProcess(os.getpid(), None)]])
def test_device_memory_that_nvml_does_not_tell_is_not_nought(nvml, processes):
    nvml(FakeNvml(names=["A"], processes=[processes]))
    assert machine.device_process_bytes() is None


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_told_with_whether_there_are_changes(tmp_path, monkeypatch):
    assert machine.environment(tmp_path).commit is None
    git(tmp_path, "init")
    assert machine.environment(tmp_path).commit is None, "there is none yet"
    (tmp_path / "file").write_text("1", encoding="ascii")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert machine.environment(tmp_path).commit == head[:12]
    (tmp_path / "file").write_text("2", encoding="ascii")
    assert machine.environment(tmp_path).commit == f"{head[:12]} with changes"
    monkeypatch.setenv("PATH", "")
    assert machine.environment(tmp_path).commit is None, "without git nobody can tell"


def test_reports_of_runs_are_no_changes(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "file").write_text("1", encoding="ascii")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")[:12]
    reports, inner = tmp_path / "reports", tmp_path / "inner"
    for folder in (reports, inner):
        folder.mkdir()
    (reports / "report.md").write_text("a report", encoding="ascii")
    elsewhere = tmp_path.parent
    assert machine.environment(tmp_path).commit == f"{head} with changes"
    assert machine.environment(tmp_path, elsewhere).commit == f"{head} with changes"
    assert machine.environment(tmp_path, reports, elsewhere).commit == head
    assert machine.environment(inner, reports).commit == head
    (inner / "file").write_text("2", encoding="ascii")
    assert machine.environment(inner, reports).commit == f"{head} with changes"
    assert machine.environment(tmp_path, tmp_path).commit == f"{head} with changes"


def test_variables_that_steer_libraries_are_kept_by_name():
    steers = {
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "KERAS_BACKEND": "jax",
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "",
        "MALLOC_ARENA_MAX": "1",
        "OPENBLAS_CORETYPE": "Haswell",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_cpu_use_onednn=true --xla_dump_to=/home/me/dumps",
    }
    kept = dict(machine.steering(steers))
    assert kept == steers | {"XLA_FLAGS": "--xla_cpu_use_onednn=true --xla_dump_to=PATH"}
    assert list(kept) == sorted(kept)


@pytest.mark.parametrize(
    "name",
    [
        *("TF_VAR_password", "TF_TOKEN_app_terraform_io", "TF_CLI_CONFIG_FILE", "TF_LOG"),
        *("JAX_COMPILATION_CACHE_DIR", "JAX_COORDINATOR_ADDRESS", "XLA_SOME_TOKEN"),
        *("HOME", "PATH", "NOT_OMP_NUM_THREADS", "TF_CPP_MIN_LOG_LEVEL", "OMP"),
    ],
)
def test_variables_that_steer_nothing_are_not_kept(name):
    assert machine.steering({name: "secret"}) == ()


def test_the_variables_are_those_of_this_process(monkeypatch, tmp_path):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert ("ONEDNN_MAX_CPU_ISA", "AVX2") in (machine.environment(tmp_path).variables or ())


@pytest.mark.parametrize(
    ("physical", "allowed", "threads"),
    [(8, {0, 1, 2}, 3), (2, {0, 1, 2, 3}, 2), (None, {0}, 1)],
)
def test_threads_are_the_physical_cores_that_may_be_used(monkeypatch, physical, allowed, threads):
    monkeypatch.setattr(psutil, "cpu_count", lambda **_: physical)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    assert machine.default_threads() == threads


def test_a_system_that_counts_no_load_has_none(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 1.0, 0.5), raising=False)
    assert machine.load() == 1.5
    monkeypatch.delattr(os, "getloadavg")
    assert machine.load() is None
