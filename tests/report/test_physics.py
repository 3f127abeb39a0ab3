"""How close a figure comes to the machine, and those that cannot be right."""

from __future__ import annotations

import pytest
from attrs import evolve

from convbench.measure.journal import Journal
from convbench.measure.records import Attainable
from convbench.networks.layer_facts import kind
from convbench.networks.roofline import Machine
from convbench.report import report
from convbench.report.plausibility import PEAK_NOISE, PROCESS_NOISE, closeness, doubts, machines
from tests.conftest import ROOT
from tests.report.test_report import rows_below
from tests.support import samples
from tests.support.builders import graph
from tests.support.samples import ENVIRONMENT

PEAK = Attainable(
    framework="keras",
    device="cpu",
    threads=8,
    dtype="float32",
    matmul_flops=400e9,
    conv_flops=500e9,
    copy_bytes_s=50e9,
)
PUBLISHED = sorted((ROOT / "reports").glob("*/measurements.jsonl"))
VGG16 = 4 * 2 * 15_470_264_320
"""Operations of VGG-16's convolutions and dense layers for the samples' batch."""


def timed(name, step_s, framework="keras", pass_="forward"):
    return samples.measured(samples.task(name, framework, pass_), step_s, None)


def marks(*entries):
    found = doubts([ENVIRONMENT, *entries])
    return {task.architecture: [doubt.mark for doubt in own] for task, own in found.items()}


@pytest.fixture
def tables(tmp_path):
    return samples.write_sources(tmp_path)


def test_the_machines_peak_is_the_best_of_all_frameworks_for_the_same_conditions():
    other = evolve(PEAK, framework="pytorch", matmul_flops=600e9, copy_bytes_s=40e9)
    half = evolve(PEAK, dtype="bfloat16", conv_flops=900e9)
    assert machines([PEAK, other, half]) == {
        ("cpu", 8, "float32"): Machine(600e9, 50e9),
        ("cpu", 8, "bfloat16"): Machine(900e9, 50e9),
    }


def test_achieved_peak_and_bound_of_vgg16():
    (close,) = closeness([ENVIRONMENT, PEAK, timed("vgg16", 0.5)])
    assert close.flops == pytest.approx(VGG16 / 0.5, rel=0.01)
    assert close.bound_s > VGG16 / 500e9
    # Three dense layers of 123,642,856 values at 50 GB/s, and what has no arithmetic to speak of.
    assert close.memory_s > 4 * 123_642_856 / 50e9
    assert close.bound_s == pytest.approx(close.memory_s + 4 * 2 * 15_346_630_656 / 500e9, rel=0.01)


@pytest.mark.parametrize(
    "changes", [{"threads": 4}, {"device": "cuda"}, {"dtype": "float64"}], ids=str
)
def test_a_peak_of_other_conditions_is_not_the_tasks(changes):
    assert not closeness([ENVIRONMENT, evolve(PEAK, **changes), timed("vgg16", 0.5)])


@pytest.mark.parametrize(("share", "want"), [(0.98, {}), (1.02, {"vgg16": ["impossible"]})])
def test_faster_than_the_peak_and_its_noise_is_impossible(share, want):
    step_s = VGG16 / (500e9 * (1 + PEAK_NOISE) * share)
    assert marks(PEAK, timed("vgg16", step_s)) == want
    assert marks(timed("vgg16", step_s)) == {}, "nobody knows without a peak"


def test_a_peak_that_others_disturbed_makes_nothing_impossible(tables):
    fast = timed("vgg16", VGG16 / 900e9)
    disturbed = evolve(PEAK, others_cores=0.5, stolen_cores=0.25)
    assert marks(disturbed, fast) == {}
    assert marks(disturbed, evolve(PEAK, framework="pytorch"), fast) == {"vgg16": ["impossible"]}
    made = report.markdown([ENVIRONMENT, disturbed, fast], "a-run", tables)
    assert "others used 0.75 cores of the machine" in made
    assert "others used" not in report.markdown([ENVIRONMENT, PEAK, fast], "a-run", tables)


def test_the_processes_of_a_task_are_one_figure():
    first = timed("vgg16", 0.5)
    others = [
        evolve(timed("vgg16", step_s), task=evolve(first.task, process=process))
        for process, step_s in ((2, 0.4), (3, 0.625))
    ]
    (close,) = closeness([PEAK, first, *others])
    assert close.step_s == pytest.approx(0.5)
    assert marks(first, *others, timed("vgg19", 0.1)) == {"vgg19": ["implausible"]}


def test_a_network_that_memory_bounds_may_beat_its_bound_but_not_the_peak():
    lenet = timed("lenet5", 1e-5)
    (close,) = closeness([PEAK, lenet])
    assert close.bound_s > close.step_s
    assert marks(PEAK, lenet) == {}


def test_faster_than_a_smaller_sibling_is_implausible():
    assert marks(timed("vgg16", 0.5), timed("vgg19", 0.4)) == {"vgg19": ["implausible"]}
    assert marks(timed("vgg16", 0.5), timed("vgg19", 0.6)) == {}


