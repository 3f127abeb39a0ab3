"""`convbench explain` on real models: of both frameworks, of other people, and broken ones."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

import convbench
from convbench import architecture
from convbench.base.errors import BadRecord, Unsupported
from convbench.checks.explain.explain import explain
from convbench.checks.explain.loading import load_model
from convbench.checks.parity import compare
from convbench.frameworks.arrays import writing
from convbench.frameworks.registry import load_framework
from convbench.frameworks.weights import batch, filler
from convbench.front.cli import main, shared
from tests.support.random_graphs import CHANGES, changed, random_graph, shuffled

FRAMEWORKS = [
    pytest.param("pytorch", marks=pytest.mark.pytorch),
    pytest.param("keras", marks=pytest.mark.keras),
]
CONVENTIONS = ("statistics counted as parameters", "frozen values counted as parameters")


def built(framework, graph):
    """The model that a framework makes of a graph, without weights."""
    pytest.importorskip({"pytorch": "torch"}.get(framework, framework))
    model = load_framework(framework).build(graph, allocate=False)
    return getattr(model, "native", model)


def named(found):
    """The kinds of the differences in the network."""
    return [entry.kind for entry in found.besides(())]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    "name", ["lenet5", "lenet1", "alexnet", "googlenet_aux", "mobilenet_025", "vgg16_cats_dogs"]
)
def test_what_is_compiled_from_a_description_is_that_network(framework, name):
    found = explain(built(framework, architecture(name)), name)
    assert found.closes
    assert named(found) == []
    assert found.same
    assert found.framework == framework


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.kind)
def test_a_change_is_named_in_the_real_model(framework, change):
    for seed in (3, 4):
        graph = random_graph(seed)
        other = changed(graph, change, seed)
        if other is not None:
            found = explain(built(framework, other), graph)
            assert found.closes
            assert named(found) == [change.kind]
            assert not found.same


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The file of what PyTorch computes in a step of training with a network."""
    pytest.importorskip("torch")
    folder, known = tmp_path_factory.mktemp("kept"), {}

    def kept_(graph):
        if graph not in known:
            known[graph] = folder / f"{len(known)}.npz"
            with writing(known[graph]) as keep:
                values, images = filler(graph, seed=1), batch(graph, 2, seed=1)
                load_framework("pytorch").examine(graph, values, images, 1, keep)
        return known[graph]

    return kept_


@pytest.mark.pytorch
@pytest.mark.parametrize(
    "change", [c for c in CHANGES if c.seen_by_parity], ids=lambda change: change.kind
)
def test_parity_sees_every_change_too(change, kept):
    """With the same weights where both have them: outputs, or the arrays themselves, differ."""
    graph = next(
        graph for graph in map(random_graph, range(9)) if changed(graph, change, 3) is not None
    )
    files = (kept(graph), kept(changed(graph, change, 3)))
    try:
        same = compare(graph, ("one", "other"), files, "float64", 0.0).same
    except (BadRecord, ValueError):  # an array that one side lacks, or of another shape
        same = False
    assert not same


@pytest.mark.pytorch
def test_the_same_network_is_the_same_to_parity(kept):
    files = (kept(random_graph(0)), kept(shuffled(random_graph(0), 1)))
    assert compare(random_graph(0), ("one", "other"), files, "float64", 0.0).same


KERAS = [
    # model, architecture, parameters by difference, as keras 3.15.1 has them
    ("ResNet50", "resnet50", {"bias added": 26_560, "epsilon": 0, "momentum": 0, 0: 53_120}),
    ("VGG16", "vgg16", {"layer missing": 0}),
    ("VGG19", "vgg19", {"layer missing": 0}),
    (
        "InceptionV3",
        "inception_v3",
        {"momentum": 0, "batch norm without scale": -17_216, "layer missing": 0, 0: 34_432},
    ),
    (
        "InceptionResNetV2",
        "inception_resnet_v2_slim",
        {"momentum": 0, "layer missing": 0, 0: 60_544},
    ),
    ("Xception", "xception", {"epsilon": 0, "momentum": 0, "layer missing": 0, 0: 54_528}),
    (
        "MobileNet",
        "mobilenet",
        {"padding": 0, "epsilon": 0, "momentum": 0, "activation": 0, "layer extra": 0, 0: 21_888},
    ),
    (
        "MobileNetV2",
        "mobilenet_v2",
        {"padding": 0, "epsilon": 0, "momentum": 0, "layer missing": 0, 0: 34_112},
    ),
    (
        "NASNetMobile",
        "nasnet_mobile",
        {"layer extra": 0, "padding": 0, "padding counted": 0, "layer missing": 0, 0: 36_738},
    ),
    ("DenseNet121", "densenet121", {"epsilon": 0, "momentum": 0, 0: 83_648}),
    (
        "EfficientNetB0",
        "efficientnet_b0",
        {"layers extra": 0, "padding": 0, "layer extra": 0, 0: 42_023},
    ),
    (
        "ResNet50V2",
        "preact_resnet50",
        {
            "bias added": 19_008,
            "layer extra": 0,
            "epsilon": 0,
            "momentum": 0,
            "order of operations": 0,
            "padding": 0,
            "stride position": 0,
            0: 45_440,
        },
    ),
]


