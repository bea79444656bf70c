"""tiny-cuda-nn reads our entries with our weights, as a plain model of its documented addressing shows without a GPU."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest
import tcnn_model
import torch
from tiny_field import DENSE, HASHED, ball, tiny_state

from nerfsem_method.errors import NerfsemError
from nerfsem_method.field.hashing import entries_of
from nerfsem_method.field.spec import Level, Table
from nerfsem_method.training import backend, presets
from nerfsem_method.training.encoding import BinaryGrids
from nerfsem_method.training.heads import Heads
from nerfsem_method.training.loops import encode_tcnn, network_tcnn
from nerfsem_method.training.radiance import RadianceField

LARGE = 1 << 22
SPECS = {
    "dense": DENSE,
    "hashed": HASHED,
    "long vectors": replace(DENSE, volume=(Level(8, 8), Level(9, 3)), planes=(Level(16, 4), Level(20, 5))),
    "with positions": replace(DENSE, frequencies=4, color_layers=0),
    "a colour a sample": replace(HASHED, width=160, directions=4),
}


@pytest.fixture
def tcnn(monkeypatch):
    """Put the model in tiny-cuda-nn's place, and let everything run on it."""
    monkeypatch.setitem(sys.modules, "tinycudann", tcnn_model)
    with backend.using("tcnn"):
        yield


def tables() -> dict[str, Table]:
    """Return the different tables of all presets, of few and of many vertices."""
    found = {table for name in presets.names() for table in presets.load(name).field.tables}
    return {f"{t.axes} {t.resolution} {'hashed' if t.hashed else 'dense'} {t.limit}": t for t in sorted(found, key=repr)}


def slabs(table: Table):
    """Yield all vertices [V, d] of a level, some at a time."""
    side = table.resolution + 1
    rest = np.stack(np.meshgrid(*[np.arange(side)] * (len(table.axes) - 1), indexing="ij"), -1).reshape(-1, len(table.axes) - 1)
    for x in range(side):
        yield np.column_stack([np.full(len(rest), x), rest])


def read_at(table: Table) -> np.ndarray:
    """Return the vertex [N + 1] uint32 that the model reads at each of our vertices of an axis, all but fully."""
    grid = encode_tcnn.grid_of(table)
    ours = np.arange(table.resolution + 1, dtype=np.float32) / np.float32(table.resolution)
    scale, _, entries = tcnn_model.grid_shape(grid.config, len(table.axes))
    assert entries == grid.entries
    base, fraction = tcnn_model.cells(ours + np.float32(grid.shift), scale)
    assert (np.minimum(fraction, 1 - fraction) < 2e-4).all(), "our vertices are its vertices"
    return base + (fraction > 0.5).astype(np.uint32)


def check_every_vertex(table: Table) -> None:
    """Compare the entry that the model reads at each of our vertices with our entry."""
    theirs = read_at(table)
    order = [table.axes.index(axis) for axis in encode_tcnn.grid_of(table).axes]
    config = encode_tcnn.grid_of(table).config
    for vertices in slabs(table):
        found = tcnn_model.grid_index(theirs[vertices][:, order], config)
        expected = entries_of(vertices, table.resolution, table.entries, table.hashed)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("table", [pytest.param(t, id=name) for name, t in tables().items() if t.vertices <= LARGE])
def test_every_vertex_of_every_preset_has_our_entry(table):
    check_every_vertex(table)


@pytest.mark.slow
@pytest.mark.parametrize("table", [pytest.param(t, id=name) for name, t in tables().items() if t.vertices > LARGE])
def test_every_vertex_of_the_finest_levels_has_our_entry(table):
    check_every_vertex(table)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_look_up_and_its_gradient_equal_the_torch_twin(spec, tcnn):
    torch.manual_seed(0)
    grids = BinaryGrids(spec, ball(spec.occupancy))
    positions = torch.cat([torch.rand(400, 3), torch.randint(0, 2, (50, 3)).float(), torch.zeros(1, 3), torch.ones(1, 3)])
    theirs, ours = compare(grids, positions)
    gradient = torch.randn_like(ours)
    (found,) = torch.autograd.grad(theirs, grids.theta, gradient)
    (expected,) = torch.autograd.grad(ours, grids.theta, gradient)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    assert grids.encode(positions[:0], range(len(spec.tables))).shape == (0, spec.features)


