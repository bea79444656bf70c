"""nerfsem as a nerfstudio method. Imports nothing: entry points load this package from half-loaded modules."""
