"""What a GPU did while rounds were timed, on a fake NVML: told where it tells, None elsewhere."""

from __future__ import annotations

import json
import os
import sys
import threading

import pytest
from attrs import evolve

from convbench.base.errors import BadRecord
from convbench.measure import journal, records
from convbench.measure.machine import gpu
from convbench.measure.machine.gpu import LIMITS, Sample, Watch
from convbench.measure.records import GpuUse, Spread
from convbench.measure.worker import messages
from tests.measure.test_run import TASK, FakeChild, FakeLauncher, run, same_machine  # noqa: F401
from tests.support.fake_nvml import FakeGpu, FakeNvml

CHILD, OTHER = 4_000_001, 4_000_002
ON_GPU = evolve(TASK, device="cuda")
EVERY_CALL = [name for name in dir(FakeNvml) if name.startswith("nvmlDeviceGet")]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No test waits for a sample, or for a GPU to settle."""
    monkeypatch.setattr(gpu, "PERIOD", 0.001)
    monkeypatch.setattr(gpu, "SETTLING", 0.0)
    monkeypatch.setattr(gpu, "SHORTEST", 0.0)


@pytest.fixture
def nvml(monkeypatch):
    def install(*gpus: FakeGpu) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([*gpus]))

    return install


def watched(during=lambda: None, images: int = 100) -> GpuUse:
    """What a watch comes to, if this happens once the task's process is there."""
    watch = Watch.begin("cuda")
    during()
    with watch.watching(CHILD):
        pass
    assert not [t for t in threading.enumerate() if "_sample" in t.name], "the thread has ended"
    return watch.use(images, ())


def starting(device: FakeGpu, *pids: int):
    """What the task's process does: it appears on a GPU, perhaps among others."""
    return lambda: device.pids.extend((CHILD, *pids))


def test_everything_that_a_gpu_tells_in_base_units(nvml):
    device = FakeGpu(utilizations=[0, 97])
    nvml(device)
    use = watched(starting(device))
    assert use == GpuUse(
        samples=use.samples,
        sm_hz=Spread(lowest=1980e6, median=1980e6, highest=1980e6),
        memory_hz=Spread(lowest=3201e6, median=3201e6, highest=3201e6),
        power_w=Spread(lowest=700.0, median=700.0, highest=700.0),
        temperature_c=Spread(lowest=60.0, median=60.0, highest=60.0),
        utilization=Spread(lowest=0.97, median=0.97, highest=0.97),
        limits=(),
        energy_j=500.0,
        images=100,
        utilization_before=0.0,
        processes_before=0,
        processes_beside=0,
    )
    assert use.samples >= 1
    assert use.energy_per_image_j == 5.0
    assert not use.shared


def test_a_cpu_is_not_watched():
    assert Watch.begin("cpu") is None


def no_driver() -> FakeNvml:
    class Broken(FakeNvml):
        def nvmlInit(self):  # noqa: N802
            raise self.NVMLError("no driver")

    return Broken([FakeGpu()])


@pytest.mark.parametrize("fake", [None, no_driver(), FakeNvml([])], ids=["no", "broken", "empty"])
def test_without_nvml_nothing_is_known_and_nothing_fails(monkeypatch, fake):
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    assert watched() == GpuUse(images=100)
    assert Watch.begin("cuda").use(1, [0.1]).host_s == (0.1,), "that the child itself has told"


FIELDS = {
    "nvmlDeviceGetClockInfo": ("sm_hz", "memory_hz"),
    "nvmlDeviceGetPowerUsage": ("power_w",),
    "nvmlDeviceGetTemperature": ("temperature_c",),
    "nvmlDeviceGetUtilizationRates": ("utilization", "utilization_before"),
    "nvmlDeviceGetTotalEnergyConsumption": ("energy_j",),
    "nvmlDeviceGetComputeRunningProcesses": ("processes_before", "processes_beside"),
}


