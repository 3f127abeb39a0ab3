"""Run as `python -m tests.framework_facts FRAMEWORK FOLDER`: what one framework says and does.

Each framework gets a process of its own, since two of them in one process disturb each other.
Facts go to FOLDER/facts.json, arrays to FOLDER/NAME.npz.
"""

import json
import sys
from pathlib import Path

import numpy as np

from convbench.architectures import architecture
from convbench.frameworks import PASSES, load_framework
from convbench.frameworks.weights import batch, filler
from convbench.infer import Tensor
from tests.small_graphs import GRAPHS

ARCHITECTURES = (
    *("lenet1", "lenet5", "lenet5_keras", "resnet20_cifar", "resnet29_v2_cifar_keras"),
    *("mnist_convnet", "cats_dogs_convnet"),
)


def facts_of(framework, graph, folder):
    """What one network is and does; its arrays go to a file."""
    images, labels = batch(graph, 3, seed=1)
    values = filler(graph, seed=1)
    model = framework.build(graph, allocate=True)
    framework.load(model, values)
    loaded = framework.read(model)
    arrays = {"answer": framework.run(model, images)}
    changed = {}
    for pass_ in PASSES:
        framework.load(model, values)
        framework.step(model, pass_, images, labels)()
        after = framework.read(model)
        changed[pass_] = sorted(k for k in after if not np.array_equal(after[k], loaded[k]))
    arrays |= {f"after/{key}": array for key, array in after.items()}
    np.savez(folder / f"{graph.name}.npz", **arrays)
    expected = {f"{n.address}/{t.name}": t for n in graph for t in n.tensors}
    return {
        "same as described": _same(loaded, expected, values),
        "observed alike": framework.observe(model)
        == framework.observe(framework.build(graph, allocate=False)),
        "changed": changed,
    }


def _same(loaded, expected: dict[str, Tensor], values) -> bool:
    return loaded.keys() == expected.keys() and all(
        np.array_equal(loaded[key], values(key, tensor.shape)) for key, tensor in expected.items()
    )


def main():
    """Writes the facts about every small network."""
    framework = load_framework(sys.argv[1])
    folder = Path(sys.argv[2])
    framework.prepare("cpu", 2)
    graphs = [make() for make in GRAPHS.values()] + [architecture(n) for n in ARCHITECTURES]
    facts = {graph.name: facts_of(framework, graph, folder) for graph in graphs}
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
