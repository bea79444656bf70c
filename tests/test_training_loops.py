"""The compiled CPU kernels against their plain-torch twins, and volume rendering against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_field import DENSE, HASHED, ball, orbit, tiny_state

from nerfsem_method.field.layout import table_layout
from nerfsem_method.field.spec import Level
from nerfsem_method.playback.torch_renderer import TorchRenderer
from nerfsem_method.raycast.caster import Raycaster
from nerfsem_method.raycast.marching import voxel_distances
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.training import march as marching
from nerfsem_method.training.backend import using
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.density import LEAST, density
from nerfsem_method.training.encoding import BinaryGrids, SignSTE
from nerfsem_method.training.heads import Heads, spherical_harmonics
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.render import accumulate, composite, distortion_loss, sample_weights

SPECS = {"dense": DENSE, "hashed": HASHED}
LOOKED_UP = {
    **SPECS,
    "long vectors": replace(DENSE, volume=(Level(8, 8), Level(9, 3)), planes=(Level(16, 4), Level(20, 5))),
    "hashed long vectors": replace(HASHED, volume=(Level(6, 3), Level(11, 8)), planes=(Level(16, 5), Level(40, 8))),
    "with positions": replace(DENSE, frequencies=4, color_layers=0),
}
SHADED = {
    **SPECS,
    "shaded by sample": replace(DENSE, shading="sample", directions=4, color_layers=2),
    "with positions": replace(DENSE, frequencies=4, color_layers=0),
}


def _gradients(parameters):
    given = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    return given


@pytest.mark.parametrize("spec", LOOKED_UP.values(), ids=LOOKED_UP)
def test_encoding_and_its_gradient_equal_the_torch_twin(spec):
    torch.manual_seed(0)
    grids = BinaryGrids(spec, ball(spec.occupancy))
    grids.set_coded([table_layout(table, ball(spec.occupancy, 0.35)).entries for table in spec.tables])
    tables = list(range(len(spec.tables)))
    positions = torch.rand(500, 3)
    fast, plain = grids.encode(positions, tables), grids.encode_plain(positions, tables)
    torch.testing.assert_close(fast, plain, atol=1e-6, rtol=0)
    gradient = torch.randn_like(fast)
    fast.backward(gradient)
    (fast_gradient,) = _gradients([grids.theta])
    plain.backward(gradient)
    torch.testing.assert_close(fast_gradient, grids.theta.grad, atol=1e-5, rtol=1e-5)
    some = grids.encode(positions, tables[1:2])
    torch.testing.assert_close(some, grids.encode_plain(positions, tables[1:2]), atol=1e-6, rtol=0)


def test_one_large_weight_does_not_make_the_others_coarse():
    torch.manual_seed(0)
    heads = Heads(DENSE)
    weight = heads.tensors["color_0_weight"]
    with torch.no_grad():
        weight[0, 0] = 11.0
    before = weight.detach().clone()
    heads.quantise()
    held = heads.state()
    coarse, fine = (torch.from_numpy(held[name].values) for name in ("color.0.weight", "color.1.weight"))
    assert (coarse - before).abs().max() <= 1 / 32 and coarse[0, 0] == 11
    assert held["color.1.weight"].exponent < -4, "where weights are small, steps stay as fine as they were"
    assert (fine - heads.tensors["color_1_weight"].detach()).abs().max() <= 1 / 64


@pytest.mark.parametrize("spec", LOOKED_UP.values(), ids=LOOKED_UP)
def test_density_and_its_gradients_equal_the_torch_twin(spec):
    torch.manual_seed(0)
    grids, heads = BinaryGrids(spec, ball(spec.occupancy)), Heads(spec)
    parameters = [grids.theta, *(tensor for name, tensor in heads.tensors.items() if name.startswith("density"))]
    positions = torch.rand(300, 3)
    fast = density(grids, heads, positions)
    plain = heads.density(grids.encode_plain(positions, range(len(spec.tables))), positions)
    torch.testing.assert_close(fast, plain, atol=1e-4, rtol=1e-4)
    gradients = [torch.randn_like(values) for values in fast]
    torch.autograd.backward(fast, gradients)
    given = _gradients(parameters)
    torch.autograd.backward(plain, gradients)
    for mine, theirs in zip(given, _gradients(parameters), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        torch.testing.assert_close(density(grids, heads, positions), plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("large", [1.0, 0.37, 0.0])
def test_samples_whose_gradients_are_next_to_nothing_are_left_out(large):
    """Whichever samples are left, each has its own place and inputs: the sums are those of the twin over these alone."""
    torch.manual_seed(0)
    grids, heads = BinaryGrids(DENSE, ball(DENSE.occupancy)), Heads(DENSE)
    parameters = [grids.theta, *(tensor for name, tensor in heads.tensors.items() if name.startswith("density"))]
    positions, counting = torch.rand(1000, 3), torch.rand(1000) < large
    values, geometry = fast = density(grids, heads, positions)
    plain = heads.density(grids.encode_plain(positions, range(len(DENSE.tables))), positions)
    scale = torch.where(counting, 1.0, LEAST / 2)
    logs, features = scale * torch.randn(1000).sign(), scale[:, None] * torch.randn_like(geometry).sign()
    torch.autograd.backward(fast, [logs / values.detach(), features])
    given = _gradients(parameters)
    if not large:  # all are alike, so that none is small
        counting = torch.ones_like(counting)
    kept = counting.float()
    torch.autograd.backward(plain, [kept * logs / values.detach(), kept[:, None] * features])
    for mine, theirs in zip(given, _gradients(parameters), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6 + 1e-5 * float(theirs.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e25])
def test_gradients_that_are_no_numbers_show(wrong):
    torch.manual_seed(0)
    grids, heads = BinaryGrids(DENSE, ball(DENSE.occupancy)), Heads(DENSE)
    values, geometry = density(grids, heads, torch.rand(200, 3))
    d_values = torch.zeros_like(values)
    d_values[7] = wrong
    torch.autograd.backward([values, geometry], [d_values, torch.zeros_like(geometry)])
    bias = heads.tensors["density_1_bias"].grad
    assert not bias.isfinite().all() or bias.abs().max() > 1e15


def test_sums_along_rays_and_their_gradients_equal_the_torch_twin():
    torch.manual_seed(0)
    counts = torch.tensor([0, 5, 1, 0, 40, 3, 0])
    starts = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    rays = torch.repeat_interleave(torch.arange(len(counts)), counts)
    distances = torch.cat([torch.rand(int(count)).sort().values for count in counts])
    samples = marching.Samples(starts, rays, distances, torch.rand(len(rays), 3), 0.02)
    given = [(torch.rand(len(rays)) * 60).requires_grad_(), torch.randn(len(rays), 4, requires_grad=True)]
    summed, weights, distortion = accumulate(given[0], given[1], samples)
    plain_weights = sample_weights(given[0], samples)
    extra = torch.stack([torch.ones_like(distances), distances], 1)
    plain = composite(plain_weights, torch.cat([given[1], extra], 1), samples)
    plain_distortion = distortion_loss(plain_weights, samples)
    torch.testing.assert_close((summed, weights, distortion), (plain, plain_weights.detach(), plain_distortion))
    upstream = torch.randn_like(summed)
    ((summed * upstream).sum() + 3 * distortion).backward()
    mine = _gradients(given)
    ((plain * upstream).sum() + 3 * plain_distortion).backward()
    torch.testing.assert_close(mine, _gradients(given), atol=1e-5, rtol=1e-4)


def test_a_step_is_the_same_every_time():
    """No data races: gradients are equal to the last bit."""
    state = tiny_state(DENSE)
    cameras, frames, pixels = _rays(512)
    origins, directions = cameras.rays(frames, pixels)

    def gradients():
        torch.manual_seed(3)
        field = RadianceField.from_state(state)
        step = field.step(origins, directions, 300)
        (step.rendering.color.sum() + step.rendering.distortion + 1e-4 * step.bits).backward()
        return _gradients(list(field.parameters()))

    first = gradients()
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in first)
    for mine, theirs in zip(first, gradients(), strict=True):
        assert mine is not None and theirs is not None and torch.equal(mine, theirs)


@pytest.mark.parametrize("spec", SHADED.values(), ids=SHADED)
def test_raycaster_compiled_loops_and_plain_torch_render_the_same(spec):
    state, camera = tiny_state(spec), Intrinsics(40, 30, 50.0, 50.0, 20.0, 15.0, k1=0.03, p1=-0.01)
    caster, renderer = Raycaster(state, camera), TorchRenderer(state, camera, "cpu")
    for pose in orbit(3):
        fast, trained = caster.picture(pose), renderer.picture(pose)
        with using("plain"):
            plain = renderer.picture(pose)
        assert fast[..., 3].max() > 0.1
        np.testing.assert_allclose(fast, plain, atol=0.2 / 255)
        np.testing.assert_allclose(trained, plain, atol=0.2 / 255)


def test_distances_tell_how_far_the_next_occupied_voxel_is():
    occupied = np.random.default_rng(0).random((9, 9, 9)) > 0.98
    places = np.argwhere(occupied)
    truth = np.abs(np.indices(occupied.shape).reshape(3, -1).T[:, None] - places).max(-1).min(1)
    np.testing.assert_array_equal(voxel_distances(occupied).ravel(), truth)
    assert (voxel_distances(np.zeros((4, 4, 4), bool)) == 255).all()


def test_encoding_is_exact_at_vertices():
    """At a vertex the feature is the vertex's own symbol."""
    grids = BinaryGrids(DENSE, np.ones((12, 12, 12), bool))
    symbols = grids.tables()[1]
    vertices = torch.tensor([[0, 0, 0], [16, 16, 16], [3, 9, 14]])
    features = grids.encode(vertices / 16, [1])
    entries = (vertices[:, 0] * 17 + vertices[:, 1]) * 17 + vertices[:, 2]
    np.testing.assert_array_equal(features.detach().numpy(), symbols[entries.numpy()].astype(np.float32))