@pytest.mark.parametrize(("call", "absent"), FIELDS.items(), ids=FIELDS)
def test_what_a_gpu_does_not_support_is_absent_never_nought_and_alone(nvml, call, absent):
    device = FakeGpu(refused={call})
    nvml(device)
    use = watched(starting(device))
    told = [field for fields in FIELDS.values() for field in fields]
    assert [field for field in told if getattr(use, field) is None] == [*absent]


def test_a_driver_of_old_tells_limits_under_their_old_name(nvml):
    device = FakeGpu(reasons=0x4, refused={"nvmlDeviceGetCurrentClocksEventReasons"})
    nvml(device)
    use = watched(starting(device))
    assert use.limits == (("sw_power_cap", use.samples),)
    device.refused |= {"nvmlDeviceGetCurrentClocksThrottleReasons"}
    assert watched().limits is None, "nobody told; that is not: nothing held it down"


@pytest.mark.parametrize(
    ("millijoules", "energy_j"),
    [([5000, 6500], 1.5), ([5000, 5000], None), ([5000, 10], None), ([0, 250], 0.25)],
    ids=["forwards", "still", "backwards", "from 0"],
)
def test_energy_is_the_counters_difference_if_it_goes_forwards(nvml, millijoules, energy_j):
    nvml(FakeGpu(millijoules=millijoules))
    use = watched()
    assert use.energy_j == energy_j
    assert use.energy_per_image_j == (None if energy_j is None else energy_j / 100)
    assert use.power_w is not None, "which is there, and stands in for nothing"


def test_over_too_short_a_time_a_counter_tells_no_energy(nvml, monkeypatch):
    monkeypatch.setattr(gpu, "SHORTEST", 3600.0)
    nvml(FakeGpu())
    assert watched().energy_j is None


def sample(**changes: object) -> Sample:
    told = dict.fromkeys(("sm_hz", "memory_hz", "power_w", "temperature_c"), 1.0)
    return Sample(**{**told, "utilization": 0.5, "limits": 0, "pids": (CHILD,), **changes})


def of_samples(*samples: Sample) -> GpuUse:
    return Watch([], [sample(pids=())], CHILD, [*samples], number=0).use(1, ())


def test_readings_are_kept_as_lowest_median_and_highest():
    use = of_samples(*(sample(sm_hz=hz) for hz in (1.98e9, 1.2e9, 1.9e9, None)))
    assert use.sm_hz == Spread(lowest=1.2e9, median=1.9e9, highest=1.98e9)
    assert use.samples == 4


def test_throttling_is_told_with_how_often_and_bits_that_nobody_knows_are_kept():
    use = of_samples(sample(limits=0x4), sample(limits=0x44), sample(), sample(limits=1 << 40))
    limits = (("sw_power_cap", 2), ("hw_thermal_slowdown", 1), (f"{1 << 40:#x}", 1))
    assert use.limits == limits


BESIDE = {
    "alone": ([(CHILD,), (CHILD,)], 0),
    "another": ([(CHILD,), (CHILD, OTHER)], 1),
    "the most at one time": ([(CHILD, OTHER, 7), (CHILD, OTHER)], 2),
    "ourselves": ([(CHILD, os.getpid())], 0),
    "numbers of another namespace": ([(17,)], 0),
    "two of another namespace": ([(17, 18)], 1),
    "not shown": ([(), ()], None),
    "not told": ([None], None),
}


@pytest.mark.parametrize(("pids", "beside"), BESIDE.values(), ids=BESIDE)
def test_processes_of_others_are_those_that_are_not_the_tasks(pids, beside):
    use = of_samples(*(sample(pids=those) for those in pids))
    assert use.processes_beside == beside
    assert use.processes_before == (None if beside is None else 0)


def test_another_process_before_and_beside_makes_a_shared_gpu(nvml):
    device = FakeGpu(pids=[OTHER], utilizations=[30])
    nvml(device)
    use = watched(starting(device))
    assert (use.utilization_before, use.processes_before, use.processes_beside) == (0.3, 1, 1)
    assert use.shared


