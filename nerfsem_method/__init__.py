"""nerfsem stores a video of a museum piece in the space of a thumbnail."""

__version__ = "0.1.0"
