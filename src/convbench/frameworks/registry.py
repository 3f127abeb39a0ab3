"""What convbench asks of a framework, and the list of those it knows, none of them imported yet.

A framework is one file with one class of the form of `Framework`, and one line in FRAMEWORKS.
Elsewhere a framework is only a name.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from attrs import frozen

from convbench.base.errors import FrameworkMissing, UnknownName, Unsupported, said
from convbench.frameworks.modes import DEFAULT, offers, parts
from convbench.frameworks.protocol import (
    PARTS,
    Framework,
    HasLibraries,
    Libraries,
)
from convbench.networks.passes import EVERYWHERE, PASSES, Pass

Variables: TypeAlias = tuple[tuple[str, str], ...]
"""Names of environment variables with their values."""


@frozen
class Known:
    """Where a framework's file is, and what it needs to be installed."""

    module: str
    needs: tuple[str, ...]
    install: str
    modes: tuple[str, ...] | None = (DEFAULT,)
    """The modes that it offers; None for a module of the user's own, until it is imported."""
    passes: tuple[Pass, ...] = EVERYWHERE
    environment: Mapping[str, str] = {"KERAS_BACKEND": "tensorflow"}
    """Environment variables that must be so before it is imported."""
    mode_environment: Mapping[str, Mapping[str, str]] = {}
    """Those that a mode needs besides, where the user has not set them."""


FRAMEWORKS: dict[str, Known] = {
    "pytorch": Known(
        "convbench.frameworks.pytorch.model",
        ("torch",),
        'pip install "convbench[pytorch]"',
        (DEFAULT, "compiled", "channels_last"),
    ),
    "keras": Known(
        "convbench.frameworks.keras.on_tensorflow",
        ("keras", "tensorflow"),
        'pip install "convbench[keras]"',
        (DEFAULT, "eager", "compiled", "native_groups"),
        (*PASSES,),
        # Without oneDNN the kernel knows no gradient on a CPU, and TensorFlow leaves oneDNN off on
        # CPUs of some kinds. For the default that is TensorFlow's choice; this mode is nothing
        # without it.
        mode_environment={"native_groups": {"TF_ENABLE_ONEDNN_OPTS": "1"}},
    ),
    "keras-jax": Known(
        "convbench.frameworks.keras.on_jax",
        ("keras", "jax"),
        'pip install "convbench[keras-jax]"',
        passes=(*PASSES,),
        # On a GPU, JAX would take most of its memory at once, used or not.
        environment={"KERAS_BACKEND": "jax", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
    ),
    "keras-torch": Known(
        "convbench.frameworks.keras.on_torch",
        ("keras", "torch"),
        'pip install "convbench[keras-torch]"',
        passes=(*PASSES,),
        # Keras would look for a GPU when it is imported, and forked children could not use it.
        environment={"KERAS_BACKEND": "torch", "KERAS_TORCH_DEVICE": "cpu"},
    ),
}

DEFAULT_FRAMEWORKS = ("pytorch", "keras")
"""What is meant where no framework is named."""


def known(name: str) -> Known:
    """Where `name` is: one of FRAMEWORKS, or a module of the user's own that has a dot in it.

    Raises UnknownName with the nearest names.
    """
    if name in FRAMEWORKS:
        return FRAMEWORKS[name]
    if "." in name:
        return Known(name, (), f"put {name} on the Python path", None)
    raise UnknownName("framework", name, tuple(FRAMEWORKS))


def variables(name: str, mode: str) -> Variables:
    """What the environment of a framework's workers must have besides for a mode.

    What the user has set stays as it is.
    """
    of_modes = FRAMEWORKS[name].mode_environment if name in FRAMEWORKS else {}
    needed = {key: value for part in parts(mode) for key, value in of_modes.get(part, {}).items()}
    return tuple((key, value) for key, value in needed.items() if key not in os.environ)


def among(packages: Collection[str]) -> list[str]:
    """The frameworks whose models are of one of these packages, each package's first."""
    first = {place.needs[0]: name for name, place in reversed(FRAMEWORKS.items())}
    return [name for name in FRAMEWORKS if name in {first.get(package) for package in packages}]


def libraries(framework: Framework) -> Libraries:
    """What decides a framework's speed on this machine, as far as it can tell."""
    return framework.libraries() if isinstance(framework, HasLibraries) else ()


def require_mode(framework: Framework, mode: str) -> None:
    """Raises Unsupported unless the framework offers the mode."""
    if not offers(framework.modes, mode):
        why = f"{framework.name} cannot run in it"
        remedy = f"choose --bench-mode {' or '.join(framework.modes)}"
        raise Unsupported(f"mode {mode}", why, remedy)


def missing(name: str) -> FrameworkMissing | None:
    """Why a framework cannot be used, without importing it; None if it is installed."""
    place = known(name)
    absent = [need for need in place.needs if importlib.util.find_spec(need) is None]
    if not absent:
        return None
    return FrameworkMissing(name, f"{' and '.join(absent)} not installed", f"run {place.install}")


def load_framework(name: str) -> Framework:
    """Imports a framework; raises FrameworkMissing if it is not there or does not import."""
    absent = missing(name)
    if absent is not None:
        raise absent
    place = known(name)
    os.environ.update(place.environment)
    try:
        framework: Framework = _made(name, importlib.import_module(place.module))
    except FrameworkMissing:
        raise
    except Exception as error:  # a broken installation may raise anything at all
        why = f"importing {place.module} fails with {said(error)}"
        remedy = f"see what python -c 'import {place.module}' says"
        if isinstance(error, ImportError):
            remedy = place.install
        raise FrameworkMissing(name, why, remedy) from error
    return framework


def _made(name: str, module: Any) -> Any:
    """What a module's `framework()` returns, if it has the form of a Framework."""
    remedy = "CONTRIBUTING.md says what a framework is"
    if not callable(getattr(module, "framework", None)):
        raise FrameworkMissing(name, "its module has no function framework()", remedy)
    framework = module.framework()
    absent = [part for part in PARTS if not hasattr(framework, part)]
    if absent:
        raise FrameworkMissing(name, f"its framework() lacks {', '.join(absent)}", remedy)
    return framework