def test_what_ran_just_before_is_waited_for(nvml, monkeypatch):
    monkeypatch.setattr(gpu, "SETTLING", 60.0)
    slept = []
    monkeypatch.setattr(gpu, "sleep", slept.append)
    nvml(FakeGpu(utilizations=[80, 20, 0]))
    assert watched().utilization_before == 0.0
    assert slept == [gpu.PERIOD] * 2


def test_of_several_gpus_it_is_the_one_that_names_the_process(nvml):
    first, second = FakeGpu(celsius=40, pids=[OTHER]), FakeGpu(celsius=70)
    nvml(first, second)
    use = watched(starting(second))
    assert use.temperature_c.median == 70
    assert not use.shared, "the other GPU is not its concern"
    second.pids.clear()
    assert watched() == GpuUse(images=100), "nobody says which one it is"


def test_a_gpu_that_is_lost_in_between_fails_nothing(nvml):
    device = FakeGpu()
    nvml(device)
    assert watched(lambda: device.refused.update(EVERY_CALL)).sm_hz is None


def test_a_measurement_on_a_gpu_keeps_what_it_did_and_one_on_a_cpu_has_none(
    nvml,
    run,  # noqa: F811
    monkeypatch,
):
    device = FakeGpu(reasons=0x4)
    nvml(device)
    monkeypatch.setattr(FakeChild, "pid", CHILD, raising=False)
    both = messages.Timed((0.01,) * 6, 0.0, (0.011,) * 6)
    this = run(FakeLauncher(script={messages.Rounds: both}), 0.01)
    kept = this.time(ON_GPU).gpu
    assert kept.limits == (("sw_power_cap", kept.samples),)
    assert kept.images == 6 * TASK.batch
    assert kept.host_s == (0.011,) * 6
    assert this.time(TASK).gpu is None
    on_disk = [e.gpu for e in this.journal.entries() if isinstance(e, records.Measurement)]
    assert on_disk == [kept, None]


def test_rounds_that_fail_end_the_thread(nvml):
    nvml(FakeGpu())
    watch = Watch.begin("cuda")
    with pytest.raises(RuntimeError, match="unhappy"), watch.watching(CHILD):
        raise RuntimeError("unhappy")
    assert not [t for t in threading.enumerate() if "_sample" in t.name]


BAD = {
    "out of order": {"sm_hz": {"lowest": 2.0, "median": 1.0, "highest": 3.0}},
    "no energy is no nought": {"energy_j": 0.0},
    "negative": {"samples": -1},
    "more than all": {"utilization_before": 1.5},
    "not a number": {"power_w": {"lowest": float("nan"), "median": 1.0, "highest": 1.0}},
    "unknown": {"amperes": 1.0},
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_journal_with_what_no_gpu_can_have_done_is_refused(change):
    measured = records.Measurement(
        task=ON_GPU, outcome="measured", rounds_s=(0.1,), gpu=GpuUse(samples=3)
    )
    content = json.loads(journal.line(measured))
    assert journal.parse(json.dumps(content).encode(), "here") == measured
    content["gpu"] |= change
    with pytest.raises(BadRecord):
        journal.parse(json.dumps(content).encode(), "here")


def test_a_journal_of_before_has_no_gpu_and_is_read():
    measured = records.Measurement(task=ON_GPU, outcome="measured", rounds_s=(0.1,))
    content = json.loads(journal.line(measured))
    del content["gpu"]
    assert journal.parse(json.dumps(content).encode(), "here") == measured


def test_calls_and_bits_are_those_of_the_real_library():
    import pynvml  # noqa: PLC0415  (only here it is the real one)

    assert [name for name in EVERY_CALL if not callable(getattr(pynvml, name, None))] == []
    for name in ("NVML_CLOCK_SM", "NVML_CLOCK_MEM", "NVML_TEMPERATURE_GPU"):
        assert getattr(FakeNvml([]), name) == getattr(pynvml, name)
    for bit, name in LIMITS.items():
        theirs = "".join(word.capitalize() for word in name.split("_"))
        found = getattr(pynvml, f"nvmlClocksThrottleReason{theirs}", bit)  # some are newer
        assert found == bit
