"""The benchmarks are programs that measure nerfsem; each keeps its latest figures in results/."""
