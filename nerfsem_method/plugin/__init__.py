"""nerfsem is a nerfstudio method here. This file imports nothing: entry points load the package from half-loaded modules."""
