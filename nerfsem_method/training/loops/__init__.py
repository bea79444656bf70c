"""The hot loops of training: compiled for CPUs (`*_cpu`) and in Triton for CUDA (`*_triton`), twins of one meaning.

They take arrays, never modules. What they compute is written in plain torch in `training`, too; tests compare all three.
"""