def test_straight_through_sign():
    x = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0], requires_grad=True)
    y = SignSTE.apply(x)
    y.sum().backward()
    assert x.grad is not None
    assert y.tolist() == [-1, -1, 1, 1, 1] and x.grad.tolist() == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("fused", [False, True])
def test_look_ups_follow_the_optimizer(fused):
    """Fused optimisers change parameters without telling torch's version counter."""
    grids = BinaryGrids(DENSE, ball(DENSE.occupancy))
    optimizer = torch.optim.Adam([grids.theta], lr=1.0, fused=fused)
    positions, tables = torch.rand(100, 3), range(len(DENSE.tables))
    grids.encode(positions, tables).sum().backward()
    optimizer.step()
    with torch.no_grad():
        torch.testing.assert_close(grids.encode(positions, tables), grids.encode_plain(positions, tables), atol=1e-6, rtol=0)


def test_rays_that_see_nothing_are_no_trouble():
    field = RadianceField.from_state(tiny_state(DENSE))
    origins, directions = torch.full((5, 3), 3.0), torch.nn.functional.normalize(torch.ones(5, 3), dim=1)
    step = field.step(origins, directions, 300)
    (step.rendering.color.sum() + step.rendering.distortion + step.bits).backward()
    assert len(step.samples.rays) == 0 and (step.rendering.accumulation == 0).all()
    assert torch.isfinite(step.rendering.color).all()
    with torch.no_grad():
        assert (field.render(origins, directions).accumulation == 0).all()


