"""The binary radiance field: its specification and state (NumPy) and its trainable form (torch)."""
