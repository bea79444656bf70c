"""Loops that numba compiles: where they are kept on disk, and how all cores share them.

Every compiled loop takes `njit` from here, so that the cache's place is settled before numba looks for it.
"""

from numba import njit

from nerfsem_method.compiled import cache

__all__ = ["njit"]

cache.use()