def _rays(count=64):
    torch.manual_seed(1)
    cameras = CameraPath(Intrinsics(24, 32, 40.0, 40.0, 12.0, 16.0, k1=0.05, p1=0.002), orbit(4))
    pixels = torch.rand(count, 2) * torch.tensor([24.0, 32.0])
    return cameras, torch.arange(count) % 4, pixels


def test_marching_equals_the_torch_twin_and_stays_in_occupied_voxels():
    cameras, frames, pixels = _rays(256)
    origins, directions = cameras.rays(frames, pixels)
    occupied = torch.from_numpy(ball(16))
    empty, density = torch.from_numpy(voxel_distances(ball(16))), 60 * torch.rand(32, 32, 32)  # finer than the voxels
    offsets = torch.rand(256)
    fast = marching.march(origins, directions, empty, density, 1 / 64, offsets)
    plain = marching.march_plain(origins, directions, empty, density, 1 / 64, offsets)
    assert torch.equal(fast.rays, plain.rays) and torch.equal(fast.starts, plain.starts)
    torch.testing.assert_close(fast.distances, plain.distances, atol=1e-6, rtol=0)
    torch.testing.assert_close(fast.positions, plain.positions, atol=1e-6, rtol=0)
    voxels = (fast.positions * 16).long().clamp(0, 15)
    assert len(fast.rays) > 500 and occupied[tuple(voxels.T)].all()
    full = marching.march(origins, directions, empty, None, 1 / 64, offsets)
    assert len(full.rays) > len(fast.rays)  # opaque matter ends a ray


