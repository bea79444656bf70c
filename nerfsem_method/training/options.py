"""The paper's knobs may be chosen beside ours; nothing heavy is imported, for the command line shows the fields.

docs/paper.md says what each means there and here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nerfsem_method.errors import NerfsemError
from nerfsem_method.field.spec import FieldSpec


@dataclass(frozen=True)
class PaperOptions:
    """These options are the paper's own, in its units."""

    features_per_level: Literal[1, 2, 4, 8] | None = None
    """d_f: give every vector of every level so many features, instead of the preset's."""
    paper_lambda: float | None = None
    """Use this lambda in the paper's unit, mean squared error per bit and feature of the tables (0.001 to 0.008 there), instead
    of the preset's rate weight."""
    context_levels: Literal[0, 1, 2, 3] = 3
    """L_C: the context models read at most so many previous levels (3 in the paper)."""
    occupancy_by: Literal["contribution", "density"] = "contribution"
    """What keeps a voxel occupied: contribution is its share in some ray's colour, density exceeds --density-threshold (the
    paper's way)."""
    density_threshold: float = 30.0
    """sigma_th: a voxel stays where the density, per edge of the cube, exceeds this; where no ray trains it, it is about 20."""

    def check(self, spec: FieldSpec) -> None:
        """Raise NerfsemError for what cannot be meant with a preset's field."""
        if self.paper_lambda is not None and not self.paper_lambda > 0:
            raise NerfsemError(f"--paper-lambda {self.paper_lambda:g} gives no rate a price; give more than 0, such as 0.004")
        if not self.density_threshold > 0:
            raise NerfsemError(f"--density-threshold {self.density_threshold:g} keeps every voxel; give more than 0")
        if not self.field(spec).storable:
            raise NerfsemError(
                f"--features-per-level {self.features_per_level} makes the tables of this preset larger than a bundle may hold; "
                "give fewer features, or choose another preset"
            )

    def field(self, spec: FieldSpec) -> FieldSpec:
        """Return the preset's specification with the chosen number of features."""
        return spec if self.features_per_level is None else spec.with_features(self.features_per_level)

    def rate_weight(self, spec: FieldSpec) -> float | None:
        """Return our lambda, the mean squared error that a byte may save, of the paper's; None where none is given.

        The paper's loss is MSE + lambda * bits / N, N being the number of features of all tables, coded or not, so that a byte
        costs 8 lambda / N.
        """
        return None if self.paper_lambda is None else 8 * self.paper_lambda / self.field(spec).values
