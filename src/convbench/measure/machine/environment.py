"""What this machine is and can do: what the operating system and NVML tell."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import distributions, version
from pathlib import Path

import psutil

from convbench.base.units import Byte
from convbench.base.version import __version__
from convbench.measure.machine.nvml import devices, ready
from convbench.measure.records import CHANGED, Environment


def environment(folder: Path, *reports: Path) -> Environment:
    """This machine and this software; `folder` tells whose commit it is.

    What is in folders of reports is not counted among the changes since then.
    """
    gpu, driver = _gpu()
    return Environment(
        cpu=_cpu(),
        cores=default_threads(),
        memory_bytes=psutil.virtual_memory().total,
        gpu=gpu,
        driver=driver,
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        convbench=__version__,
        commit=_commit(folder, reports),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        packages=tuple((name, version(name)) for name in PACKAGES if _installed(name)),
        variables=steering(os.environ),
    )


PACKAGES = ("torch", "keras", "tensorflow", "jax", "numpy")


STEERING = re.compile(
    r"TF_(ENABLE|DISABLE|XLA|NUM|ONEDNN|MKL|GPU|CUDNN|USE|FORCE|DETERMINISTIC|OVERRIDE|CPU|MLIR)_\w+"
    r"|(XLA|ONEDNN|OMP|MKL|MALLOC|JAX|OPENBLAS)_\w+"
    r"|KERAS_BACKEND|ATEN_CPU_CAPABILITY"
)
"""Environment variables that steer frameworks and what they stand on. Of those that begin with TF_
the ones that are TensorFlow's: Terraform has some too, and keeps secrets in them."""
PLACES = re.compile(r"\w+_(DIR|FILE|PATH|LOG|LOGS|TOKEN|KEY|SECRET|ADDRESS)")
"""Variables that say where something is, or let somebody in, and steer nothing."""


def steering(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The variables of an environment that steer libraries, by name, without paths."""
    return tuple(
        (name, " ".join(_without_place(word) for word in value.split()))
        for name, value in sorted(environment.items())
        if STEERING.fullmatch(name) and not PLACES.fullmatch(name)
    )


def _without_place(word: str) -> str:
    """A word of a variable's value, but for the path that an option in it names."""
    if not {"/", "\\"} & {*word}:
        return word
    option, equals, _ = word.partition("=")
    return f"{option}=PATH" if equals and not {"/", "\\"} & {*option} else "PATH"


def _installed(name: str) -> bool:
    return any(True for _ in distributions(name=name))


def default_threads() -> int:
    """Physical cores that this process may use: what both frameworks get unless told."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return min(physical, len(os.sched_getaffinity(0)))
    return physical


def default_device() -> str:
    """`cuda` where NVML finds a GPU, else `cpu`."""
    return "cpu" if _gpu()[0] is None else "cuda"


def load() -> float | None:
    """Processes that ran or waited over the last minute; None where nobody counts."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def available_bytes() -> Byte:
    """Memory that can be had without swapping."""
    return psutil.virtual_memory().available


CACHES = Path("/sys/devices/system/cpu")


def last_level_cache_bytes() -> Byte | None:
    """The last-level caches of all CPUs together; None where the system does not tell (Linux)."""
    found: dict[tuple[int, str], Byte] = {}
    try:
        for cache in CACHES.glob("cpu[0-9]*/cache/index*"):
            level, shared, text = (
                (cache / name).read_text(encoding="ascii").strip()
                for name in ("level", "shared_cpu_list", "size")
            )
            found[int(level), shared] = int(text.removesuffix("K")) * 1024
    except (OSError, ValueError):
        return None
    last = max((level for level, _ in found), default=0)
    return sum(size for (level, _), size in found.items() if level == last) or None


def device_process_bytes() -> Byte | None:
    """What NVML says that this process holds on all GPUs; None where it cannot tell."""
    nvml = ready()
    if nvml is None:
        return None
    try:
        used = [
            process.usedGpuMemory
            for handle in devices(nvml)
            for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle)
            if process.pid == os.getpid() and process.usedGpuMemory is not None
        ]
    except nvml.NVMLError:
        return None
    return sum(used) if used else None


def _gpu() -> tuple[str | None, str | None]:
    """Names of the GPUs and the driver's version."""
    nvml = ready()
    if nvml is None:
        return None, None
    try:
        names = [nvml.nvmlDeviceGetName(handle) for handle in devices(nvml)]
        return ", ".join(names) or None, nvml.nvmlSystemGetDriverVersion()
    except nvml.NVMLError:
        return None, None


@cache
def _cpu() -> str:
    import cpuinfo  # noqa: PLC0415  (takes a second, and only a report needs it)

    return str(cpuinfo.get_cpu_info().get("brand_raw", platform.processor() or "unknown"))


def _commit(folder: Path, reports: Sequence[Path]) -> str | None:
    """The commit that `folder` is at, marked when there are changes; None outside git."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        top = Path(git("rev-parse", "--show-toplevel")).resolve()
        inside = [
            at.resolve().relative_to(top) for at in reports if at.resolve().is_relative_to(top)
        ]
        but_for = [f":(top,exclude){at}" for at in inside if at != Path()]
        changes = git("status", "--porcelain", "--", ":(top)", *but_for)
        return f"{commit}{CHANGED}" if changes else commit
    except (OSError, subprocess.CalledProcessError):
        return None
