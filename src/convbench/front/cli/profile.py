"""`convbench profile`: where a network's time goes, node by node, in both frameworks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from convbench.base.errors import BadOption
from convbench.base.text_tables import ABSENT, table
from convbench.base.units import count, per_second, seconds, significant
from convbench.frameworks.modes import DEFAULT, MODES
from convbench.front.cases import cases
from convbench.front.cli.shared import OK, installed, named, positive, print_json, wrapped
from convbench.front.cli.workers import cleaning_up, workers
from convbench.front.options import DEVICES
from convbench.measure.estimates import BESIDE
from convbench.measure.machine import environment
from convbench.measure.profile import Profile, Row, Side, profile
from convbench.measure.records import Task
from convbench.networks.passes import EVERYWHERE, PASSES
from convbench.networks.zoo import names as architectures
from convbench.papers.sources import tables_folder

PROFILED = tuple(name for name in EVERYWHERE if not PASSES[name].trains)
"""The passes that have nodes: an update is one step over all weights."""
SHOWN = 15
DEFAULT_BATCH = {"cpu": 4, "cuda": 32}
PLOTS = (".png", ".svg", ".pdf")
ALIKE = 0.05
"""Up to this share, what the nodes and the whole differ by is not worth a word."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tells the parser what may be chosen."""
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--framework", metavar="NAMES", help="default: all that are installed")
    parser.add_argument("--pass", dest="pass_", choices=PROFILED, default=PROFILED[0])
    parser.add_argument("--mode", metavar="NAME", default=DEFAULT, help=f"of {', '.join(MODES)}")
    parser.add_argument("--batch", metavar="N", type=positive, help="default: 4, on a GPU 32")
    parser.add_argument("--threads", metavar="N", type=positive, help="default: physical cores")
    parser.add_argument("--device", choices=DEVICES, help="default: cuda where there is one")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--top", metavar="N", type=positive, default=SHOWN, help=f"slowest nodes; default {SHOWN}"
    )
    shown.add_argument("--all", action="store_true", help="every node, in the network's order")
    parser.add_argument("--plot", metavar="FILE", type=Path, help=f"draw it: {', '.join(PLOTS)}")


def run(options: argparse.Namespace) -> int:
    """Prints the time of each node beside its bound, and what the whole network takes."""
    if options.plot is not None and options.plot.suffix not in PLOTS:
        raise BadOption("--plot", f"a file that ends in {' or '.join(PLOTS)}", str(options.plot))
    graph = architectures.architecture(options.name)
    with cleaning_up(), workers(options.own) as open_:
        found = profile(graph, _tasks(options), tables_folder(), open_)
    if options.format == "json":
        print_json(_plain(found))
    else:
        _print(found, None if options.all else options.top, options.format)
    if options.plot is not None:
        _plot(found, options.plot, options.top)
    return OK


def _tasks(options: argparse.Namespace) -> list[Task]:
    chosen = named(options.framework) if options.framework else installed()
    device = options.device or environment.default_device()
    return [
        Task(
            architecture=case.architecture,
            framework=case.framework,
            mode=case.mode,
            pass_=options.pass_,
            batch=options.batch or DEFAULT_BATCH[device],
            device=device,
            threads=options.threads or environment.default_threads(),
        )
        for case in cases([options.name], [*dict.fromkeys(chosen)], [options.mode])
    ]


def _print(found: Profile, most: int | None, form: str) -> None:
    task, rows = found.task, found.rows if most is None else found.slowest(most)
    left = len(found.rows) - len(rows)
    print(
        f"{task.architecture}, {task.pass_}: batch {task.batch}, {task.dtype}, {task.device}, "
        f"{task.threads} thread{'s' * (task.threads > 1)}\n"
    )
    print(table([_shown(found, row, {"node": row.name, "kind": row.kind}) for row in rows], form))
    print("\nShare: of the sum of all nodes. Reached: of the bound that the roofline sets.", end="")
    print(f" {left} faster nodes are left out; --all shows them." if left else "")
    kinds = [
        _shown(found, row, {"kind": row.name, "nodes": str(row.nodes)}) for row in found.by_kind()
    ]
    print(f"\n{table(kinds, form)}\n")
    for line in words(found):
        print(wrapped(line) if form == "table" else f"- {line}")