@pytest.mark.parametrize("march", [marching.march, marching.march_plain])
@pytest.mark.parametrize(("opaque", "samples"), [(3, 64), (4, 32 + 4), (20, 32 + 4)])
def test_four_opaque_samples_end_a_ray(march, opaque, samples):
    density = torch.zeros(64, 64, 64)
    density[..., 32 : 32 + opaque] = 1e9
    solid = torch.zeros(8, 8, 8, dtype=torch.uint8)
    found = march(torch.tensor([[0.3, 0.4, -1.0]]), torch.tensor([[0.0, 0.0, 1.0]]), solid, density, 1 / 64, torch.tensor([0.5]))
    assert len(found.rays) == samples


def test_rays_project_back_to_their_pixels():
    cameras, frames, pixels = _rays()
    origins, directions = cameras.rays(frames, pixels)
    for i in range(len(pixels)):
        seen, depth = cameras.camera.project((origins + 1.5 * directions)[i].numpy(), cameras.poses[frames[i]].numpy())
        assert depth > 0
        np.testing.assert_allclose(seen, pixels[i].numpy(), atol=2e-3)


def test_weights_of_a_homogeneous_medium():
    """Accumulation is 1 - exp(-sigma length), whatever the number of rays packed before."""
    rays = torch.tensor([0, 0, 0, 2, 2])
    starts, distances = torch.tensor([0, 3, 3, 5, 5]), torch.tensor([0.1, 0.2, 0.3, 0.5, 0.6])
    samples = marching.Samples(starts, rays, distances, torch.rand(5, 3), 0.1)
    weights = sample_weights(torch.full((5,), 7.0), samples)
    summed = composite(weights, torch.ones(5, 1), samples)[:, 0]
    expected = 1 - torch.exp(-7 * torch.tensor([0.3, 0.0, 0.2, 0.0]))
    torch.testing.assert_close(summed, expected)


def test_distortion_equals_its_double_sum():
    rays = torch.tensor([0, 0, 0, 1, 1])
    distances = torch.tensor([0.1, 0.2, 0.5, 0.3, 0.4])
    samples = marching.Samples(torch.tensor([0, 3, 5]), rays, distances, torch.rand(5, 3), 0.1)
    weights = torch.tensor([0.2, 0.5, 0.1, 0.6, 0.3])
    t, same = samples.distances, rays[:, None] == rays
    pairs = (weights[:, None] * weights * (t[:, None] - t).abs() * same).sum()
    expected = (pairs + 0.1 / 3 * weights.square().sum()) / 2
    torch.testing.assert_close(distortion_loss(weights, samples), expected)


def test_spherical_harmonics_are_orthogonal():
    torch.manual_seed(2)
    directions = torch.nn.functional.normalize(torch.randn(200_000, 3), dim=1)
    values = spherical_harmonics(directions, 4)
    gram = values.T @ values / len(values)
    off = gram / gram.diagonal().outer(gram.diagonal()).sqrt() - torch.eye(16)
    assert off.abs().max() < 0.02


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_field_survives_its_state(spec):
    """A field made from a state renders, and gives the same state back."""
    state = tiny_state(spec)
    field = RadianceField.from_state(state)
    again = field.state()
    for mine, theirs in zip(state.tables, again.tables, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for name, tensor in state.heads.items():
        np.testing.assert_array_equal(tensor.values, again.heads[name].values)
    cameras, frames, pixels = _rays()
    with torch.no_grad():
        rendering = field.render(*cameras.rays(frames, pixels))
    assert rendering.accumulation.max() > 0.1 and torch.isfinite(rendering.color).all()
