"""Tints are estimated from what the field shows and what the frames have: least squares a frame, then few directions for all.

A frame's affine map of colours has 12 numbers. Over a clip they vary together, so that their deviations from the mean, measured
in the error of the picture, have few directions that matter (a truncated singular value decomposition); as many are kept as
lower D + lambda R.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nerfsem_method.codec.coder import Meter
from nerfsem_method.codec.tints import LARGEST, NUMBERS, TINT_BITS, Tints, code_tints

PRIOR = 1e-3
"""Maps are pulled to the identity by so much mean squared colour: a grey object tells little of how channels mix."""
WEIGHT_BITS = 6
"""A weight's step moves the object's colours by 2 ** -6, root of the three channels' summed squares: 0.1 % of a usual error."""


@dataclass(frozen=True)
class ColorEvidence:
    """What some pixels of a frame say of its map: moments of the rendered colours (and 1) with themselves [4, 4], and with the
    frame's colours [4, 3], means over the pixels; and the mean square of the latter."""

    moments: Tensor
    targets: Tensor
    square: float

    @classmethod
    def of(cls, rendered: Tensor, target: Tensor) -> ColorEvidence:
        """Take straight colours [P, 3] without gain or tint, and the frame's [P, 3]."""
        x = torch.cat([rendered, torch.ones_like(rendered[:, :1])], 1).double()
        y = target.double()
        return cls(x.T @ x / len(x), x.T @ y / len(x), float(y.square().sum(1).mean()))

    def map(self) -> Tensor:
        """Return the map [3, 4] that fits best."""
        prior = PRIOR * torch.eye(4, dtype=torch.float64, device=self.moments.device)
        return torch.linalg.solve(self.moments + prior, self.targets + prior[:, :3]).T

    def error(self, matrix: Tensor) -> float:
        """Return the mean squared error, summed over channels, with a map [3, 4]."""
        return float((matrix @ self.moments * matrix).sum() - 2 * (matrix.T * self.targets).sum()) + self.square


def estimate(evidence: list[ColorEvidence | None], byte_weight: float) -> Tints | None:
    """Return the tints of a clip, None if none pay.

    Args:
        evidence: one a frame; a frame without any keeps the clip's colours.
        byte_weight: the mean squared error of the object's pixels, mean over channels, that a byte may save.
    """
    known = [found for found in evidence if found is not None]
    if not known:
        return None
    identity = torch.eye(4, dtype=torch.float64, device=known[0].moments.device)[:3]
    maps = torch.stack([found.map() if found else identity for found in evidence])
    present = torch.tensor([found is not None for found in evidence], device=maps.device)
    maps = _relative(maps, maps[present].mean(0))
    maps[~present] = identity
    deviations = (maps - identity).reshape(-1, NUMBERS)
    root = torch.linalg.cholesky(torch.stack([found.moments for found in known]).mean(0) + PRIOR * torch.eye(4).to(identity))
    whitener = torch.block_diag(root, root, root)
    u, s, vt = torch.linalg.svd(deviations @ whitener, full_matrices=False)
    directions = torch.linalg.solve(whitener.T, vt.T).T  # [12, 12]
    best, cost = None, _error(evidence, identity.expand(len(evidence), 3, 4))
    for rank in range(1, int((s > 2.0**-WEIGHT_BITS).sum()) + 1):
        weights = (u[:, :rank] * s[:rank] * 2**WEIGHT_BITS).round().clamp(-LARGEST, LARGEST)
        rows = (directions[:rank] * 2.0 ** (TINT_BITS - WEIGHT_BITS)).round().clamp(-LARGEST, LARGEST)
        tints = Tints(rows.long().cpu().numpy(), weights.long().cpu().numpy())
        found = _error(evidence, torch.from_numpy(tints.matrices()).to(identity)) + byte_weight * _bytes(tints)
        if found < cost:
            best, cost = tints, found
    return best


def _relative(maps: Tensor, mean: Tensor) -> Tensor:
    """Return maps [N, 3, 4] of colours that the mean map [3, 4] has been applied to already."""
    inverse = torch.linalg.inv(mean[:, :3])
    linear = maps[:, :, :3] @ inverse
    return torch.cat([linear, maps[:, :, 3:] - (linear @ mean[:, 3])[:, :, None]], 2)


def _error(evidence: list[ColorEvidence | None], maps: Tensor) -> float:
    """Return the mean squared error over frames and channels."""
    errors = [found.error(matrix) for found, matrix in zip(evidence, maps, strict=True) if found is not None]
    return sum(errors) / len(errors) / 3


def _bytes(tints: Tints) -> float:
    meter = Meter()
    code_tints(meter, tints, len(tints.weights))
    return meter.bits / 8
