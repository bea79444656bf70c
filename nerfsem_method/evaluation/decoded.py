"""A bundle that is no file yet is measured as its readers would see it: it is encoded, and decoded again."""

from __future__ import annotations

import numpy as np

from nerfsem_method.codec import nsem
from nerfsem_method.playback.player import WHITE, Player


class DecodedFrames:
    """These are the frames of a bundle that is encoded and decoded again; the file would have so many `bytes`."""

    def __init__(self, bundle: nsem.Bundle) -> None:
        data = nsem.encode(bundle)
        self.bytes = len(data)
        self._player = Player(nsem.decode(data))

    def over_white(self, index: int) -> np.ndarray:
        """Return a frame as it is measured: uint8 [H, W, 3]."""
        return self._player.composited(index, WHITE)
