"""`make bench`: the rate-distortion figures of RESULTS.md, with this machine's own time."""

import tyro

from benchmarks.rate_distortion import RateDistortion

if __name__ == "__main__":
    tyro.cli(RateDistortion).run()
