"""numba compiles loops here; this room says where they are kept on disk, and how all cores work on them.

Every compiled loop takes `njit` from here, so that the cache's place is settled before numba looks for it.
"""

from numba import njit

from nerfsem_method.compiled import cache

__all__ = ["FAST", "fast_part", "njit"]

cache.use()

FAST = {"contract", "reassoc", "nsz", "arcp"}
"""Arithmetic whose last bit does not matter is compiled with this freedom. Where samples lie does, so marching goes without."""

fast_part = njit(cache=True, fastmath=FAST, forceinline=True)
"""A function of free arithmetic that other loops call is a part of each of them. As a function of its own it would be optimised
once for itself and once in each caller's library, and the linker takes what it meets first: last bits would hang on what was
loaded from the cache and what was compiled just now."""
