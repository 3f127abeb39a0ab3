"""The options of `convbench gate`, and the plan that they make."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from attrs import evolve

from convbench.base.errors import BadOption, Unsupported
from convbench.base.importing import refer
from convbench.base.units import Second
from convbench.frameworks.modes import DEFAULT, DTYPES, MODES, SINGLE, parts, variant
from convbench.front.cases import cases, timed
from convbench.front.cli.shared import MOST, installed, named, positive
from convbench.front.options import DEVICES, names, one_of, share
from convbench.gate.own_tests import node_ids
from convbench.gate.pairs import subjects
from convbench.gate.run import Plan
from convbench.gate.sides.sides import Side, alike
from convbench.gate.values import Quantity, Role
from convbench.measure.examine import Settings
from convbench.measure.machine import environment
from convbench.measure.records import Task
from convbench.measure.worker.messages import OwnModel
from convbench.networks.passes import PASSES, Pass
from convbench.networks.zoo import names as architectures
from convbench.papers.sources import tables_folder

NETWORKS = "lenet5,mobilenet,resnet18"
"""What is compared where nothing is named: a small, a thin and a middle network."""
TOLERANCES: dict[Quantity, tuple[str, str]] = {
    "step time": ("tolerance", "3%"),
    "first result": ("tolerance-first", "10%"),
    "peak memory": ("tolerance-memory", "5%"),
}
"""The option and its default of what each quantity may be worse by."""
LEAST = 0.001
"""The smallest tolerance: no machine is quieter."""
OFF = "off"
TRIPLE = "three numbers C,H,W of 1 or more, as in 3,224,224"
UNITS = {"s": 1, "m": 60, "h": 3600}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tells the parser what may be chosen."""
    side = "an interpreter, a git revision, a configuration such as mode=compiled, or . for this"
    parser.add_argument("--base", metavar="BASE", help=side)
    parser.add_argument("--head", metavar="HEAD", help="the same")
    parser.add_argument("--install", metavar="CMD", help="how revisions are installed, or none")
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
    tests = "pytest-benchmark tests of your own instead; again for more"
    what.add_argument("--test", metavar="NODE_ID", action="append", help=tests)
    _judging(parser.add_argument_group("how it is judged"))
    _outputs(parser.add_argument_group("what is written"))
    itself = parser.add_argument_group("testing itself")
    itself.add_argument("--self-test", action="store_true", help="one thing against itself")
    itself.add_argument("--inject", metavar="P%", help="with so much real work more in the head")
    itself.add_argument("--time", metavar="TIME", default="30m", help="for so long (default: 30m)")
    itself.add_argument("--keep", metavar="DIR", type=Path, help="of its runs; goes on with those")


def _judging(how: Any) -> None:
    for quantity, (option, default) in TOLERANCES.items():
        or_off = "" if quantity == "step time" else f", or {OFF}"
        help_ = f"of the {quantity}{or_off} (default: {default.replace('%', '%%')})"
        how.add_argument(f"--{option}", metavar="P%", default=default, help=help_)
    how.add_argument("--budget", metavar="TIME", default="10m", help="as in 90s, 10m (default), 1h")
    parity = "off: compare the structure alone, and of a model of your own only show what differs"
    how.add_argument("--parity", choices=("on", OFF), default="on", help=parity)
    how.add_argument("--seed", metavar="N", type=positive, help="of order and roles")
    how.add_argument("--timeout", metavar="TIME", default="10m", help="longest wait for an answer")


def _outputs(written: Any) -> None:
    for name, what in (
        ("json", "all of it, raw rounds too"),
        ("junit", "JUnit XML, for a CI server"),
        ("markdown", "a comment for a pull request"),
        ("plot", "the ratios with their intervals"),
    ):
        written.add_argument(f"--{name}", metavar="FILE", type=Path, help=what)
    written.add_argument(
        "--from", dest="from_", metavar="FILE", type=Path, help="tell a --json FILE again"
    )


def refuse(options: argparse.Namespace) -> None:
    """Raises ConvbenchError for what cannot be, before anything is checked out or installed."""
    stand_ins = alike()
    duration("--timeout", options.timeout)
    if not options.test:
        (model_plan if options.model is not None else networks_plan)(options, stand_ins)
        return
    for name in ("arch", "model"):
        if getattr(options, name) is not None:
            raise BadOption(f"--{name}", "left out where --test is given", getattr(options, name))
    _plan(options, stand_ins, [])


def networks_plan(options: argparse.Namespace, sides: Mapping[Role, Side]) -> Plan:
    """The plan for networks of the canon; raises ConvbenchError for options that cannot be."""
    tasks = _tasks(options)
    notes = left_out(options, tasks)
    return _plan(options, sides, tasks, settings=_settings(options), notes=notes)


def _frameworks(options: argparse.Namespace) -> list[str]:
    """The frameworks that are named, or all that are installed; raises where there is none."""
    found = named(options.framework) if options.framework else installed()
    if not found:
        remedy = 'pip install "convbench[pytorch]", or name one by --framework'
        raise Unsupported("networks", "no framework is installed to run them", remedy)
    return found


def left_out(options: argparse.Namespace, tasks: Sequence[Task]) -> tuple[str, ...]:
    """A sentence for each network that a framework is not asked for in a mode."""
    there = {(task.architecture, task.framework, task.mode) for task in tasks}
    frameworks = _frameworks(options)
    networks = architectures.select(names("--arch", options.arch or NETWORKS))
    return tuple(
        f"{name} is not compared in {variant(framework, mode)}: it has no such mode, or nothing in "
        "the network would change."
        for name in networks
        for framework in frameworks
        for mode in names("--mode", options.mode)
        if (name, framework, "+".join(parts(mode))) not in there
    )


