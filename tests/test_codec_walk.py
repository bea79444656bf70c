"""The walk over the tables gives back what it codes, in few bits, and so do the parts beside it."""

import numpy as np
import pytest
from tiny_field import DENSE, HASHED, ball, tiny_state

from nerfsem_method.codec.coder import Decoder, Encoder, Meter
from nerfsem_method.codec.fixed_point import LOGIT_LIMIT, probability_table
from nerfsem_method.codec.occupancy import code_occupancy
from nerfsem_method.codec.walk import code_tables
from nerfsem_method.codec.weights import code_weights
from nerfsem_method.errors import CorruptBundle
from nerfsem_method.field.layout import table_layout

SPECS = {"dense": DENSE, "hashed": HASHED}


def _code(coder, state, tables):
    contexts = {name: tensor.integers for name, tensor in state.contexts.items()}
    return code_tables(coder, state.spec, state.occupancy, contexts, tables)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_tables_come_back_and_the_meter_knows_their_size(spec):
    state = tiny_state(spec)
    encoder, meter = Encoder(), Meter()
    kept = _code(encoder, state, state.tables)
    _code(meter, state, state.tables)
    data = encoder.finish()
    decoded = _code(Decoder(data), state, None)
    for source, encoded, result in zip(state.tables, kept, decoded, strict=True):
        np.testing.assert_array_equal(source, encoded)
        np.testing.assert_array_equal(source, result)
    assert abs(8 * len(data) - meter.bits) < 16 + 0.001 * meter.bits


def test_contexts_save_bits_where_levels_agree():
    """A finer level that repeats the coarser one costs less under a context model that copies it than order 0."""
    state = tiny_state(DENSE)
    coarse, fine = DENSE.tables[0], DENSE.tables[1]
    layout = table_layout(fine, state.occupancy)
    tables = list(state.tables)
    parents = np.rint(layout.vertices / 2).astype(int)
    entry = (parents[:, 0] * (coarse.resolution + 1) + parents[:, 1]) * (coarse.resolution + 1) + parents[:, 2]
    tables[1] = np.zeros_like(tables[1])
    tables[1][layout.entries, 0] = np.where(tables[0][entry, 0] >= 0, 1, -1)
    contexts = {name: np.zeros_like(tensor.integers) for name, tensor in state.contexts.items()}
    blind = Meter()
    code_tables(blind, DENSE, state.occupancy, contexts, tuple(tables))
    contexts["volume.1.0.weight"][0, 0], contexts["volume.1.0.weight"][1, 0] = 127, -127
    contexts["volume.1.1.weight"][0, :2] = 40, -40
    informed = Meter()
    code_tables(informed, DENSE, state.occupancy, contexts, tuple(tables))
    assert informed.bits < blind.bits - 0.15 * len(layout.entries)  # the neighbours know some of it, too


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_neighbours_save_bits_where_signs_are_smooth(spec):
    """Signs that follow a smooth pattern cost little although the context models know nothing."""
    state = tiny_state(spec)
    tables = []
    for table in spec.tables:
        layout = table_layout(table, state.occupancy)
        values = np.zeros((table.entries, table.features), np.int8)
        half = layout.vertices[layout.starts[:-1], 0] * 2 > table.resolution
        values[layout.entries] = np.where(half, 1, -1)[:, None]
        tables.append(values)
    contexts = {name: np.zeros_like(tensor.integers) for name, tensor in state.contexts.items()}
    smooth, random = Meter(), Meter()
    code_tables(smooth, spec, state.occupancy, contexts, tuple(tables))
    code_tables(random, spec, state.occupancy, contexts, state.tables)
    assert smooth.bits < 0.6 * random.bits


def test_layout_lists_exactly_the_vertices_that_samples_can_read():
    """Brute force tells the truth: the corners of the level's cells at many points inside occupied voxels."""
    occupancy = ball(12)
    for table in (*DENSE.tables[:3], *HASHED.tables[:1]):
        layout = table_layout(table, occupancy)
        rng = np.random.default_rng(3)
        voxels = np.argwhere(occupancy)
        points = (voxels[:, None] + rng.random((len(voxels), 40, 3))).reshape(-1, 3) / 12
        cells = np.floor(points[:, list(table.axes)] * table.resolution).astype(int)
        corners = np.stack(np.meshgrid(*[[0, 1]] * len(table.axes), indexing="ij"), -1).reshape(-1, len(table.axes))
        read = {tuple(v) for v in np.unique((cells[:, None] + corners).reshape(-1, len(table.axes)), axis=0)}
        assert {tuple(v) for v in layout.vertices} >= read
        assert len(layout.vertices) <= 1.2 * len(read)  # a thin cell may be missed by every random point


def test_probability_table_is_symmetric_and_never_certain():
    table = probability_table()
    assert table.min() == 1 and table.max() == 65535
    np.testing.assert_array_equal(table + table[::-1], 65536)
    assert (np.diff(table) >= 0).all()
    logits = np.array([-700, -1, 0, 300])
    np.testing.assert_allclose(table[logits + LOGIT_LIMIT], 65536 / (1 + np.exp(-logits / 256)), atol=0.5)


@pytest.mark.parametrize("mixed, most", [(False, 0.35), (True, 0.25)], ids=["by context", "by a regression"])
def test_occupancy_is_much_smaller_than_its_order_0_entropy(mixed, most):
    grid = ball(48, thickness=0.05)
    encoder = Encoder()
    code_occupancy(encoder, 48, grid, mixed)
    data = encoder.finish()
    np.testing.assert_array_equal(code_occupancy(Decoder(data), 48, None, mixed), grid)
    share = grid.mean()
    order0 = -grid.size * (share * np.log2(share) + (1 - share) * np.log2(1 - share)) / 8
    assert len(data) < most * order0


@pytest.mark.parametrize("grid", [np.zeros((9, 9, 9), bool), np.ones((9, 9, 9), bool)], ids=["empty", "full"])
def test_an_occupancy_of_one_kind_is_coded_too(grid):
    encoder = Encoder()
    code_occupancy(encoder, 9, grid, mixed=True)
    np.testing.assert_array_equal(code_occupancy(Decoder(encoder.finish()), 9, None, mixed=True), grid)


@pytest.mark.parametrize(
    ("exponent", "integer", "sound"), [(8, 32767, True), (9, 0, False), (-25, 0, False), (0, 32768, False), (0, -32768, False)]
)
def test_weights_out_of_range_are_refused(exponent, integer, sound):
    shapes = {"a": (2, 3), "b": (4,)}
    encoder = Encoder()
    encoder.integers(np.array([0, exponent]), 2)
    encoder.integers(np.arange(6), 6)
    encoder.integers(np.array([0, 1, integer, 2]), 4)
    decoder = Decoder(encoder.finish())
    if sound:
        assert code_weights(decoder, shapes, None)["b"].values.max() == integer * 2.0**exponent
    else:
        with pytest.raises(CorruptBundle, match="weights b are out of range"):
            code_weights(decoder, shapes, None)
