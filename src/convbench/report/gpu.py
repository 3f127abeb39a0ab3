"""The section of a report on what the GPU did while rounds were timed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from convbench.base.text_tables import ABSENT, escaped, table
from convbench.base.units import significant
from convbench.measure.records import Entry, GpuUse, Measurement, Spread
from convbench.report.throughput import measurements_of

WORDS = {
    "gpu_idle": "idle",
    "applications_clocks_setting": "clocks set by somebody",
    "sw_power_cap": "power limit",
    "hw_slowdown": "hardware slowdown (heat, power or power brake)",
    "sync_boost": "boost in step with other GPUs",
    "sw_thermal_slowdown": "heat (driver)",
    "hw_thermal_slowdown": "heat (hardware)",
    "hw_power_brake_slowdown": "power brake of the system",
    "display_clock_setting": "clocks of a display",
    "board_limit": "limit of the board",
    "reliability": "voltage limit for reliability",
}
"""What holds clocks down, by NVML's names."""
HARMLESS = ("gpu_idle", "applications_clocks_setting", "sync_boost", "display_clock_setting")
"""What is not the GPU's own emergency, but what somebody chose, or a pause."""

NOTE = (
    "What NVML said of the GPU while rounds were timed, asked ten times a second: the median, and "
    "in brackets the lowest and the highest. Held down: what kept clocks from rising, with the "
    "share of the samples in which it did. Energy: the difference of the GPU's own counter over "
    "all rounds, divided by their images; no other figure stands in for it. Host's clock: by how "
    "much longer a round was by it than by the GPU's own events, by which it is timed. "
    f"{ABSENT} is what is not available on this machine."
)


def section(entries: Sequence[Entry]) -> str:
    """The section; nothing for a run without a GPU, or one that did not look at it."""
    found = [(m, m.gpu) for m in measurements_of(entries) if m.gpu is not None]
    if not found:
        return ""
    several = len({m.task.process for m, _ in found}) > 1
    rows = [_row(m, use, several=several) for m, use in found]
    return "\n\n".join(["## GPU while timing", NOTE, table(rows), *warnings(m for m, _ in found)])


def warnings(measurements: Iterable[Measurement]) -> list[str]:
    """What makes figures of a GPU doubtful: others on it, and clocks that were held down."""
    found = [(m, m.gpu) for m in measurements if m.gpu is not None]
    return [warning for warning in (_shared(found), _held_down(found)) if warning]


def _row(measurement: Measurement, use: GpuUse, *, several: bool) -> dict[str, str]:
    task, energy_j = measurement.task, use.energy_per_image_j
    return {
        "architecture": task.architecture,
        "pass": task.pass_,
        "framework": task.variant,
        "batch": str(task.batch),
        **({"process": str(task.process)} if several else {}),
        "SM clock": _spread(use.sm_hz, lambda hz: f"{hz / 1e6:,.0f} MHz"),
        "memory clock": _spread(use.memory_hz, lambda hz: f"{hz / 1e6:,.0f} MHz"),
        "power": _spread(use.power_w, lambda watts: f"{watts:.0f} W"),
        "temperature": _spread(use.temperature_c, lambda celsius: f"{celsius:.0f} °C"),
        "busy": _spread(use.utilization, lambda share: f"{share:.0%}"),
        "held down": _limits(use),
        "energy an image": ABSENT if energy_j is None else _joules(energy_j),
        "host's clock": _host(measurement, use),
    }


def _spread(found: Spread | None, text: Callable[[float], str]) -> str:
    if found is None:
        return ABSENT
    lowest, middle, highest = map(text, (found.lowest, found.median, found.highest))
    return middle if lowest == highest else f"{middle} ({lowest} to {highest})"


def _limits(use: GpuUse) -> str:
    if use.limits is None:
        return ABSENT
    return _words(use, use.limits) or "by nothing"


def _words(use: GpuUse, limits: Sequence[tuple[str, int]]) -> str:
    return ", ".join(
        f"{WORDS.get(name, f'reason {name}')} {min(number / max(use.samples, 1), 1):.0%}"
        for name, number in limits
    )


def _joules(value: float) -> str:
    return f"{significant(value)} J" if value >= 1 else f"{significant(value * 1000)} mJ"


def _host(measurement: Measurement, use: GpuUse) -> str:
    if not (use.host_s and measurement.rounds_s):
        return ABSENT
    return f"{median(use.host_s) / median(measurement.rounds_s) - 1:+.1%}"


def _shared(found: Sequence[tuple[Measurement, GpuUse]]) -> str:
    """The warning where others used the GPU."""
    shared = [(m, use) for m, use in found if use.shared]
    if not shared:
        return ""
    first, use = shared[0]
    facts = [
        f"{use.utilization_before:.0%} of it busy before" if use.utilization_before else "",
        f"{_processes(use.processes_before)} on it before" if use.processes_before else "",
        f"{_processes(use.processes_beside)} beside" if use.processes_beside else "",
    ]
    return (
        f"**The GPU was busy**: {escaped(first.task.label)} had "
        f"{', '.join(fact for fact in facts if fact)}; so or alike in {len(shared)} of "
        f"{len(found)} tasks. What runs beside makes figures too low, and not for all rows alike: "
        "stop it, and measure again."
    )


def _processes(number: int) -> str:
    return f"{number} other process{'es' * (number > 1)}"


def _held_down(found: Sequence[tuple[Measurement, GpuUse]]) -> str:
    """The warning where the GPU ran slower than it was meant to."""
    slowed = [
        (m, use, limits)
        for m, use in found
        if (limits := [limit for limit in use.limits or () if limit[0] not in HARMLESS])
    ]
    if not slowed:
        return ""
    first, use, limits = slowed[0]
    return (
        f"**The GPU's clocks were held down**: for {escaped(first.task.label)} by "
        f"{_words(use, limits)} of the samples; in {len(slowed)} of {len(found)} tasks. Such "
        "figures are those of this GPU with its cooling and its limit of power."
    )