def model_plan(options: argparse.Namespace, sides: Mapping[Role, Side]) -> Plan:
    """The plan for a model of the user's own; raises as `networks_plan` does."""
    frameworks = _frameworks(options)
    if len(frameworks) != 1:
        raise BadOption("--framework", "the one that the model is of", ",".join(frameworks))
    if options.model_input is None:
        raise BadOption("--model-input", TRIPLE, "not given")
    own = OwnModel(make=refer(options.model), input=_shape(options.model_input))
    tasks = [
        _task(
            options,
            architecture=options.model,
            framework=frameworks[0],
            mode=mode,
            dtype=SINGLE,
            pass_=pass_,
            batch=batch,
        )
        for mode in names("--mode", options.mode)
        for pass_ in _passes(options)
        for batch in _batches(options.batch)
    ]
    return _plan(options, sides, tasks, own=own, settings=_settings(options))


def tests_plan(
    options: argparse.Namespace, sides: Mapping[Role, Side]
) -> tuple[Plan, node_ids.Chosen]:
    """The plan for tests of the user's own suite, and what was chosen; raises as the others."""
    plan = _plan(options, sides, [])
    chance = Random(f"roles of {plan.seed}")
    timeout_s = duration("--timeout", options.timeout)
    chosen = node_ids.choose(options.test, sides, chance, timeout_s)
    return evolve(plan, tests=chosen.subjects), chosen


def _plan(
    options: argparse.Namespace, sides: Mapping[Role, Side], tasks: list[Task], **rest: Any
) -> Plan:
    seed = options.seed or SystemRandom().randrange(1, MOST)
    words = [*options.words, *([] if options.seed else ["--seed", str(seed)])]
    return Plan(
        subjects=tuple(subjects(tasks, sides)),
        tolerances=_tolerances(options),
        budget_s=duration("--budget", options.budget),
        seed=seed,
        tables=str(tables_folder()),
        command=f"convbench {shlex.join(words)}",
        **rest,
    )


def _settings(options: argparse.Namespace) -> Settings | None:
    if options.parity == OFF:
        return None
    return Settings(threads=options.threads or environment.default_threads())


def _tasks(options: argparse.Namespace) -> list[Task]:
    """What is timed on both sides, but for what their configurations change."""
    frameworks = _frameworks(options)
    networks = architectures.select(names("--arch", options.arch or NETWORKS))
    dtypes = names("--dtype", options.dtype)
    for dtype in dtypes:
        one_of("dtype", dtype, DTYPES)
    chosen = cases(networks, frameworks, names("--mode", options.mode), dtypes)
    return [
        _task(
            options,
            architecture=found.case.architecture,
            framework=found.case.framework,
            mode=found.case.mode,
            dtype=found.case.dtype,
            pass_=pass_,
            batch=int(found.batch or 1),
        )
        for pass_ in _passes(options)
        for found in timed(chosen, pass_, _batches(options.batch), 1).values()
    ]


def _task(options: argparse.Namespace, **of: Any) -> Task:
    """One task on the device and threads that the command line asks for."""
    device = options.device or environment.default_device()
    threads = options.threads or environment.default_threads()
    return Task(**of, device=device, threads=threads)


def _passes(options: argparse.Namespace) -> list[Pass]:
    return [one_of("pass", name, (*PASSES,)) for name in names("--pass", options.pass_)]


def _tolerances(options: argparse.Namespace) -> dict[Quantity, float]:
    """What each quantity may be worse by; those that are off are not asked."""
    found = {}
    for quantity, (option, _) in TOLERANCES.items():
        text = getattr(options, option.replace("-", "_"))
        if text != OFF or quantity == "step time":
            found[quantity] = _tolerance(f"--{option}", text)
    return found


def _tolerance(option: str, text: str) -> float:
    """A share that can be meant; raises BadOption for less, which is often a fraction."""
    found = percentage(option, text)
    if found < LEAST:
        raise BadOption(option, f"{LEAST:.1%} or more (for five percent write 5% or 5)", text)
    return found


def _batches(text: str) -> list[int]:
    words = names("--batch", text)
    if not all(word.isascii() and word.isdigit() and 0 < int(word) < MOST for word in words):
        raise BadOption("--batch", "whole numbers of 1 or more", text)
    return [int(word) for word in words]


def _shape(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if len(words) != 3 or not all(w.isascii() and w.isdigit() and 0 < int(w) < MOST for w in words):
        raise BadOption("--model-input", TRIPLE, text)
    return tuple(map(int, words))


def percentage(option: str, text: str) -> float:
    """A share of a text such as 3% or 2.5, and of no other spelling; raises BadOption."""
    if not re.fullmatch(r"(\d+(?:\.\d+)?)%?", text.strip()):
        raise BadOption(option, "a percentage up to 100%", text)
    return share(option, text)


def duration(option: str, text: str) -> Second:
    """Seconds of a text such as 90s, 10m or 1.5h; raises BadOption."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    value = float(match[1]) * UNITS[match[2] or "s"] if match else 0.0
    if not 0 < value <= 10**6:
        raise BadOption(option, "a time such as 90s, 10m or 1h", text)
    return value