@pytest.mark.keras
@pytest.mark.parametrize(("model", "name", "expected"), KERAS, ids=[case[0] for case in KERAS])
def test_every_model_of_keras_applications_is_accounted_for(model, name, expected):
    pytest.importorskip("keras")
    importlib.import_module("keras.applications")
    found = explain(load_model(f"keras.applications:{model}"), name)
    sums = {}
    for entry in found.ledger.entries:
        kind = 0 if entry.kind in CONVENTIONS else entry.kind
        sums[kind] = sums.get(kind, 0) + entry.delta.parameters
    assert found.closes
    assert sums == expected


@pytest.mark.keras
@pytest.mark.slow
def test_the_largest_model_of_keras_applications_is_accounted_for():
    pytest.importorskip("keras")
    importlib.import_module("keras.applications")
    found = explain(load_model("keras.applications:NASNetLarge"), "nasnet_large")
    assert found.closes
    assert {e.kind for e in found.besides(())} == {
        *("layer extra", "padding", "padding counted", "layer missing")
    }


MODELS = """
import sys

import torch
from torch import nn
import torch.nn.functional as F


class Mine(nn.Module):
    '''The lecture's network as other people write: functional calls, arrays of its own.'''

    def __init__(self, channels=32, kernel=3):
        super().__init__()
        self.one = nn.Conv2d(1, channels, kernel)
        self.two = nn.Conv2d(channels, 64, 3)
        self.three = nn.Conv2d(64, 64, 3)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(576, 64), nn.ReLU(inplace=True))
        self.weight = nn.Parameter(torch.empty(10, 64))
        self.bias = nn.Parameter(torch.empty(10))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.one(x)), 2)
        x = F.max_pool2d(F.relu(self.two(x)), 2)
        x = self.head(torch.relu_(self.three(x)))
        return F.linear(x, self.weight, self.bias)


class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 4, 3)

    def forward(self, x):
        x = self.one(x)
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


def wider():
    return Mine(channels=33)


class Looking(Mine):
    '''Asks for the value of its weights while it is made.'''

    def __init__(self):
        super().__init__()
        self.largest = float(self.one.weight.detach().max())


def needs_width(width):
    return Mine(width)


def broken():
    raise ValueError("no\\nluck")


def nothing():
    return 3


def leaves():
    sys.exit(0)


class Leaving(Mine):
    def forward(self, x):
        raise SystemExit


class Silent(Exception):
    def __str__(self):
        raise ValueError


def says_nothing():
    raise Silent


def talks():
    print("talking")
    return Mine()


def imports_late():
    from my_helpers import Mine as late

    return late()


def clears_the_path():
    sys.path[:] = [folder for folder in sys.path if folder]
    return Mine()


model = Mine()
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of the user's own in the current folder."""
    pytest.importorskip("torch")
    (tmp_path / "my_models.py").write_text(MODELS)
    (tmp_path / "my_helpers.py").write_text("from my_models import Mine\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    yield
    sys.modules.pop("my_models", None)
    sys.modules.pop("my_helpers", None)


@pytest.fixture
def run(capsys):
    """Status, output and complaints of the command."""

    def run_(*words):
        with pytest.raises(SystemExit) as left:
            main.main(["explain", *words])
        return left.value.code, *capsys.readouterr()

    return run_


@pytest.mark.pytorch
@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("path", ["Mine", "model", "Looking", "imports_late", "clears_the_path"])
def test_the_paper_s_network_in_another_style_ends_in_0(run, path):
    status, out, err = run(f"my_models:{path}", "--as", "mnist_convnet")
    assert (status, err) == (shared.OK, "")
    assert out.startswith(f"my_models:{path} is mnist_convnet as its paper describes it: 93,322")


@pytest.mark.pytorch
@pytest.mark.usefixtures("mine")
def test_another_network_ends_in_1_with_its_ledger(run):
    status, out, _ = run("my_models:wider", "--as", "mnist_convnet")
    assert status == shared.DIFFERS
    said = " ".join(out.split())
    assert "is not mnist_convnet as its paper describes it: 93,908 parameters (586 more" in said
    assert "Channels: 33 instead of 32; 1 layer behind it follows at one (+586 param" in said
    assert "That accounts for all of it." in said
    row = next(line for line in out.splitlines() if line.startswith("channels"))
    assert row.split()[-3:] == ["+586", "0", "+75,780"]


@pytest.mark.pytorch
@pytest.mark.usefixtures("mine")
def test_json_has_every_entry_and_the_totals(run):
    status, out, _ = run("my_models:wider", "--as", "mnist_convnet", "--format", "json")
    found = json.loads(out)
    assert status == shared.DIFFERS
    assert list(found) == [
        *(
            "model",
            "architecture",
            "framework",
            "same",
            "accepted",
            "closes",
            "paper",
            "found",
            "difference",
        ),
        *("gap", "entries", "notes", "doubts", "paragraph"),
    ]
    assert (found["same"], found["closes"]) == (False, True)
    (entry,) = found["entries"]
    assert (entry["kind"], entry["model"], entry["paper"]) == ("channels", ["one"], ["conv1"])
    assert entry["parameters"] == found["difference"]["parameters"]
    assert found["gap"] == {"parameters": 0, "buffers": 0, "macs": 0}


@pytest.mark.pytorch
@pytest.mark.usefixtures("mine")
def test_what_the_user_s_code_prints_is_no_part_of_the_answer(run):
    status, out, err = run("my_models:talks", "--as", "mnist_convnet", "--format", "json")
    assert (status, json.loads(out)["same"]) == (shared.OK, True)
    assert set(err.split()) == {"talking"}


@pytest.mark.pytorch
@pytest.mark.usefixtures("mine")
def test_what_is_allowed_ends_in_0(run):
    words = ("my_models:wider", "--as", "mnist_convnet", "--allow")
    status, out, _ = run(*words, "channels, epsilon")
    assert status == shared.OK
    assert "is mnist_convnet as its paper describes it, but for what is" in out
    assert run(*words, "epsilon")[0] == shared.DIFFERS
    status, _, err = run(*words, "epsilom")
    assert (status, err.count("\n")) == (shared.BROKEN, 1)
    assert "unknown kind of difference 'epsilom'; did you mean epsilon?" in err


@pytest.mark.pytorch
@pytest.mark.usefixtures("mine")
def test_markdown_is_a_table_with_a_paragraph(run):
    _, out, _ = run("my_models:wider", "--as", "mnist_convnet", "--format", "markdown")
    assert "\n| difference" in out
    assert "\n|:-" in out


@pytest.mark.pytorch
@pytest.mark.usefixtures("mine")
def test_the_paper_s_network_can_be_taken_for_other_images_and_classes(run):
    words = ("my_models:Mine", "--as", "mnist_convnet", "--classes", "10", "--input", "1,28,28")
    assert run(*words)[0] == shared.OK
    status, out, _ = run(*words[:-2], "--classes", "7")
    assert status == shared.DIFFERS
    assert "10 instead of 7" in out


@pytest.mark.pytorch
@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("my_models", "--as", "lenet5"), "my_models: it is not of the form MODULE:CALLABLE; as"),
        (("my_modles:Mine", "--as", "lenet5"), "importing my_modles fails with ModuleNotFound"),
        (("my_models:Mne", "--as", "lenet5"), "my_models has no Mne; did you mean Mine?"),
        (("my_models:needs_width", "--as", "lenet5"), "calling it fails with TypeError: needs_wi"),
        (("my_models:broken", "--as", "lenet5"), "calling it fails with ValueError: no;"),
        (("my_models:nothing", "--as", "lenet5"), "an int: it is neither a torch.nn.Module nor"),
        (("my_models:leaves", "--as", "lenet5"), "it ends the program with SystemExit: 0; name"),
        (("my_models:Leaving", "--as", "mnist_convnet"), "it ends the program with SystemExit"),
        (
            ("my_models:says_nothing", "--as", "lenet5"),
            "with Silent: it does not say why; see",
        ),
        (("my_models:Mine.on", "--as", "lenet5"), "my_models.Mine has no on; "),
        (("my_models:F", "--as", "lenet5"), "my_models:F: a module is no model; name what"),
        (("my_models:Mine", "--as", "lenet6"), "unknown architecture 'lenet6'; did you mean lenet"),
        (("my_models:Deciding", "--as", "mnist_convnet"), "it asks for the value of a tensor"),
        (("my_models:Mine", "--as", "lenet5"), "my_models:Mine, head.1: "),
        (("my_models:Mine", "--as", "lenet5", "--input", "1,28"), "--input must be three numbers"),
        (("my_models:Mine", "--as", "lenet5", "--input", "1,28,x"), "--input must be three num"),
        (("my_models:Mine", "--as", "vgg16", "--classes", "0"), "--classes must be a whole number"),
        (("my_models:Mine", "--as", "vgg16", "--input", "1,2,2"), "choose images of another size"),
    ],
)
def test_what_cannot_be_explained_gets_one_sentence(run, words, complaint):
    status, out, err = run(*words)
    assert (status, out) == (shared.BROKEN, "")
    assert err.count("\n") == 1
    assert complaint in err


@pytest.mark.pytorch
@pytest.mark.usefixtures("mine")
def test_a_model_of_another_image_is_taken_for_a_model_that_cannot_run():
    with pytest.raises(Unsupported, match=r"see that the model takes two images of \(1, 32, 32\)"):
        explain(load_model("my_models:Mine"), "lenet5")


def test_the_package_offers_explain_without_importing_it():
    program = "import sys, convbench; print('pandas' in sys.modules, convbench.explain.__name__)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False explain\n"


def test_the_package_has_no_other_late_names():
    with pytest.raises(AttributeError, match="has no attribute explian"):
        _ = convbench.explian
