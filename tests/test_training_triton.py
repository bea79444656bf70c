"""The Triton kernels against the compiled loops: on a GPU where there is one, in Triton's interpreter where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
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
from nerfsem_method.training import drawn, rate
from nerfsem_method.training import march as marching
from nerfsem_method.training.backend import using
from nerfsem_method.training.cameras import CameraPath
from nerfsem_method.training.encoding import BinaryGrids
from nerfsem_method.training.radiance import RadianceField
from nerfsem_method.training.render import accumulate

pytest.importorskip("triton", reason="Triton comes with torch on Linux alone")
from nerfsem_method.training.loops import march_triton  # noqa: E402

DEVICE = "cpu" if "TRITON_INTERPRET" in os.environ else "cuda"
if DEVICE == "cuda" and not torch.cuda.is_available():
    pytest.skip("there is an NVIDIA driver, and torch finds no GPU", allow_module_level=True)
LONG = replace(DENSE, volume=(Level(8, 8), Level(9, 3)), planes=(Level(16, 4), Level(20, 5)))


@pytest.mark.parametrize("spec", [DENSE, HASHED, LONG], ids=["dense", "hashed", "long vectors"])
@pytest.mark.parametrize("chosen", [slice(None), slice(1, 3)], ids=["all tables", "some tables"])
def test_look_ups_and_their_gradient(spec, chosen):
    torch.manual_seed(0)
    grids = BinaryGrids(spec, ball(spec.occupancy))
    grids.set_coded([table_layout(table, ball(spec.occupancy, 0.35)).entries for table in spec.tables])
    with torch.no_grad():
        grids.theta[::7] *= 150  # some beyond 1, where no gradient passes
    tables, positions = range(len(spec.tables))[chosen], torch.cat([torch.rand(200, 3), torch.tensor([[0.0, 1, 0.5]])])
    expected = grids.encode(positions, tables)
    gradient = torch.randn_like(expected)
    expected.backward(gradient)
    wanted, grids.theta.grad = grids.theta.grad, None
    grids = grids.to(DEVICE)
    with using("fused"):
        found = grids.encode(positions.to(DEVICE), tables)
    torch.testing.assert_close(found.cpu(), expected, atol=1e-5, rtol=0)
    found.backward(gradient.to(DEVICE))
    assert wanted is not None and wanted.abs().max() > 1 and grids.theta.grad is not None
    torch.testing.assert_close(grids.theta.grad.cpu(), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("thickness", [30.0, 200.0, None], ids=["until opaque", "until a few are", "through"])
def test_samples_lie_in_the_same_places_to_the_last_bit(thickness):
    torch.manual_seed(1)
    cameras = CameraPath(Intrinsics(24, 32, 40.0, 40.0, 12.0, 16.0, k1=0.05, p1=0.002), orbit(4))
    pixels = torch.rand(60, 2) * torch.tensor([24.0, 32.0])
    origins, directions = cameras.rays(torch.arange(60) % 4, pixels)
    directions[0] = torch.tensor([0.0, 0.0, 1.0])  # beside the cube and through it, along an axis
    origins[0], origins[1], directions[1] = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([0.5, 0.5, -1.0]), directions[0]
    occupied = ball(16)
    occupied[-1] = True  # at the border, too: what passes beside the cube must not see it
    empty = torch.from_numpy(voxel_distances(occupied))
    density = None if thickness is None else thickness * (0.5 + torch.rand(32, 32, 32))  # finer than the voxels
    offsets = torch.rand(60)
    expected = marching.march(origins, directions, empty, density, 1 / 64, offsets)
    known = None if density is None else density.to(DEVICE)
    given = origins.to(DEVICE), directions.to(DEVICE), empty.to(DEVICE), known, 1 / 64, offsets.to(DEVICE), marching.OPAQUE_DEPTH
    starts, rays, distances, positions = march_triton.march(*given)
    assert len(expected.rays) > 120 and not (expected.rays == 0).any()
    assert torch.equal(starts.cpu(), expected.starts) and torch.equal(rays.cpu(), expected.rays)
    assert torch.equal(distances.cpu(), expected.distances) and torch.equal(positions.cpu(), expected.positions)


@pytest.mark.parametrize("channels", [3, 15])
def test_sums_along_rays_and_their_gradients(channels):
    torch.manual_seed(0)
    counts = torch.tensor([0, 5, 1, 0, 40, 3, 0] * 6)
    starts = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    rays = torch.repeat_interleave(torch.arange(len(counts)), counts)
    distances = torch.cat([torch.rand(int(count)).sort().values for count in counts])
    samples = marching.Samples(starts, rays, distances, torch.rand(len(rays), 3), 0.02)
    given = [torch.rand(len(rays)) * 60, torch.randn(len(rays), channels)]
    upstream = torch.randn(len(counts), channels + 2)

    def evaluate(sums, where, device):
        leaves = [values.to(device).detach().requires_grad_() for values in given]
        summed, weights, distortion = sums(*leaves, where)
        ((summed * upstream.to(device)).sum() + 300 * distortion).backward()
        gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
        return [values.cpu() for values in (summed, weights, distortion, *gradients)]

    moved = replace(samples, starts=starts.to(DEVICE), rays=rays.to(DEVICE), distances=distances.to(DEVICE))
    expected = evaluate(accumulate, samples, "cpu")
    with using("fused"):
        found = evaluate(accumulate, moved, DEVICE)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


SOME_HASHED = pytest.param(HASHED, marks=pytest.mark.slow)
WIDE = replace(LONG, volume=(Level(4, 3), *LONG.volume, Level(10, 2)), context_width=32)


@pytest.mark.parametrize("spec", [DENSE, WIDE, SOME_HASHED], ids=["dense", "wide", "some hashed"])
def test_the_rate_and_its_gradients(spec):
    field = RadianceField.from_state(tiny_state(spec))
    torch.manual_seed(0)
    with torch.no_grad():
        field.grids.theta[::7] *= 1.5  # beyond 1, where no gradient passes
        for tensor in field.rate.parameters():
            tensor += 0.01 * torch.randn_like(tensor)
    with using("fused"):
        field.rate.learn(field.grids)
    assert (field.rate.mixing[..., 2:] != 0).any(), "neighbours tell nothing"
    field, parameters = field.to(DEVICE), [field.grids.theta, *field.rate.parameters()]

    def evaluate(backend):
        with using(backend), pytest.MonkeyPatch.context() as patch:
            patch.setattr(rate, "draw", lambda count, *_: (torch.arange(count, device=DEVICE) * 0.618).double() % 1)
            patch.setattr(drawn, "FEWEST", 80)  # two programs a table: the interpreter takes long for each
            bits = field.rate.bits(field.grids, 200, np.random.default_rng(0))
        return [bits.detach(), *torch.autograd.grad(3 * bits, parameters)]

    # A GPU rounds otherwise, and hidden units that are 0 but for rounding then learn, or do not, in some entries.
    tolerance = 1e-5 if DEVICE == "cpu" else 2e-2
    for found, expected in zip(evaluate("fused"), evaluate("plain"), strict=True):
        assert (found - expected).norm() <= tolerance * expected.norm()


@pytest.mark.slow
@pytest.mark.parametrize("spec", [DENSE, replace(HASHED, shading="sample")], ids=["dense, by ray", "hashed, by sample"])
def test_a_training_step_and_its_gradients(spec):
    """One program estimates the rate of a table; that several agree is tested above."""
    state = tiny_state(spec)
    cameras = CameraPath(Intrinsics(24, 32, 40.0, 40.0, 12.0, 16.0), orbit(4))
    rays = cameras.rays(torch.arange(24) % 4, torch.rand(24, 2) * torch.tensor([24.0, 32.0]))

    def evaluate(backend, device):
        field = RadianceField.from_state(state).to(device)
        torch.manual_seed(3)
        jitter = torch.rand(24)
        with using(backend), pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "rand_like", lambda like: jitter.to(like.device))
            patch.setattr(rate, "draw", lambda count, *_: torch.from_numpy(np.random.default_rng(3).random(count)).to(device))
            patch.setattr(drawn, "FEWEST", 40)
            step = field.step(rays[0].to(device), rays[1].to(device), 100)
            (step.rendering.color.sum() + step.rendering.distortion + 1e-4 * step.bits).backward()
            seen = field.occupancy.seen
        gradients = [parameter.grad for parameter in field.parameters() if parameter.grad is not None]
        results = step.rendering.color, step.rendering.accumulation, step.bits, seen, *gradients
        return [values.detach().cpu() for values in results]

    expected = evaluate("compiled", "cpu")
    assert expected[1].max() > 0.1 and expected[3].max() > 0.1
    torch.testing.assert_close(evaluate("fused", DEVICE), expected, atol=1e-3, rtol=1e-3)


def test_a_picture():
    state, camera = tiny_state(DENSE), Intrinsics(12, 9, 15.0, 15.0, 6.0, 4.5, k1=0.03, p1=-0.01)
    renderer = TorchRenderer(state, camera, DEVICE)  # it makes its field on the CPU first, which no kernel can read
    with using("fused"):
        picture = renderer.picture(orbit(3)[0])
    assert picture[..., 3].max() > 0.1
    np.testing.assert_allclose(picture, Raycaster(state, camera).picture(orbit(3)[0]), atol=0.2 / 255)


def test_nothing_to_do_is_no_trouble():
    grids, none = BinaryGrids(DENSE, ball(DENSE.occupancy)).to(DEVICE), torch.zeros(0, 3, device=DEVICE)
    with using("fused"):
        assert grids.encode(none, range(len(DENSE.tables))).shape == (0, DENSE.features)
    empty = torch.from_numpy(voxel_distances(ball(16))).to(DEVICE)
    starts, rays, distances, positions = march_triton.march(none, none, empty, None, 1 / 64, none[:, 0], marching.OPAQUE_DEPTH)
    assert starts.tolist() == [0] and not len(rays) and not len(distances) and positions.shape == (0, 3)


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from nerfsem_method.training.loops import accumulate_triton, encode_triton, march_triton, rate_triton
pointers = dict(
    starts="*i64", rays="*i64", empty="*u8", parts="*i64", coded="*i8", distortion="*fp64", programs="*i64", rows="*i64",
    firsts="*i64", chances="*fp64", arounds="*i64", count="i32", columns="i32", most="i32", size="i32", side="i32", finer="i32",
    channels="i32", step="fp32", skip="fp32", thickest="fp32", limit="fp32",
)
slots = dict(offsets="*i32")
for module, more in ((encode_triton, slots), (march_triton, {}), (accumulate_triton, {}), (rate_triton, slots)):
    for kernel, constants, options in module.VARIANTS:
        kinds = {**pointers, **more}
        signature = {name: "constexpr" if name in constants else kinds.get(name, "*fp32") for name in kernel.arg_names}
        source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
        compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
        print(kernel.__name__, len(compiled.asm["cubin"]) > 1000, "fma.rn.f32" in compiled.asm["ptx"])
"""


def test_all_kernels_compile_for_hopper(tmp_path, monkeypatch):
    """No GPU is needed for that."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 8 and all(line[1] == "True" for line in lines)
    assert all(line[2] == "False" for line in lines if line[0] == "_march"), "fused products move samples"
