"""The options of a run: what to time and how, as pytest's command line says.

Read through pytest's configuration, which is known here by its methods' names alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any, TypeVar

from attrs import frozen

from convbench.base.errors import BadOption, UnknownName, Unsupported
from convbench.base.units import SIZES, Byte, Second, byte_count
from convbench.frameworks import registry
from convbench.frameworks.modes import DEFAULT, DTYPES, MODES, SINGLE
from convbench.frameworks.registry import DEFAULT_FRAMEWORKS, FRAMEWORKS
from convbench.front.cases import LARGEST, Batch, Case, cases
from convbench.measure.resume import NEWEST
from convbench.networks.passes import PASSES, Pass
from convbench.networks.zoo import names as architectures
from convbench.papers import own_networks as canon
from convbench.papers.own_networks import Own

DEVICES = ("cpu", "cuda")
MOST = {
    "batch": 10**9,
    "threads": 4096,
    "seconds": 10**6,
    "timeout": 10**6,
    "parity_steps": 1000,
    "processes": 1000,
    "seed": 2**32,
}
"""More than anybody means, and less than what frameworks and clocks break at."""


OPTIONS: dict[str, tuple[str, str | None, str]] = {
    "arch": ("NAMES", "all", "names, families, headline, all"),
    "framework": (
        "NAMES",
        None,
        f"of {', '.join(FRAMEWORKS)} (default: {', '.join(DEFAULT_FRAMEWORKS)})",
    ),
    "pass": ("NAMES", "forward,backward", f"of {', '.join(PASSES)} (default: forward,backward)"),
    "mode": ("NAMES", DEFAULT, f"of {', '.join(MODES)}; with a plus several at once"),
    "dtype": ("NAMES", SINGLE, f"of {', '.join(DTYPES)}"),
    "batch": ("N,…", None, "images in a batch, or max: as many as fit (default: 4, on a GPU 32)"),
    "device": ("NAME", None, "cpu or cuda (default: cuda where there is one)"),
    "threads": ("N", None, "CPU threads for every framework (default: cores)"),
    "seconds": ("S", "5", "timed seconds a task at the most, but for 6 rounds (default: 5)"),
    "precision": (
        "P%",
        "2%",
        "stop when the 95%% interval of the median is within ±P%% of it (default: 2%%)",
    ),
    "processes": (
        "K",
        "1",
        "fresh processes for each task, in blocks of random order (default: 1)",
    ),
    "seed": ("N", "1", "of that order (default: 1)"),
    "memory-limit": (
        "SIZE",
        None,
        "host memory of a task, as in 8GiB; one that takes more is ended (default: none)",
    ),
    "timeout": ("S", "600", "longest wait for one answer"),
    "parity": (
        "on|off",
        "on",
        "prove that what is compared is the same function; off prints no ratios",
    ),
    "parity-steps": ("N", "1", "training steps to compare"),
    "tables": ("DIR", None, "tables of your own networks"),
    "report": ("DIR", None, "folder for reports; none writes nothing"),
    "gate": ("BASELINE", None, "fail where this run is worse than a stored one"),
    "tolerance": ("P%", "3%", "by how much it may be worse (default: 3%%)"),
}
"""What stands for the value in the help, the default, and the help, of each `--bench-` option."""


def add(parser: Any) -> None:
    """Tells pytest's parser of the options, all of them optional."""
    group = parser.getgroup("convbench", "the networks of the papers, proven and timed")
    for name, (metavar, default, help_) in OPTIONS.items():
        group.addoption(f"--bench-{name}", metavar=metavar, default=default, help=help_)
    group.addoption(
        "--bench-resume",
        metavar="RUN",
        nargs="?",
        const=NEWEST,
        help="continue a run in the folder for reports (default: the newest with these tasks)",
    )
    parser.addini("bench_report", "folder for reports, as --bench-report", default="none")


def own_networks(config: Any) -> Own | None:
    """The networks of the user's own that this run is to know; raises BadOption."""
    given: str | None = config.getoption("bench_tables")
    if given is None:
        return None
    return canon.own(config.invocation_params.dir / given, "--bench-tables", config.rootpath)


