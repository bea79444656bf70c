"""The residual of a bundle is decoded picture after picture, as frames are asked for."""

from __future__ import annotations

import numpy as np

from nerfsem_method.background.pictures import residuals_of
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.codec.residual import with_difference


class Residual:
    """The residual of a bundle, as far as it is decoded: it begins anew for a frame that lies behind."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._pictures = enumerate(residuals_of(bundle))
        self._at, self._picture = -1, np.zeros(0, np.uint8)

    def added(self, shown: np.ndarray, index: int) -> np.ndarray:
        """Return frame `index` as it is rendered, [H, W, 4] premultiplied, with its differences; as it is without a residual."""
        if self._bundle.residual is None:
            return shown
        if index < self._at:
            self._pictures, self._at = enumerate(residuals_of(self._bundle)), -1
        while self._at < index:
            self._at, self._picture = next(self._pictures)
        return with_difference(shown, self._picture)
