"""What COLMAP's process tells becomes one progress, which goes on where the cameras are solved more than once."""

from __future__ import annotations

from nerfsem_method.capture.cameras.process import Told
from nerfsem_method.capture.colmap.job import STAGES

ONCE = [(stage, done) for stage in STAGES for done in (0, 25, 50, 100)]


def heard(told: Told, lines: list[tuple[str, int]]) -> list[float]:
    return [told.reached(f"{stage} {done} 100\n") for stage, done in lines]


def test_one_solution_goes_from_nothing_to_all() -> None:
    shares = heard(Told(), ONCE)
    assert shares == sorted(shares) and shares[0] < 0.01 and abs(shares[-1] - 1) < 1e-9


def test_a_second_solution_goes_on_where_the_first_one_ended() -> None:
    told = Told()
    first = heard(told, [("until", 60), *ONCE])
    again = [line for line in ONCE if line[0] != "features"]  # Features are known then.
    second = heard(told, [("until", 95), *again[:-1], *again[:-1]])
    last = heard(told, [("until", 100), ("refinement", 0), ("refinement", 50)])
    assert abs(first[-1] - 0.6) < 1e-9 and 0.95 < last[-1] < 1
    shares = first + second + last
    assert max(second) <= 0.95 + 1e-9
    assert shares == sorted(shares) and max(shares) <= 1
    assert second[1] - first[-1] < 0.01 and second[0] < second[2] < second[3]  # It moves from its first stage on.
    repeated = second[len(again) :]
    assert len({*repeated}) == len(repeated)  # What is done again moves it, too.


def test_a_share_is_never_more_than_all_and_other_words_change_nothing() -> None:
    told = Told()
    assert heard(told, [("until", 90), ("cameras", 300)])[-1] <= 0.9
    before = told.reached("pairs 1 2")
    assert told.reached("COLMAP greets you\n") == told.reached("nonsense 3 4\n") == before
