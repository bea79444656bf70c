"""Training makes a field: this room holds the parts of a field as torch modules, and the course that they go through."""
