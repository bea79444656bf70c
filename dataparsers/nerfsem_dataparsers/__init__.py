"""nerfstudio dataparser of nerfsem, and the capture room behind it."""
