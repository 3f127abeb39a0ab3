"""`convbench gate`: whether the head is slower, larger or other than the base."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from functools import partial

from attrs import evolve

from convbench.base.errors import BadOption, BrokenSide, ConvbenchError
from convbench.front.cli.gate import outputs, self_check
from convbench.front.cli.gate.options import (
    duration,
    model_plan,
    networks_plan,
    percentage,
    refuse,
    tests_plan,
)
from convbench.front.cli.shared import INTERRUPTED
from convbench.front.cli.workers import cleaning_up
from convbench.gate.outputs import json_file, terminal
from convbench.gate.own_tests.node_ids import Chosen
from convbench.gate.pairs import Start
from convbench.gate.run import Gate, Plan
from convbench.gate.self_check import other_tools
from convbench.gate.sides import probing
from convbench.gate.sides.revisions import Installation
from convbench.gate.sides.sides import Side, SideLauncher, alike, sides, uncommitted
from convbench.gate.statistics.judging import ALPHA, BETA
from convbench.gate.values import ROLES, Broken, GateResult, Role, SideFacts

INTERRUPTED_NOTE = "The run was interrupted: what was not decided by then has no verdict."


def run(options: argparse.Namespace) -> int:
    """Compares, prints and writes what was asked for; the exit status is the verdict's."""
    with cleaning_up():
        outputs.refuse(options)
        if options.self_test:
            return _self_test(options)
        if options.from_ is not None:
            return outputs.tell(json_file.read(options.from_), options)
        _refuse(options)
        try:
            result = _compared(options)
        except (BrokenSide, probing.Incomparable) as error:
            outputs.write(_nothing(options, error), options)
            raise
        status = outputs.tell(result, options)
        return INTERRUPTED if result.interrupted else status


def _refuse(options: argparse.Namespace) -> None:
    """Raises BadOption for sides that were not given."""
    for role in ROLES:
        if getattr(options, role) is None:
            wanted = "an interpreter, a git revision, or a configuration such as mode=compiled"
            raise BadOption(f"--{role}", wanted, "not given")


def _compared(options: argparse.Namespace) -> GateResult:
    """What a run has found."""
    refuse(options)
    console = terminal.Screen(stderr=True)
    said = partial(console.print, style="dim", markup=False, highlight=False)
    how = Installation(command=options.install, told=said)
    with sides(options.base, options.head, how) as both:
        facts = {role: _facts(both[role], options) for role in ROLES}
        probing.comparable(facts["base"], facts["head"])  # raises for sides on two machines
        plan, chosen = _plan(options, both)
        with terminal.Display(console) as display:
            gate = Gate(plan, both, facts, _start(options), show=display.told)
            gate.broken += chosen.broken
            gate.notes += [*uncommitted(both), *chosen.notes]
            try:
                gate.run()
            except KeyboardInterrupt:
                gate.notes.append(INTERRUPTED_NOTE)
                gate.interrupted = True
        return gate.result()


def _nothing(options: argparse.Namespace, error: ConvbenchError) -> GateResult:
    """The result of a run that could not begin, for whoever reads the files."""
    sides = {
        role: SideFacts(role=role, given=getattr(options, role), meaning="not started")
        for role in ROLES
    }
    named = [role for role in ROLES if isinstance(error, BrokenSide) and error.role == role]
    return GateResult(
        base=sides["base"],
        head=sides["head"],
        verdicts=(),
        pairs=(),
        broken=(Broken(subject="everything", role=next(iter(named), None), reason=str(error)),),
        alpha=ALPHA,
        beta=BETA,
        seed=options.seed or 0,
        budget_s=duration("--budget", options.budget),
        spent_s=0.0,
        command=_command(options),
    )


def _command(options: argparse.Namespace) -> str:
    return f"convbench {shlex.join(options.words)}"


def _facts(side: Side, options: argparse.Namespace) -> SideFacts:
    """What a side is; where it only runs tests, it need not have convbench to tell of itself."""
    try:
        return probing.facts(side)
    except BrokenSide:
        if not options.test:
            raise
        return SideFacts(role=side.role, given=side.given, meaning=side.meaning)


def _plan(options: argparse.Namespace, both: Mapping[Role, Side]) -> tuple[Plan, Chosen]:
    """What to compare, and of tests what was found of them."""
    if options.test:
        return tests_plan(options, both)
    plan = model_plan if options.model is not None else networks_plan
    return plan(options, both), Chosen(subjects={})


def _start(options: argparse.Namespace) -> Start:
    timeout_s = duration("--timeout", options.timeout)
    return lambda side, framework, variables: SideLauncher(
        side, framework, timeout_s=timeout_s, variables=variables
    )


def _self_test(options: argparse.Namespace) -> int:
    extra = percentage("--inject", options.inject) if options.inject else 0.0
    plan = networks_plan(options, alike())
    return self_check.run(
        evolve(plan, extra=extra, settings=None, command=_command(options)),
        _start(options),
        dict(other_tools.RULES),
        duration("--time", options.time),
        options.keep,
        options.format,
    )
