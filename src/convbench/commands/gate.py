"""`convbench gate`: whether the head is slower, larger or other than the base."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from random import SystemRandom

from attrs import evolve

from convbench import architectures, machine
from convbench.cases import cases, timed
from convbench.commands import MOST, gate_self_test, installed, named, positive
from convbench.commands.children import cleaning_up
from convbench.errors import BadOption
from convbench.examination import Settings
from convbench.frameworks import PASSES
from convbench.gate.running import Plan
from convbench.gate.self_test import Rule
from convbench.gate.sides import Side, SideLauncher
from convbench.gate.subjects import subjects
from convbench.gate.templates import Start
from convbench.gate.values import ROLES, Quantity, Role
from convbench.modes import DEFAULT, DTYPES, MODES, SINGLE
from convbench.options import DEVICES, one_of
from convbench.record import Task
from convbench.reference import tables_folder
from convbench.units import Second

RULES: dict[str, Rule] = {}
NETWORKS = "lenet5,mobilenet,resnet18"
"""What is compared where nothing is named: a small, a thin and a middle network."""
TOLERANCES: dict[Quantity, tuple[str, str]] = {
    "step time": ("tolerance", "3%"),
    "first result": ("tolerance-first", "10%"),
    "peak memory": ("tolerance-memory", "5%"),
}
"""The option and its default of what each quantity may be worse by."""
OFF = "off"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tells the parser what may be chosen."""
    side = "an interpreter, a git revision, a configuration such as mode=compiled, or . for this"
    parser.add_argument("--base", metavar="BASE", help=side)
    parser.add_argument("--head", metavar="HEAD", help="the same")
    what = parser.add_argument_group("what is compared")
    what.add_argument("--arch", metavar="NAMES", help=f"default: {NETWORKS}")
    what.add_argument("--framework", metavar="NAMES", help="default: all that are installed")
    what.add_argument("--pass", dest="pass_", metavar="NAMES", default="forward")
    what.add_argument("--batch", metavar="N,…", default="1", help="default: 1")
    what.add_argument("--mode", metavar="NAMES", default=DEFAULT, help=f"of {', '.join(MODES)}")
    what.add_argument("--dtype", metavar="NAMES", default=SINGLE, help=f"of {', '.join(DTYPES)}")
    what.add_argument("--device", choices=DEVICES, help="default: cuda where there is one")
    what.add_argument("--threads", metavar="N", type=positive, help="default: physical cores")
    what.add_argument("--model", metavar="MODULE:CALLABLE", help="a model of your own instead")
    what.add_argument("--model-input", metavar="C,H,W", help="one image as that model takes it")
    how = parser.add_argument_group("how it is judged")
    for quantity, (option, default) in TOLERANCES.items():
        help_ = f"of the {quantity}, or {OFF} (default: {default.replace('%', '%%')})"
        how.add_argument(f"--{option}", metavar="P%", default=default, help=help_)
    how.add_argument("--budget", metavar="TIME", default="10m", help="as in 90s, 10m (default), 1h")
    how.add_argument("--parity", choices=("on", OFF), default="on", help="compare the function too")
    how.add_argument("--seed", metavar="N", type=positive, help="of order and roles")
    how.add_argument("--timeout", metavar="TIME", default="10m", help="longest wait for an answer")

    itself = parser.add_argument_group("testing itself")
    itself.add_argument("--self-test", action="store_true", help="one thing against itself")
    itself.add_argument("--inject", metavar="P%", help="with so much real work more in the head")
    itself.add_argument("--time", metavar="TIME", default="30m", help="for so long (default: 30m)")
    itself.add_argument("--keep", metavar="DIR", type=Path, help="of its runs; goes on with those")


def run(options: argparse.Namespace) -> int:
    """Compares, prints and writes what was asked for."""
    if options.self_test:
        return _self_test(options)
    raise NotImplementedError


def _self_test(options: argparse.Namespace) -> int:
    sides: dict[Role, Side] = {
        role: Side(role=role, given=".", meaning="this interpreter") for role in ROLES
    }
    share = _share("--inject", options.inject) if options.inject else 0.0
    plan = evolve(_plan(options, sides), extra=share, settings=None)
    with cleaning_up():
        return gate_self_test.run(
            plan,
            _start(options),
            RULES,
            duration("--time", options.time),
            options.keep,
            options.format,
        )


def _start(options: argparse.Namespace) -> Start:
    timeout_s = duration("--timeout", options.timeout)
    return lambda side, framework: SideLauncher(side, framework, timeout_s=timeout_s)


def _plan(options: argparse.Namespace, sides: Mapping[Role, Side]) -> Plan:
    threads = options.threads or machine.default_threads()
    return Plan(
        subjects=tuple(subjects(tasks(options), sides)),
        tolerances=tolerances(options),
        budget_s=duration("--budget", options.budget),
        seed=options.seed or SystemRandom().randrange(1, MOST),
        tables=str(tables_folder()),
        command=f"convbench {shlex.join(options.words)}",
        settings=Settings(threads=threads) if options.parity == "on" else None,
    )


def tasks(options: argparse.Namespace) -> list[Task]:
    """What is timed on both sides, but for what their configurations change."""
    frameworks = named(options.framework) if options.framework else installed()
    device = options.device or machine.default_device()
    names = architectures.select(_names("--arch", options.arch or NETWORKS))
    for pass_ in _names("--pass", options.pass_):
        one_of("pass", pass_, PASSES)
    for dtype in _names("--dtype", options.dtype):
        one_of("dtype", dtype, DTYPES)
    chosen = cases(
        names, frameworks, _names("--mode", options.mode), _names("--dtype", options.dtype)
    )
    return [
        Task(
            architecture=found.case.architecture,
            framework=found.case.framework,
            mode=found.case.mode,
            dtype=found.case.dtype,
            pass_=pass_,
            batch=int(found.batch or 1),
            device=device,
            threads=options.threads or machine.default_threads(),
        )
        for pass_ in _names("--pass", options.pass_)
        for found in timed(chosen, pass_, _batches(options.batch), 1).values()
    ]


def tolerances(options: argparse.Namespace) -> dict[Quantity, float]:
    """What each quantity may be worse by; those that are off are not asked."""
    found = {}
    for quantity, (option, _) in TOLERANCES.items():
        text = getattr(options, option.replace("-", "_"))
        if text != OFF:
            found[quantity] = _share(f"--{option}", text)
    if "step time" not in found:
        raise BadOption("--tolerance", "a percentage up to 100%", OFF)
    return found


def _names(option: str, text: str) -> list[str]:
    names = [*dict.fromkeys(word.strip() for word in text.split(",") if word.strip())]
    if not names:
        raise BadOption(option, "one or more names", text)
    return names


def _batches(text: str) -> list[int]:
    words = _names("--batch", text)
    if not all(word.isascii() and word.isdigit() and int(word) for word in words):
        raise BadOption("--batch", "whole numbers of 1 or more", text)
    return [int(word) for word in words]


def _share(option: str, text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)%?", text.strip())
    percent = float(match[1]) if match else 0.0
    if not 0 < percent <= 100:
        raise BadOption(option, "a percentage up to 100%", text)
    return percent / 100


UNITS = {"s": 1, "m": 60, "h": 3600}


def duration(option: str, text: str) -> Second:
    """Seconds of a text such as 90s, 10m or 1.5h; raises BadOption."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    value = float(match[1]) * UNITS[match[2] or "s"] if match else 0.0
    if not 0 < value <= 10**6:
        raise BadOption(option, "a time such as 90s, 10m or 1h", text)
    return value
