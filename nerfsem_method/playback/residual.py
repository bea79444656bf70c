"""The residual of a bundle is decoded picture after picture, as frames are asked for."""

from __future__ import annotations

from threading import Lock

import numpy as np

from nerfsem_method.background.pictures import residuals_of
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.codec.residual import with_difference


class Residual:
    """The residual of a bundle, as far as it is decoded: it begins anew for a frame that lies behind, and after an error.

    Several threads may ask for frames; they wait for each other.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle, self._lock = bundle, Lock()
        self._begin()

    def added(self, shown: np.ndarray, index: int) -> np.ndarray:
        """Return frame `index` as it is rendered, [H, W, 4] premultiplied, with its differences; as it is without a residual.

        Raises CorruptBundle when the stream is damaged.
        """
        return shown if self._bundle.residual is None else with_difference(shown, self._picture_of(index))

    def _picture_of(self, index: int) -> np.ndarray:
        with self._lock:
            if index < self._at:
                self._begin()
            try:
                while self._at < index:
                    self._at, self._picture = next(self._pictures)
            except BaseException:  # What has raised an error yields nothing more.
                self._begin()
                raise
            return self._picture

    def _begin(self) -> None:
        self._pictures = enumerate(residuals_of(self._bundle))
        self._at, self._picture = -1, np.zeros(0, np.uint8)
