"""These programs study what comes out, and how good it is."""
