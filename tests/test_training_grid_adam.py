"""Adam over a field's tables, in one compiled pass and in torch: both leave runs of values alone that no gradient comes to."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_field import DENSE, HASHED, ball, orbit, tiny_state

from nerfsem_method.errors import NerfsemError
from nerfsem_method.field.spec import Level
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.training.backend import using
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.density import density
from nerfsem_method.training.grid_adam import GridAdam
from nerfsem_method.training.heads import Heads
from nerfsem_method.training.loops.scatter import RUN
from nerfsem_method.training.radiance import RadianceField

STEPS = 4


def test_vectors_that_are_too_long_are_refused():
    assert RadianceField(DENSE.with_features(8), ball(DENSE.occupancy)).grids.slots.size
    with pytest.raises(NerfsemError, match="a level of 9 features cannot be trained; give it 8 at most"):
        RadianceField(DENSE.with_features(9), ball(DENSE.occupancy))


def _trained(field, optimizer, origins, directions):
    """Return theta after some steps, of which the last one counts no rate; each draws the same random numbers."""
    torch.manual_seed(1)
    for number in range(STEPS):
        optimizer.zero_grad()
        step = field.step(origins, directions, 400)
        rate = 1e-3 * step.bits if number < STEPS - 1 else 0
        (step.rendering.color.sum() + step.rendering.distortion + rate).backward()
        optimizer.step()
        if not isinstance(optimizer, GridAdam):
            field.grids.theta.data.clamp_(-1, 1)  # torch's Adam leaves that out
    return field.grids.theta.detach()


def _rays():
    camera = CameraPath(Intrinsics(40, 30, 50.0, 50.0, 20.0, 15.0), orbit(4))
    frames, pixels = torch.randint(0, 4, (400,)), torch.rand(400, 2) * torch.tensor([40, 30])
    with torch.no_grad():
        return camera.rays(frames, pixels)


@pytest.mark.parametrize("spec", [DENSE, HASHED], ids=["dense", "hashed"])
def test_compiled_steps_are_those_in_torch(spec):
    torch.manual_seed(0)
    mine = RadianceField.from_state(tiny_state(spec))
    mine.grids.set_coded([entries[len(entries) // 3 :] for entries in mine.grids.slots.entries])
    with torch.no_grad():
        mine.grids.theta.mul_(torch.rand_like(mine.grids.theta))
    theirs = copy.deepcopy(mine)
    before, rays = mine.grids.theta.detach().clone(), _rays()
    own, torchs = GridAdam([mine.grids.theta], lr=0.01), GridAdam([theirs.grids.theta], lr=0.01)
    own.serve(mine.grids)
    moved = _trained(mine, own, *rays)
    expected = _trained(theirs, torchs, *rays)
    changed = expected != before
    assert 0.05 < changed.float().mean() < 0.999
    assert torch.equal(moved != before, changed)
    torch.testing.assert_close(moved, expected, atol=2e-4, rtol=0)
    assert (moved - expected).abs().mean() < 1e-6
    for key, value in torchs.state[theirs.grids.theta].items():
        torch.testing.assert_close(own.state[mine.grids.theta][key], value, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("served", [True, False])
def test_runs_without_gradient_stay_and_others_move_as_torchs_adam_moves_them(served):
    torch.manual_seed(0)
    mine = RadianceField.from_state(tiny_state(DENSE))
    theirs = copy.deepcopy(mine)
    theta, expected = mine.grids.theta, theirs.grids.theta
    own, torchs = GridAdam([theta], lr=0.1), torch.optim.Adam([expected], lr=0.1)
    if served:
        own.serve(mine.grids)
    value = int(mine.grids.coded.nonzero()[-1])
    gradient = torch.randn_like(theta) * mine.grids.coded
    alone = torch.zeros_like(theta)
    alone[value] = 1e-3
    run = slice(value // RUN * RUN, value // RUN * RUN + RUN)
    for number, given in enumerate((gradient, alone)):
        before = theta.detach().clone(), expected.detach().clone()
        moments = [own.state[theta][name].clone() for name in ("exp_avg", "exp_avg_sq") if number]
        theta.grad, expected.grad = (given * (it.detach().abs() <= 1) for it in (theta, expected))
        own.step()
        torchs.step()
        expected.data.clamp_(-1, 1)
        torch.testing.assert_close(theta[run], expected[run])
        if number:
            stayed = torch.ones(len(theta), dtype=torch.bool)
            stayed[run] = False
            assert torch.equal(theta[stayed], before[0][stayed])
            for name, was in zip(("exp_avg", "exp_avg_sq"), moments, strict=True):
                assert torch.equal(own.state[theta][name][stayed], was[stayed]) and was[stayed].any()
            assert (expected != before[1])[stayed].any()


def _packed(grids):
    return grids.packed_tables().codes.copy()


def test_what_is_packed_follows_all_that_changes_the_values():
    torch.manual_seed(0)
    field = RadianceField.from_state(tiny_state(DENSE))
    grids, rays = field.grids, _rays()
    optimizer = GridAdam([grids.theta], lr=0.05)
    optimizer.serve(grids)
    every = grids.slots.entries
    grids.set_coded(every)
    for change in (lambda: grids.theta.mul_(0.05), lambda: grids.theta.mul_(-1), lambda: grids.theta.add_(0.01)):
        with torch.no_grad():
            change()
        before = _packed(grids)
        for _ in range(STEPS):
            _learn(field, *rays)
            optimizer.step()
            found = _packed(grids)
        assert 0 < (found != before).sum() < len(before)
        grids.set_coded(every)  # all is packed anew
        assert np.array_equal(found, _packed(grids))
    grids.set_coded([entries[:0] for entries in every])
    assert not _packed(grids).any()


ODD = replace(DENSE, volume=(Level(8, 7), Level(9, 3)), planes=(Level(16, 4), Level(20, 5)))
HASHED_ODD = replace(HASHED, volume=(Level(6, 3), Level(11, 2)), planes=(Level(16, 1), Level(40, 8)))


@pytest.mark.parametrize("spec", [DENSE, HASHED, ODD, HASHED_ODD], ids=["dense", "hashed", "odd vectors", "hashed odd vectors"])
def test_whatever_adds_gradients_marks_where(spec):
    """A run that is not marked would wait for its gradients until something else marks it."""
    torch.manual_seed(0)
    grids = RadianceField.from_state(tiny_state(spec)).grids
    GridAdam([grids.theta], lr=0.01).serve(grids)
    heads, size = Heads(spec), grids.slots.size
    ways = {
        "look-up": lambda points: grids.encode(points, range(len(spec.tables))),
        "density": lambda points: torch.cat([values.flatten() for values in density(grids, heads, points)]),
        "signs": lambda points: grids.signs_at((points[:, :1] * (size - 1)).long()),
    }
    for way, values in ways.items():
        for _ in range(40):
            grids.partial[:] = grids.touched[:] = 0
            given = values(torch.rand(2, 3))
            given.backward(torch.randn_like(given))
            added = np.pad(grids.partial[:, :size], ((0, 0), (0, -size % RUN))).reshape(len(grids.partial), -1, RUN).any(2)
            assert not (added & (grids.touched[:, : added.shape[1]] == 0)).any(), way


@pytest.mark.parametrize("spec", [ODD, HASHED_ODD], ids=["dense", "hashed"])
def test_vectors_that_reach_into_a_run_that_turns_are_packed_again(spec):
    grids = RadianceField.from_state(tiny_state(spec)).grids
    optimizer = GridAdam([grids.theta], lr=0.05)
    optimizer.serve(grids)
    grids.set_coded(grids.slots.entries)
    with torch.no_grad():
        grids.theta.mul_(0.01)
    _packed(grids)
    reaching = []
    for table, part in zip(spec.tables, grids.slots.slices, strict=True):
        values = np.arange(part.start, part.stop)
        firsts = values - (values - part.start) % table.features
        reaching += values[(values // RUN != firsts // RUN)].tolist()
    for value in reaching[-20:] + reaching[::7]:
        optimizer.state.clear()
        grids.theta.grad = torch.zeros_like(grids.theta)
        grids.theta.grad[value] = grids.theta.detach()[value].sign()
        optimizer.step()
        found = _packed(grids)
        grids.set_coded(grids.slots.entries)  # all is packed anew
        assert np.array_equal(found, _packed(grids))


def test_only_what_has_turned_is_packed_again():
    grids = RadianceField.from_state(tiny_state(DENSE)).grids
    optimizer = GridAdam([grids.theta], lr=0.05)
    optimizer.serve(grids)
    with torch.no_grad():
        grids.theta.mul_(0.01)
    grids.packed_tables().codes[:] = 255  # what is written then will show
    value = int(grids.coded.nonzero()[-1])
    grids.theta.grad = torch.zeros_like(grids.theta)
    grids.theta.grad[value] = grids.theta.detach()[value].sign()
    optimizer.step()
    assert 0 < (_packed(grids) != 255).sum() <= 2 * RUN


def test_a_value_beyond_the_range_gets_no_gradient():
    grids = RadianceField.from_state(tiny_state(DENSE)).grids
    optimizer = GridAdam([grids.theta], lr=0.05)
    optimizer.serve(grids)
    value = int(grids.coded.nonzero()[-1])
    with torch.no_grad():
        grids.theta[value] = 1.5
    grids.partial[0, value] = grids.touched[0, value // RUN] = 1
    grids.theta.grad = grids.theta.detach().new_zeros(len(grids.theta))
    optimizer.step()
    assert float(grids.theta.detach()[value]) == 1.5 and not grids.partial[0, value]


def test_what_was_packed_before_gradients_are_kept_is_packed_anew():
    torch.manual_seed(0)
    field = RadianceField.from_state(tiny_state(DENSE))
    grids, optimizer = field.grids, GridAdam([field.grids.theta], lr=0.01)
    before = _packed(grids)
    grids.theta.data.mul_(-1)
    optimizer.serve(grids)
    assert (_packed(grids) != before).any()


def test_what_threads_add_that_is_nothing_together_is_taken_away():
    grids = RadianceField.from_state(tiny_state(DENSE)).grids
    optimizer = GridAdam([grids.theta], lr=0.01, eps=0)
    optimizer.serve(grids)
    partial, count = np.zeros((2, grids.partial.shape[1]), np.float32), len(grids.theta)
    grids.partial, before = partial, grids.theta.detach().clone()
    partial[:, 5], partial[:, count - 1] = (1, -1), (-1, 1)
    grids.touched = np.zeros((2, grids.touched.shape[1]), np.uint8)
    grids.touched[:, [5 // RUN, (count - 1) // RUN]] = 1
    optimizer.step()
    assert not partial.any() and not grids.touched.any() and torch.equal(grids.theta, before)


@pytest.mark.parametrize("served", [True, False])
def test_a_sign_that_was_certain_can_still_turn(served):
    """However long a value was pushed outwards, the way back is as long as from 1."""
    torch.manual_seed(0)
    field = RadianceField.from_state(tiny_state(DENSE))
    theta, optimizer = field.grids.theta, GridAdam([field.grids.theta], lr=0.2, betas=(0.0, 0.999))
    if served:
        optimizer.serve(field.grids)
    assert field.grids.keeping == served
    value = int(field.grids.coded.nonzero()[0])
    for direction, ends in ((-1.0, 1.0), (1.0, -1.0)):
        for _ in range(40):
            optimizer.zero_grad()
            pull = torch.zeros_like(theta)
            pull[value] = direction
            theta.grad = pull * (theta.detach().abs() <= 1)
            optimizer.step()
        assert float(theta.detach()[value]) == ends


def test_a_state_of_torchs_adam_is_taken_over():
    torch.manual_seed(0)
    theirs = RadianceField.from_state(tiny_state(DENSE))
    rays = _rays()
    torchs = torch.optim.Adam([theirs.grids.theta], lr=0.01)
    _trained(theirs, torchs, *rays)
    mine = copy.deepcopy(theirs)
    own = GridAdam([mine.grids.theta], lr=0.01)
    own.load_state_dict(copy.deepcopy(torchs.state_dict()))
    own.serve(mine.grids)
    moved, expected = _trained(mine, own, *rays), _trained(theirs, torchs, *rays)
    torch.testing.assert_close(moved, expected, atol=2e-4, rtol=0)


def test_symbols_that_change_while_no_optimiser_works_are_seen():
    field = RadianceField.from_state(tiny_state(DENSE))
    inside = torch.tensor([[0.5, 0.5, 0.5]])
    last = len(field.spec.tables) - 1
    with field.grids.unchanged(), torch.no_grad():
        assert field.grids.encode(inside, [last]).abs().sum() > 0
        field.grids.set_coded([table[:0] for table in field.grids.slots.entries])
        assert field.grids.encode(inside, [last]).abs().sum() == 0


def _pair(weight_decay=0.0):
    """Return two like fields with the optimiser of each, ours and torch's."""
    torch.manual_seed(0)
    mine = RadianceField.from_state(tiny_state(DENSE))
    theirs = copy.deepcopy(mine)
    own = GridAdam([mine.grids.theta], lr=0.01, weight_decay=weight_decay)
    own.serve(mine.grids)
    return mine, own, theirs, torch.optim.Adam([theirs.grids.theta], lr=0.01, weight_decay=weight_decay)


