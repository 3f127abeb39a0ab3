"""The report's section on the GPU: figures with their spread, words for limits, and warnings."""

from __future__ import annotations

import pytest
from attrs import evolve

from convbench.base.text_tables import ABSENT
from convbench.measure.machine.gpu import LIMITS
from convbench.measure.records import GpuUse, Spread
from convbench.report import gpu, report
from tests.report.test_report import rows_below
from tests.support import samples
from tests.support.samples import ENTRIES, ENVIRONMENT

HEADING = "## GPU while timing"
USE = GpuUse(
    samples=10,
    sm_hz=Spread(lowest=1.755e9, median=1.98e9, highest=1.98e9),
    memory_hz=Spread(lowest=3.201e9, median=3.201e9, highest=3.201e9),
    power_w=Spread(lowest=410.2, median=655.0, highest=700.4),
    temperature_c=Spread(lowest=50.0, median=61.0, highest=64.0),
    utilization=Spread(lowest=0.9, median=0.99, highest=1.0),
    limits=(),
    energy_j=250.0,
    images=1000,
    utilization_before=0.0,
    processes_before=0,
    processes_beside=0,
    host_s=(0.0105, 0.0102, 0.011),
)


def measured(use: GpuUse | None, pass_="forward", process=1):
    task = evolve(samples.task("vgg16", "pytorch", pass_), device="cuda", process=process)
    return evolve(samples.measured(task, 0.01, None), gpu=use)


def section(*measurements):
    return gpu.section([ENVIRONMENT, *measurements])


def test_a_row_has_every_quantity_with_its_spread():
    (row,) = rows_below(section(measured(USE)), HEADING)
    assert row == {
        "architecture": "vgg16",
        "pass": "forward",
        "framework": "pytorch",
        "batch": "4",
        "SM clock": "1,980 MHz (1,755 MHz to 1,980 MHz)",
        "memory clock": "3,201 MHz",
        "power": "655 W (410 W to 700 W)",
        "temperature": "61 °C (50 °C to 64 °C)",
        "busy": "99% (90% to 100%)",
        "held down": "by nothing",
        "energy an image": "250 mJ",
        "host's clock": "+5.0%",
    }


def test_what_is_not_available_is_a_dash_and_never_nought():
    made = section(measured(GpuUse(images=1000)))
    (row,) = rows_below(made, HEADING)
    assert {row[name] for name in [*row][4:]} == {ABSENT}
    assert "**" not in made, "what nobody knows is no warning"


@pytest.mark.parametrize(("energy_j", "text"), [(2500.0, "2.50 J"), (0.5, "0.500 mJ")])
def test_energy_is_joules_or_thousandths(energy_j, text):
    (row,) = rows_below(section(measured(evolve(USE, energy_j=energy_j))), HEADING)
    assert row["energy an image"] == text


def test_limits_are_told_in_words_with_their_share_and_warned_of():
    limits = (("gpu_idle", 1), ("sw_power_cap", 10), ("sw_thermal_slowdown", 4), ("0x800", 1))
    made = section(measured(evolve(USE, limits=limits)), measured(USE, "backward"))
    first, second = rows_below(made, HEADING)
    assert first["held down"] == "idle 10%, power limit 100%, heat (driver) 40%, reason 0x800 10%"
    assert second["held down"] == "by nothing"
    assert (
        "**The GPU's clocks were held down**: for vgg16 pytorch forward by power limit 100%, "
        "heat (driver) 40%, reason 0x800 10% of the samples; in 1 of 2 tasks." in made
    )


def test_what_somebody_has_chosen_is_shown_and_not_warned_of():
    chosen = tuple((name, 10) for name in gpu.HARMLESS)
    made = section(measured(evolve(USE, limits=chosen)))
    assert "clocks set by somebody 100%" in made
    assert "held down**" not in made


def test_every_limit_has_words():
    assert set(gpu.WORDS) == {*LIMITS.values()}


SHARED = {
    "utilization_before": (0.3, "30% of it busy before"),
    "processes_before": (2, "2 other processes on it before"),
    "processes_beside": (1, "1 other process beside"),
}


@pytest.mark.parametrize(("field", "told"), SHARED.items(), ids=SHARED)
def test_others_on_the_gpu_are_warned_of(field, told):
    value, words = told
    made = section(measured(evolve(USE, **{field: value})), measured(USE, "backward"))
    assert f"**The GPU was busy**: vgg16 pytorch forward had {words}; so or alike in 1 of 2" in made
    assert "**" not in section(measured(USE))


def test_processes_of_a_task_stand_apart():
    rows = rows_below(section(measured(USE), measured(USE, process=2)), HEADING)
    assert [row["process"] for row in rows] == ["1", "2"]


def test_a_report_without_a_gpu_has_no_section_and_one_with_it_has(tmp_path):
    tables = samples.write_sources(tmp_path)
    assert HEADING not in report.markdown(ENTRIES, "a-run", tables)
    assert section(measured(None)) == "", "nobody looked, as in journals of before"
    assert HEADING in report.markdown([*ENTRIES, measured(USE)], "a-run", tables)


def test_a_row_that_has_no_rounds_has_no_clock():
    (row,) = rows_below(section(evolve(measured(USE), rounds_s=())), HEADING)
    assert row["host's clock"] == ABSENT


def test_what_is_timed_by_events_is_said(tmp_path):
    tables, line = samples.write_sources(tmp_path), "- Rounds of pytorch are timed on the GPU by"
    assert line in report.markdown([*ENTRIES, measured(USE)], "a-run", tables)
    without = evolve(USE, host_s=())
    assert "by events" not in report.markdown([*ENTRIES, measured(without)], "a-run", tables)
