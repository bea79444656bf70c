"""Presets are the TOML files of `configs/`, beside the package in a checkout and inside it in an installed wheel.

A preset looks like this; [model] and most of [field] may be left out, whose defaults then hold:

    description = "one line for --help"
    steps = 2000                    # of training
    rays = 4096                     # a step

    [learning_rates]                # Adam's at the first step, by parameter group of the model; they fall evenly to nothing
    grids = 0.02
    heads = 0.02
    contexts = 0.005

    [field]                         # fields of FieldSpec; a level is [resolution, values a vector]
    volume = [[16, 2], [32, 2]]
    planes = [[128, 2]]

    [model]                         # fields of the model's configuration
    rate_weight = 2e-8

    [model.course]                  # fields of Course, the stages of training
    freeze_at = 0.6
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nerfsem_method.errors import NerfsemError
from nerfsem_method.field.spec import FieldSpec, Level
from nerfsem_method.training.course import Course


@dataclass(frozen=True)
class LearningRates:
    """Adam's learning rates at the first step fall evenly to nothing."""

    grids: float
    heads: float
    contexts: float


@dataclass(frozen=True)
class Preset:
    """A preset is one training recipe; `model` holds keyword arguments of the model's configuration."""

    name: str
    description: str
    steps: int
    rays: int
    learning_rates: LearningRates
    field: FieldSpec
    model: dict[str, Any]


def folder() -> Path:
    """Return where the presets lie. Raises NerfsemError when the installation has lost them."""
    package = Path(__file__).resolve().parents[1]
    for found in (package / "configs", package.parent / "configs"):
        if any(found.glob("*.toml")):
            return found
    raise NerfsemError("this installation of nerfsem has no presets (configs/*.toml); install it again")


def names() -> tuple[str, ...]:
    """Return the names of all presets, sorted."""
    return tuple(sorted(path.stem for path in folder().glob("*.toml")))


def load(name: str) -> Preset:
    """Read one preset. Raises NerfsemError for an unknown name, an unknown key or a value of the wrong kind."""
    if name not in names():
        raise NerfsemError(f"there is no preset {name!r}; choose one of {', '.join(names())}")
    path = folder() / f"{name}.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        told = {"decay", "final"} & set(data["learning_rates"])  # presets of before have these
        if told:
            raise ValueError(f"learning rates fall evenly to nothing: take {' and '.join(sorted(told))} out")
        data["learning_rates"] = LearningRates(**data["learning_rates"])
        data["field"] = _field(**data["field"])
        model = data.get("model", {})
        data["model"] = {**model, "course": Course(**model.get("course", {}))}
        return Preset(name=name, **data)
    except (KeyError, TypeError, ValueError) as error:
        raise NerfsemError(f"the preset {path} is not valid: {error}") from None


def _field(volume: list[list[int]], planes: list[list[int]], **rest: Any) -> FieldSpec:
    return FieldSpec(tuple(Level(*level) for level in volume), tuple(Level(*level) for level in planes), **rest)