def compare(grids: BinaryGrids, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the features by the model and in plain torch, which are equal."""
    chosen = range(len(grids.spec.tables))
    theirs, ours = grids.encode(positions, chosen), grids.encode_plain(positions, chosen)
    torch.testing.assert_close(theirs, ours, atol=2e-5, rtol=0)
    return theirs, ours


@pytest.mark.parametrize("preset", ["quick", "standard", "paper"])
def test_the_levels_of_the_presets_are_interpolated_as_ours(preset, tcnn):
    """Half the vertices have a sign of +1: where a wrong cell were read, half of the values would differ."""
    rng = np.random.default_rng(0)
    for table in presets.load(preset).field.tables:
        if table.entries > LARGE:
            continue
        values = torch.from_numpy(rng.choice(np.array([-1.0, 1.0], np.float32), (table.entries, table.features)))
        given = encode_tcnn.parameters(table, values, torch.arange(table.entries))
        positions = torch.from_numpy(rng.random((300, 3), np.float32))
        found = encode_tcnn.look_up(positions, table, given)
        np.testing.assert_allclose(found, interpolated(table, values.numpy(), positions.numpy()), atol=1e-3)


def interpolated(table: Table, values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return our features [S, F] of a table (FORMAT.md, section 8) in binary64."""
    scaled = positions[:, list(table.axes)].astype(np.float64) * table.resolution
    base = np.minimum(np.floor(scaled), table.resolution - 1).astype(np.int64)
    out = np.zeros((len(positions), values.shape[1]))
    for corner in range(1 << len(table.axes)):
        upper = np.array([(corner >> axis) & 1 for axis in range(len(table.axes))])
        weights = np.where(upper, scaled - base, 1 - (scaled - base)).prod(1)
        out += weights[:, None] * values[entries_of(base + upper, table.resolution, table.entries, table.hashed)]
    return out


@pytest.mark.parametrize("wrong", ["no offset", "other way", "axes in order"])
def test_another_mapping_would_be_seen(wrong, tcnn, monkeypatch):
    """Without the offset of half a cell, with its opposite, or with axes that are not reversed, entries are others."""
    right = encode_tcnn.grid_of
    changes = {
        "no offset": lambda table: right(table)._replace(shift=0.0),
        "other way": lambda table: right(table)._replace(shift=-right(table).shift),
        "axes in order": lambda table: right(table)._replace(axes=table.axes),
    }
    monkeypatch.setattr(encode_tcnn, "grid_of", changes[wrong])
    with pytest.raises(AssertionError):
        check_every_vertex(DENSE.tables[0])
    with pytest.raises(AssertionError):
        compare(BinaryGrids(DENSE, ball(DENSE.occupancy, 0.5, 1.0)), torch.rand(200, 3))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_heads_without_biases_equal_ours_with_them(spec, tcnn):
    torch.manual_seed(0)
    heads = Heads(spec)
    with torch.no_grad():
        for tensor in heads.tensors.values():
            tensor += 0.1 * torch.randn_like(tensor)
    features, positions = torch.randn(70, spec.features), torch.rand(70, 3)
    directions = torch.nn.functional.normalize(torch.randn(70, 3), dim=1)

    def outputs():
        density, geometry = heads.density(features, positions)
        return torch.cat([density.log()[:, None], geometry, heads.color(geometry, directions)], 1)

    theirs = outputs()
    found = torch.autograd.grad(theirs.square().sum(), list(heads.parameters()))
    with backend.using("plain"):
        ours = outputs()
        expected = torch.autograd.grad(ours.square().sum(), list(heads.parameters()))
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-3, rtol=1e-3)


def test_wide_heads_take_the_network_that_can_be_so_wide():
    """Fully fused networks have 16 to 128 units, one of which is the constant one."""
    chosen = {width: network_tcnn.config_of(width, 1) for width in (15, 16, 32, 127, 128, 160)}
    assert {width: config["n_neurons"] for width, config in chosen.items()} == {
        15: 16, 16: 32, 32: 64, 127: 128, 128: 144, 160: 176,
    }  # fmt: skip
    assert [config["otype"] for config in chosen.values()] == ["FullyFusedMLP"] * 4 + ["CutlassMLP"] * 2


def test_a_step_of_training_is_the_same_step(tcnn):
    """The rate term reads levels of which the step has made the parameters already."""
    origins = torch.tensor([[0.5, 0.5, -1.0]]).repeat(30, 1) + 0.1 * torch.rand(30, 3)
    directions = torch.tensor([[0.0, 0.0, 1.0]]).repeat(30, 1)
    gradients = []
    for chosen in ("tcnn", "plain"):
        torch.manual_seed(0)
        field = RadianceField.from_state(tiny_state(HASHED))
        with backend.using(chosen):
            step = field.step(origins, directions, 200)
            loss = step.rendering.color.mean() + 1e-4 * step.bits
            gradients.append(torch.autograd.grad(loss, field.grids.theta)[0])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-5, rtol=1e-2)


def test_a_backend_that_cannot_run_here_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("tcnn", "triton"):
        with pytest.raises(NerfsemError, match=f"the backend {name} runs on CUDA"):
            backend.choose(name)
    if importlib.util.find_spec("tinycudann") is not None:
        return
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(NerfsemError, match="pip install 'nerfsem.tcnn.'"):
        backend.choose("tcnn")


def test_plain_torch_may_be_chosen_for_a_process():
    tensor = torch.zeros(1)
    assert backend.compiled(tensor)
    backend.choose("torch")
    try:
        assert not backend.compiled(tensor) and not backend.fused(tensor) and not backend.tiny(tensor)
    finally:
        backend.choose("auto")
    assert backend.compiled(tensor)