@pytest.mark.parametrize(
    ("large", "small"),
    [
        ("resnet50", "vgg11"),  # of another family
        ("alexnet_single", "alexnet"),  # more of everything but layers
        ("resnet50", "resnet34"),  # fewer 3x3 convolutions
        ("mobilenet", "mobilenet_050"),  # wider, not deeper
        ("vgg16", "not_a_network"),
    ],
)
def test_what_is_not_larger_in_every_respect_may_be_faster(large, small):
    assert marks(timed(large, 0.1), timed(small, 1.0)) == {}


def test_what_both_spreads_or_the_noise_of_processes_explain_is_plausible():
    small, large = timed("vgg16", 0.5), timed("vgg19", 0.4)
    still = {"rounds_s": (0.4,) * 6}
    assert marks(small, evolve(large, **still)) == {"vgg19": ["implausible"]}
    wide = evolve(large, rounds_s=(0.3, 0.4, 0.4, 0.6, 0.6, 0.2))
    assert marks(small, wide) == {}
    within = 0.5 / (1 + PROCESS_NOISE) + 0.001
    alike = [evolve(m, rounds_s=(s,) * 6) for m, s in ((small, 0.5), (large, within))]
    assert marks(*alike) == {}


@pytest.mark.parametrize(
    "other", [{"framework": "pytorch"}, {"pass_": "backward"}, {"batch": 8}, {"mode": "eager"}]
)
def test_siblings_are_compared_under_the_same_conditions_alone(other):
    large = timed("vgg19", 0.4)
    large = evolve(large, task=evolve(large.task, **other))
    assert marks(timed("vgg16", 0.5), large) == {}


def test_nothing_that_was_published_is_in_doubt(tables):
    assert PUBLISHED
    for file in PUBLISHED:
        entries = [*Journal(file).entries()]
        peak = evolve(PEAK, threads=2, conv_flops=525e9, copy_bytes_s=45e9)
        assert doubts([*entries, peak]) == doubts(entries) == {}
        measured = any(isinstance(entry, Attainable) for entry in entries)
        section = "How close to the machine"
        assert (section in report.markdown(entries, "a-run", tables)) == measured


def test_the_report_sets_each_figure_against_the_machine(tables):
    entries = [ENVIRONMENT, PEAK, timed("vgg16", 0.5), timed("vgg16", 2.0, pass_="backward")]
    made = report.markdown(entries, "a-run", tables)
    (peak,) = rows_below(made, "## How close to the machine")
    assert (peak["matrix product"], peak["convolution"]) == ("400 GFLOP/s", "500 GFLOP/s")
    assert (peak["framework"], peak["copy"]) == ("keras", "50.0 GB/s")
    below = made.split("a copy that no cache holds")[1].split("\n", 6)[-1]
    forward, backward = rows_below(f"x\n{below}", "x")
    assert (forward["pass"], backward["pass"]) == ("forward", "backward")
    assert forward["achieved"] == "248 GFLOP/s"
    assert forward["of the peak"] == "49.5%"
    bound, reached = float(forward["bound, images/s"]), forward["reached"]
    assert f"{4 / 0.5 / bound:.0%}" == f"{float(reached.rstrip('%')):.0f}%"
    assert "cannot be right" not in made


def test_doubts_stand_beside_the_figure_and_in_words(tables):
    entries = [ENVIRONMENT, PEAK, timed("vgg16", 0.5), timed("vgg19", 0.2)]
    made = report.markdown(entries, "a-run", tables)
    vgg16, vgg19 = rows_below(made, "### Forward (inference)")
    assert vgg16["keras"] == "8.00 ± 10.0%"
    assert vgg19["keras"] == "20.0 ± 10.0% (impossible, implausible)"
    listed = made.split("### Figures that cannot be right")[1].split("\n## ")[0]
    impossible, implausible = (line for line in listed.splitlines() if line.startswith("- "))
    assert impossible.startswith("- **impossible:** vgg19 keras forward: 786 GFLOP/s is 1.57 times")
    assert "500 GFLOP/s that the machine attained" in impossible
    assert implausible.startswith(
        "- **implausible:** vgg19 keras forward: 20.0 images per second are more than the 8.00 of "
        "vgg16, beyond the spread of both, although it has more layers (19 to 16), more parameters "
        "(143,667,240 to 138,357,544) and more multiply-accumulates"
    )


def test_a_name_that_nobody_knows_and_a_pass_of_one_framework_have_no_roofline(tables):
    entries = [ENVIRONMENT, PEAK, timed("<b>", 0.5), timed("vgg16", 0.5, pass_="predict")]
    made = report.markdown(entries, "a-run", tables)
    assert "## How close to the machine" in made
    assert "Achieved" not in made


def test_nodes_are_called_what_they_are():
    def kinds(name):
        network = graph(name)
        return {node.address: kind(node.op, network.shapes_into(node)) for node in network}

    alexnet, mobilenet = kinds("alexnet"), kinds("mobilenet")
    assert (alexnet["conv1"], alexnet["conv2"]) == ("convolution", "grouped convolution")
    assert (alexnet["fc6"], alexnet["input"]) == ("dense", "other")
    assert {"1x1 convolution", "depthwise convolution"} <= {*mobilenet.values()}
    assert "local response normalization" in alexnet.values()