def _learn(field, origins, directions):
    torch.manual_seed(2)
    field.step(origins, directions, 400).rendering.color.sum().backward()


def test_a_backward_pass_that_no_step_took_is_forgotten():
    mine, own, theirs, torchs = _pair()
    rays = _rays()
    for field, optimizer in ((mine, own), (theirs, torchs)):
        _learn(field, *rays)
        optimizer.zero_grad()
    moved, expected = _trained(mine, own, *rays), _trained(theirs, torchs, *rays)
    torch.testing.assert_close(moved, expected, atol=2e-4, rtol=0)


def test_gradients_of_plain_torch_count_too():
    mine, own, theirs, torchs = _pair()
    rays = _rays()
    for field, optimizer in ((mine, own), (theirs, torchs)):
        optimizer.zero_grad()
        with using("plain"):
            _learn(field, *rays)
        _learn(field, *rays)
        optimizer.step()
    torch.testing.assert_close(mine.grids.theta, theirs.grids.theta.clamp(-1, 1), atol=2e-4, rtol=0)
    assert (theirs.grids.theta.abs() != 1).any()


def test_a_weight_decay_is_torchs():
    mine, own, theirs, torchs = _pair(weight_decay=0.5)
    rays = _rays()
    for field in (mine, theirs):  # of much of it no ray sees anything
        field.grids.set_coded([entries[:100] for entries in field.grids.slots.entries])
    moved, expected = _trained(mine, own, *rays), _trained(theirs, torchs, *rays)
    torch.testing.assert_close(moved, expected, atol=2e-4, rtol=0)
