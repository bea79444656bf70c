"""`make study`: the rate-distortion figures of RESULTS.md, with this machine's own time."""

import sys

import tyro

from benchmarks.rate_distortion import RateDistortion
from nerfsem_method.cli.main import run

if __name__ == "__main__":
    sys.exit(run(tyro.cli(RateDistortion)))
