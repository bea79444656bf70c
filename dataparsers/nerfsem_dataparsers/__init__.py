"""The entry point of nerfsem's data parser, apart from everything else."""