@frozen
class Options:
    """What to time and how, as the command line says."""

    cases: list[Case]
    asked_for: bool
    """Whether the frameworks were named: then one that is missing is a failure."""
    passes: tuple[Pass, ...]
    batches: tuple[Batch, ...]
    """Images in a batch, one after the other."""
    device: str | None
    threads: int | None
    seconds: Second
    precision: float
    """The share of the median within which its interval is to end."""
    processes: int
    seed: int
    """Of the order in which several processes run."""
    memory_limit: Byte | None
    """What a task may take of the host's memory; None if it may take what there is."""
    timeout_s: Second
    parity: bool
    """Whether to prove that what is compared computes the same function."""
    parity_steps: int
    """Training steps that are compared for that, each of which builds on those before it."""
    report: Path | None
    resume: str | None
    """The run to continue, by its folder's name; None begins one."""
    gate: str | None
    """The stored run to compare this one with."""
    tolerance: float
    """The share by which this run may be worse than that."""

    @classmethod
    def read(cls, config: Any) -> Options:
        """The options of this run; raises ConvbenchError."""
        named = config.getoption("bench_framework")
        chosen = _names(config, "framework") if named is not None else DEFAULT_FRAMEWORKS
        for name in chosen:
            registry.known(name)
        device = config.getoption("bench_device")
        if device is not None:
            one_of("device", device, DEVICES)
        passes = tuple(one_of("pass", name, (*PASSES,)) for name in _names(config, "pass"))
        for name in passes:
            if not any(name in registry.known(framework).passes for framework in chosen):
                why = f"{' and '.join(chosen)} has none"
                raise Unsupported(f"pass {name}", why, "choose --bench-framework keras")
        dtypes = _names(config, "dtype")
        for name in dtypes:
            one_of("dtype", name, DTYPES)
        names = architectures.select(_names(config, "arch"))
        return cls(
            cases=cases(names, chosen, _names(config, "mode"), dtypes),
            asked_for=named is not None or bool(os.environ.get("CI")),
            passes=passes,
            batches=_batches(config),
            device=device,
            threads=_number(config, "threads", int),
            seconds=_number(config, "seconds", float),
            precision=_share(config, "precision"),
            processes=_number(config, "processes", int),
            seed=_number(config, "seed", int),
            memory_limit=_memory_limit(config),
            timeout_s=_number(config, "timeout", float),
            parity=one_of("parity", config.getoption("bench_parity"), ("on", "off")) == "on",
            parity_steps=_number(config, "parity_steps", int),
            report=_report_folder(config),
            resume=_resume(config),
            gate=config.getoption("bench_gate"),
            tolerance=_share(config, "tolerance"),
        )


Name = TypeVar("Name", bound=str)


def one_of(kind: str, name: str, known: tuple[Name, ...]) -> Name:
    """`name` if it is known; raises UnknownName."""
    for one in known:
        if one == name:
            return one
    raise UnknownName(kind, name, known)


def _names(config: Any, option: str) -> tuple[str, ...]:
    """The names that an option lists; at least one."""
    return names(f"--bench-{option}", config.getoption(f"bench_{option}"))


def names(option: str, text: str) -> tuple[str, ...]:
    """The names that a text lists, each once; raises BadOption where there is none."""
    found = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not found:
        raise BadOption(option, "one or more names", text)
    return found


def _batches(config: Any) -> tuple[Batch, ...]:
    """The batches to go through, each once."""
    if config.getoption("bench_batch") is None:
        return (None,)
    words = _names(config, "batch")
    return tuple(
        dict.fromkeys(LARGEST if w == LARGEST else _positive("batch", w, int) for w in words)
    )


def _share(config: Any, name: str) -> float:
    """The share that an option's percentage means."""
    return share(f"--bench-{name}", config.getoption(f"bench_{name}"))


def share(option: str, text: str) -> float:
    """The share that a percentage means, with its sign or without; raises BadOption."""
    try:
        percent = float(text.strip().removesuffix("%"))
    except ValueError:
        percent = 0.0
    if not 0 < percent <= 100:
        raise BadOption(option, "a percentage up to 100%", text)
    return percent / 100


def _memory_limit(config: Any) -> Byte | None:
    text = config.getoption("bench_memory_limit")
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        if limit := byte_count(text):
            return limit
    raise BadOption("--bench-memory-limit", SIZES, text)


def _number(config: Any, name: str, type_: type[Any]) -> Any:
    """An option that must be a positive number, within reason; None if it is not given."""
    text = config.getoption(f"bench_{name}")
    return None if text is None else _positive(name, text, type_)


def _positive(name: str, text: str, type_: type[Any]) -> Any:
    """A positive number, within reason, of an option's text."""
    option = f"--bench-{name.replace('_', '-')}"
    try:
        value = type_(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        whole = "a positive whole number" if type_ is int else "a positive number"
        raise BadOption(option, whole, text)
    if value > MOST[name]:
        raise BadOption(option, f"at most {MOST[name]:,}", text)
    return value


def _resume(config: Any) -> str | None:
    given: str | None = config.getoption("bench_resume")
    if given is not None and _report_folder(config) is None:
        raise BadOption("--bench-resume", "a folder for reports, by --bench-report", "none")
    return given


def _report_folder(config: Any) -> Path | None:
    given: str = config.getoption("bench_report") or config.getini("bench_report")
    if given == "none":
        return None
    folder: Path = (
        config.invocation_params.dir if config.getoption("bench_report") else config.rootpath
    )
    try:
        (folder / given).stat()
    except OSError as error:  # what is not there can be made, but for a name that cannot be
        if error.errno == errno.ENAMETOOLONG:
            raise BadOption("--bench-report", "a name that is short enough", given) from None
    return folder / given