def _shown(found: Profile, row: Row, names: dict[str, str]) -> dict[str, str]:
    shown = names | {"bound": seconds(row.bound_s) if row.bound_s else ABSENT}
    for side in found.sides:
        taken = row.seconds[side.variant]
        shown[side.variant] = seconds(taken)
        shown[f"{side.variant}, share"] = f"{taken / side.sum_s:.1%}"
        reached = f"{row.bound_s / taken:.0%}" if row.bound_s else ABSENT
        shown[f"{side.variant}, reached"] = reached
    return shown


def words(found: Profile) -> list[str]:
    """What the whole takes, and why that is not what its nodes add up to."""
    lines = []
    if found.machine is not None:
        lines.append(
            f"The machine attains {per_second(found.machine.flops, 'FLOP')} and "
            f"{per_second(found.machine.bytes_s, 'B')}; by the roofline the nodes take at least "
            f"{seconds(found.bound_s)}."
        )
    for side in found.sides:
        reached = f", {found.bound_s / side.whole.median:.0%} of the roofline"
        lines.append(
            f"{side.variant} ({side.version}): the whole network takes "
            f"{seconds(side.whole.median)} ± {side.whole.relative:.1%}"
            f"{reached if found.machine else ''}; its {count(len(found.rows))} nodes one by one "
            f"{seconds(side.sum_s)}, {significant(side.sum_s / side.whole.median)} times as much. "
            f"{_difference(found, side)}"
        )
    worst = max(side.beside for side in found.sides)
    if worst > BESIDE:
        lines.append(
            f"The machine was busy: others used {worst:.2f} of its cores. Times are too long and "
            "the peak is too low; stop them, and profile again."
        )
    return lines


def _difference(found: Profile, side: Side) -> str:
    apart_s = side.sum_s - side.whole.median
    if abs(apart_s) <= ALIKE * side.whole.median:
        return "Running them together neither saves nor costs anything to speak of."
    if abs(apart_s) <= side.whole.relative * side.whole.median:
        return "The whole varies too much to tell whether running them together saves anything."
    calls = (
        f"{count(len(found.rows))} calls of {seconds(side.call_s)} each would be "
        f"{seconds(len(found.rows) * side.call_s)}"
    )
    if apart_s > 0:
        return (
            f"Running them together saves {seconds(apart_s)}: calls ({calls}), and what is fused "
            "or still in a cache when the next node wants it."
        )
    lost = "Alone, a node finds its weights and inputs in a cache, and its memory in place"
    sums = "; the loss and the sums of gradients belong to no node"
    loss = sums if found.task.goes_backward else ""
    return f"Running them together costs {seconds(-apart_s)} more. {lost}{loss}."


def _plain(found: Profile) -> dict[str, Any]:
    task, machine_ = found.task, found.machine
    return {
        "name": task.architecture,
        "pass": task.pass_,
        **{key: getattr(task, key) for key in ("batch", "dtype", "device", "threads", "mode")},
        "peak_flops": machine_.flops if machine_ else None,
        "peak_bytes_s": machine_.bytes_s if machine_ else None,
        "bound_s": found.bound_s if machine_ else None,
        "sides": [
            {
                "side": side.variant,
                "version": side.version,
                "whole_s": side.whole.median,
                "nodes_s": side.sum_s,
                "call_s": side.call_s,
                "others_cores": side.beside,
            }
            for side in found.sides
        ],
        "nodes": [
            {
                "at": row.name,
                "kind": row.kind,
                "bound_s": row.bound_s if machine_ else None,
                "seconds": row.seconds,
            }
            for row in found.rows
        ],
    }


def _plot(found: Profile, file: Path, most: int) -> None:
    from convbench.report import plots  # noqa: PLC0415  (takes a second to import)

    bars = {
        f"{side.variant}": [(row.kind, row.name, row.seconds[side.variant]) for row in found.rows]
        for side in found.sides
    }
    if found.machine is not None:
        bars["roofline"] = [(row.kind, row.name, row.bound_s) for row in found.rows]
    whole = {side.variant: side.whole.median for side in found.sides}
    slowest = [row.name for row in found.slowest(most)]
    title = f"{found.task.architecture}, {found.task.pass_}, batch {found.task.batch}"
    plots.profile(title, bars, whole, slowest, file)
    print(f"plot: {file}", file=sys.stderr)
