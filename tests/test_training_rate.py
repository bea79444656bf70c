"""The trained estimate of the rate is the code length under the codec's context models: same contexts, weights and bits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from coded_bits import code_bits
from tiny_field import DENSE, HASHED, ball, orbit, tiny_state

from nerfsem_method.codec.coder import Meter
from nerfsem_method.codec.context import Contexts
from nerfsem_method.codec.fixed_point import LOGIT_LIMIT, probability_table
from nerfsem_method.codec.walk import code_tables
from nerfsem_method.codec.weights import code_weights
from nerfsem_method.field.layout import TableLayout, table_layout
from nerfsem_method.field.spec import FieldSpec, Level
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.drawn import FEWEST, draw, spread, wanted
from nerfsem_method.training.radiance import RadianceField

SPECS = {"dense": DENSE, "hashed": HASHED}


def _estimate(field):
    # More samples than entries: every entry is counted.
    return field.rate.bits(field.grids, 10**9, np.random.default_rng(0))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_estimate_equals_the_integer_models(spec):
    state = tiny_state(spec)
    field = RadianceField.from_state(state)
    contexts = {name: tensor.integers for name, tensor in field.rate.state().items()}
    for name, tensor in state.contexts.items():
        np.testing.assert_array_equal(tensor.integers, contexts[name])
    bits = _context_bits(state, contexts)
    assert abs(_estimate(field).item() - bits) < 0.01 * bits


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_an_estimate_that_nobody_is_told_has_the_same_gradient(spec):
    field, found = RadianceField.from_state(tiny_state(spec)), []
    for told in (True, False):
        bits = field.rate.bits(field.grids, 500, np.random.default_rng(0), told)
        bits.backward()
        gradients = [parameter.grad for parameter in (field.grids.theta, *field.rate.parameters())]
        found.append([gradient.clone() for gradient in gradients if gradient is not None])
        field.zero_grad()
    assert any(gradient.any() for gradient in found[0]) and len(found[0]) == len(found[1])
    assert all(map(torch.equal, *found))


def test_the_context_models_bits_follow_what_they_take_in_the_bundle():
    field = RadianceField.from_state(tiny_state(DENSE))

    def stored():
        meter = Meter()
        code_weights(meter, DENSE.context_shapes(), field.rate.state())
        return meter.bits

    taken, estimated = [], []
    for scale in (1.0, 0.5, 0.2, 0.0):
        for tensor in field.rate.parameters():
            tensor.data *= scale
        taken.append(stored())
        estimated.append(field.rate.weight_bits().item())
    assert estimated[-1] == 0 and sorted(taken, reverse=True) == taken and sorted(estimated, reverse=True) == estimated
    saved = taken[0] - taken[-1]
    assert 0.5 * saved < estimated[0] < 2 * saved


def test_a_step_counts_tables_and_context_models_and_learns_from_both():
    field = RadianceField.from_state(tiny_state(DENSE))
    rays = CameraPath(Intrinsics(24, 32, 40.0, 40.0, 12.0, 16.0), orbit(4)).rays(torch.arange(20) % 4, torch.rand(20, 2) * 24)
    step = field.step(*rays, 10**9)
    expected = _estimate(field) + field.rate.weight_bits()
    assert field.rate.weight_bits() > 0 and torch.isclose(step.bits, expected, rtol=1e-4)


def test_one_corner_of_a_table_does_not_speak_for_all_of_it():
    """All signs are like their neighbours but in the last corner, which the coder meets at its end and which is noise."""
    spec = FieldSpec((Level(4, 1), Level(32, 1)), (Level(4, 1),), occupancy=8)
    field = RadianceField(spec, np.ones((8, 8, 8), bool))
    with torch.no_grad():
        field.grids.theta.fill_(0.5)
        noise = field.rate.values[1][-3000:, 0]
        field.grids.theta[noise] = torch.randn(len(noise), generator=torch.Generator().manual_seed(0))
        for tensor in field.rate.parameters():
            tensor.zero_()
    contexts = {name: tensor.integers for name, tensor in field.rate.state().items()}
    code_tables(meter := Meter(), spec, field.occupancy.occupied.numpy(), contexts, field.grids.tables())
    field.rate.learn(field.grids)
    assert _estimate(field).item() < 2 * meter.bits


@pytest.mark.parametrize("learnt, thickness", [(False, 0.12), (True, 0.12), (True, 0.06)], ids=["", "learnt", "thinner"])
def test_the_compiled_estimate_and_its_gradients_equal_the_torch_twin(learnt, thickness):
    """Entries of the hull that a thinner occupancy does not list are no neighbours."""
    field = RadianceField.from_state(tiny_state(DENSE))
    field.rate.set_occupancy(field.grids, ball(DENSE.occupancy, thickness=thickness))
    if learnt:
        torch.manual_seed(1)
        field.rate.learn(field.grids)
        field.rate.mixing += 0.2 * torch.randn_like(field.rate.mixing)
    parameters = [field.grids.theta, *field.rate.parameters()]
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in field.rate.parameters():
            tensor += 0.01 * torch.randn_like(tensor)
    fast = _estimate(field)
    fast.backward()
    given = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    tables = range(len(DENSE.tables))
    parts = [field.rate.table_bits(field.grids, i, torch.arange(len(field.rate.layouts[i].entries))) for i in tables]
    plain = torch.stack(parts).sum()
    plain.backward()
    torch.testing.assert_close(fast, plain, atol=1e-2, rtol=1e-5)
    for mine, parameter in zip(given, parameters, strict=True):
        torch.testing.assert_close(mine, parameter.grad, atol=1e-3, rtol=1e-3)


def test_what_the_coder_has_learnt_counts():
    """Signs that are their neighbours' cost what the coder takes for them, and not what the context models say."""
    spec = FieldSpec((Level(24, 2),), (Level(24, 1),), occupancy=8, steps=8, width=8, geometry=2, directions=1)
    state = tiny_state(spec)
    slabs = (np.arange(25) // 6 % 2 * 2 - 1).astype(np.int8)
    volume = np.repeat(np.broadcast_to(slabs[:, None, None], (25, 25, 25)).reshape(-1, 1), 2, 1)
    planes = [np.broadcast_to(slabs[:, None], (25, 25)).reshape(-1, 1)] * 3
    contexts = {name: replace(tensor, integers=np.zeros_like(tensor.integers)) for name, tensor in state.contexts.items()}
    state = replace(state, occupancy=np.ones_like(state.occupancy), tables=(volume, *planes), contexts=contexts)
    field, meter = RadianceField.from_state(state), Meter()
    code_tables(meter, spec, state.occupancy, {name: tensor.integers for name, tensor in contexts.items()}, state.tables)
    before = _estimate(field).item()
    field.rate.learn(field.grids)
    assert before > 0.99 * field.rate.symbols
    assert _estimate(field).item() < meter.bits < 0.3 * before
    again = RadianceField.from_state(state)
    again.rate.mixing.copy_(field.rate.mixing)
    assert _estimate(again).item() == _estimate(field).item()


def _context_bits(state, weights):
    """Code length with the context models' probabilities as they are."""
    contexts, meter = Contexts(state.spec, weights), Meter()
    for index, table in enumerate(state.spec.tables):
        layout = table_layout(table, state.occupancy)
        logits = contexts.logits(index, layout, list(state.tables)).clip(-LOGIT_LIMIT, LOGIT_LIMIT)
        code_bits(meter, state.tables[index][layout.entries] > 0, probability_table()[logits + LOGIT_LIMIT])
        if index == len(state.spec.volume) - 1:
            contexts.remember_volume(layout, state.tables[index])
    return meter.bits


def test_minimising_the_estimate_shrinks_the_file():
    """A few steps on the context models and symbols alone make the coded tables smaller."""
    torch.manual_seed(0)
    field = RadianceField(DENSE, ball(DENSE.occupancy))
    before = _bits(field)
    optimiser = torch.optim.Adam(field.parameters(), lr=0.02)
    for _ in range(30):
        optimiser.zero_grad()
        _estimate(field).backward()
        optimiser.step()
        field.rate.refresh_projection(field.grids)
    assert _bits(field) < 0.6 * before


def _bits(field):
    meter, state = Meter(), field.state()
    weights = {name: tensor.integers for name, tensor in state.contexts.items()}
    code_tables(meter, state.spec, state.occupancy, weights, state.tables)
    return meter.bits


def test_entries_that_many_vertices_share_are_drawn_less_often():
    """A step's work must not grow with a solid hull: the drawn entries have about as many vertices as before."""
    generator, device = np.random.default_rng(0), torch.device("cpu")
    drawn = {}
    for crowd in (1, 16, 64):
        vertices = np.zeros((5000 * crowd, 3), np.int16)
        starts, entries, none = np.arange(0, 5000 * crowd + 1, crowd), np.arange(5000), np.zeros(0, np.int32)
        layout = TableLayout(vertices, entries, starts, none, none)
        picked = spread(draw(wanted(layout, 2000), generator, device), 5000)
        assert (picked.diff() >= 0).all() and picked.min() >= 0 and picked.max() < 5000
        drawn[crowd] = len(picked)
        assert wanted(layout, 10**9) == 5000
    assert drawn == {1: 2000, 16: 2000, 64: 500}
    assert wanted(layout, 0) == FEWEST
