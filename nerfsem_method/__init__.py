"""nerfsem: storing a video of a museum piece in the space of a thumbnail."""

from nerfsem_method import kernel_cache

__version__ = "0.1.0"

kernel_cache.use()
