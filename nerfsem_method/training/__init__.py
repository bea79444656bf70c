"""Training makes a field: the trainable twins of what `field`, `raycast` and `codec` hold, and the course they go through."""
