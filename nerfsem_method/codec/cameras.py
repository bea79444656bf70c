"""Cameras and exposure gains are coded as integers, by one description for both directions.

A pose is written around the object's centre c = (1/2, 1/2, 1/2): P_c = R (P_w - c) + s. An orbit keeps s almost
still, and a rounding error of R then moves the object by no more than its own radius. Of the rotation, the step from
one frame to the next is coded (closed loop: against the decoded previous frame), as modified Rodrigues parameters,
tan(angle / 4) * axis (Schaub and Junkins, 1996). Every component is a sequence of integers, coded as differences of an
order that the encoder picks.

The step of each component is a power of two, so decoding is exact: integers are scaled, rotations are composed with
IEEE additions, multiplications, divisions and square roots in a fixed order, and no library function is called.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from nerfsem_method.codec.coder import Coder, Meter
from nerfsem_method.codec.sequences import code_sequence
from nerfsem_method.errors import CorruptBundle
from nerfsem_method.scene.camera import Intrinsics

REPROJECTION = 0.32
"""Quantised poses move the worst corner of the object's box by so many pixels, root mean square, if all roundings conspire.
This is the encoder's choice; a finished training rounds them more coarsely where that pays (`training.pose_rounding`).

Frames count by the area that the object has in them, so that a close view among many far ones stays exact, and a few close
ones may be less exact than the rest. The movement observed is about half of it (docs/decisions/013)."""
FOCAL_BITS = 8
"""Focal lengths and the principal point are stored in 2 ** -8 pixel."""
DISTORTION_BITS = 20
"""Distortion coefficients are stored in 2 ** -20."""
GAIN_STEPS = 128
"""Gains are stored in 1/128 of an octave: at worst 0.27 % off."""

_MAX_BITS = 28  # The finest step of a pose's component is 2 ** -28.
_MAX_OCTAVES = 8
_MAX_PIXELS = 1 << 26
_MAX_DISTORTION = 1 << 12  # A coefficient of the lens distortion is no larger.
_FURTHEST = 1 << 12  # A camera is so many edges of the cube away from it at most.
_CENTRE = 0.5
_NEAREST = 0.25  # A corner nearer than this is treated as if it were here.
_CORNERS = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8).T.astype(np.float64)

Quaternion = tuple[float, float, float, float]
Bits = tuple[int, int, int]
"""Poses are stored with so many bits after the point: of turns, of sideways positions and of depths."""
_NUMBERS = (3, 2, 1)  # A pose has so many numbers of each.


@dataclass(frozen=True)
class Cameras:
    """A clip's cameras are one camera, and what changes from frame to frame.

    Attributes:
        camera: The intrinsics are the same for all frames, but for their zooms.
        poses: Each frame has a matrix cam_from_world; float64 [N, 3, 4].
        gains: Rendered colour * gain = frame colour, per RGB channel; float32 [N, 3].
        zooms: Frames have so many times the camera's focal length, [N]; all have it where this is None. They are coded elsewhere
            (`zooms`), and tell an encoder here how exact poses must be.
    """

    camera: Intrinsics
    poses: np.ndarray
    gains: np.ndarray
    zooms: np.ndarray | None = None


def code_cameras(coder: Coder, cameras: Cameras | None, frames: int, coarser: float = 1) -> Cameras:
    """Code the cameras of `frames` frames (None when decoding) and return what the decoder will hold.

    An encoder may let roundings move the object `coarser` times as far as REPROJECTION says. Poses that were rounded before
    stay as they are, where that takes no more bits.

    Raises CorruptBundle for values that no encoder writes, ValueError for poses or gains that are not finite.
    """
    if cameras is not None:
        _check_input(cameras, frames)
    camera = _code_intrinsics(coder, None if cameras is None else cameras.camera)
    bits = None if cameras is None else _pose_bits(replace(cameras, camera=camera), coarser * REPROJECTION)
    poses = _code_poses(coder, None if cameras is None else cameras.poses, bits, frames)
    gains = _code_gains(coder, None if cameras is None else cameras.gains, frames)
    return Cameras(camera, poses, gains, None if cameras is None else cameras.zooms)


def quantise(cameras: Cameras, coarser: float = 1) -> Cameras:
    """Return the cameras as a decoder will hold them, with what an encoder may do, see `code_cameras`."""
    return code_cameras(Meter(), cameras, len(cameras.poses), coarser)


def _check_input(cameras: Cameras, frames: int) -> None:
    shapes = (cameras.poses.shape, cameras.gains.shape)
    if shapes != ((frames, 3, 4), (frames, 3)):
        raise ValueError(f"poses and gains of shapes {shapes} do not fit {frames} frames")
    if not (np.isfinite(cameras.poses).all() and np.isfinite(cameras.gains).all() and (cameras.gains > 0).all()):
        raise ValueError("poses must be finite, gains finite and positive")


# Intrinsics -----------------------------------------------------------------------------------------------------------


def _code_intrinsics(coder: Coder, camera: Intrinsics | None) -> Intrinsics:
    values = None
    if camera is not None:
        fx, fy, cx, cy = (round(value * 2**FOCAL_BITS) for value in camera.params[:4])
        middle = (camera.width << (FOCAL_BITS - 1), camera.height << (FOCAL_BITS - 1))
        distortion = [round(value * 2**DISTORTION_BITS) for value in camera.params[4:]]
        values = np.array([camera.width, camera.height, fx, fy - fx, cx - middle[0], cy - middle[1], *distortion])
    width, height, fx, dy, cx, cy, *distortion = coder.integers(values, 10).tolist()
    if not (0 < width < 1 << 16 and 0 < height < 1 << 16 and fx > 0 and fx + dy > 0):
        raise CorruptBundle(f"a camera of {width} x {height} pixels with focal length {fx >> FOCAL_BITS} is impossible")
    if width * height > _MAX_PIXELS or max(map(abs, distortion)) > _MAX_DISTORTION << DISTORTION_BITS:
        raise CorruptBundle(f"a camera of {width} x {height} pixels, or its distortion, is beyond what nerfsem renders")
    lengths = (fx, fx + dy, cx + (width << (FOCAL_BITS - 1)), cy + (height << (FOCAL_BITS - 1)))
    scaled = [math.ldexp(value, -FOCAL_BITS) for value in lengths]
    return Intrinsics(width, height, *scaled, *(math.ldexp(value, -DISTORTION_BITS) for value in distortion))


# Poses ----------------------------------------------------------------------------------------------------------------


def _code_poses(coder: Coder, poses: np.ndarray | None, bits: Bits | None, frames: int) -> np.ndarray:
    """Code steps and first values, then six sequences: three components of the turn, three of the centre's position."""
    steps, turns, places = None, None, None
    if poses is not None and bits is not None:
        bits = _held_bits(poses, bits)
        steps, (turns, places) = np.array(bits), _pose_integers(poses, bits)
    turn_bits, side_bits, depth_bits = coder.integers(steps, 3).tolist()
    if not all(0 <= bits <= _MAX_BITS for bits in (turn_bits, side_bits, depth_bits)):
        raise CorruptBundle(f"camera steps of {turn_bits}, {side_bits} and {depth_bits} bits are out of range")
    start = coder.integers(None if turns is None else turns[0], 3)
    turns = np.stack([code_sequence(coder, None if turns is None else turns[1:, i], frames - 1) for i in range(3)], -1)
    places = np.stack([code_sequence(coder, None if places is None else places[:, i], frames) for i in range(3)], -1)
    turns = np.concatenate([start[None], turns])
    furthest = _FURTHEST << np.array([side_bits, side_bits, depth_bits])
    if np.abs(turns).max() > 1 << turn_bits or (np.abs(places) > furthest).any():
        raise _implausible("pose")
    return _poses_of(turns, places, (turn_bits, side_bits, depth_bits))


def _pose_bits(cameras: Cameras, movement: float) -> Bits:
    """Return the fewest bits after the point of turn, sideways position and depth that keep the error within `movement`.

    With steps a (radian), b, d a corner at depth z and image slope m moves, in a frame of focal length f, by at most
    f / z * (r a sqrt(3) / 2 * sqrt(1 + m^2) + b / sqrt(2) + m d / 2), r = sqrt(3) / 2 being the box's radius.
    """
    camera, poses = cameras.camera, cameras.poses
    zooms = np.ones(len(poses)) if cameras.zooms is None else cameras.zooms
    local = np.einsum("nij,kj->nki", poses[:, :, :3], _CORNERS) + poses[:, None, :, 3]
    depth = np.maximum(local[..., 2], _NEAREST)
    widest = math.hypot(camera.width / camera.fx, camera.height / camera.fy) / 2 / zooms[:, None]
    slope = np.minimum(np.hypot(local[..., 0], local[..., 1]) / depth, widest)
    scale = max(camera.fx, camera.fy) / depth * zooms[:, None]
    areas = np.maximum(depth.mean(1), _NEAREST) ** -2 * zooms**2
    bits = np.arange(1, _MAX_BITS - 2)
    turn = _worst_corner(scale * 0.75 * np.sqrt(1 + slope**2), areas) * 4 * 0.5**bits  # The angle is 4 atan(parameter).
    side = _worst_corner(scale / math.sqrt(2), areas) * 0.5**bits
    along = _worst_corner(scale * slope / 2, areas) * 0.5**bits
    error = turn[:, None, None] + side[:, None] + along
    turns, sides, alongs = _NUMBERS
    cost = turns * bits[:, None, None] + sides * bits[:, None] + alongs * bits
    best = np.unravel_index(np.argmin(np.where(error <= movement, cost, cost.max() + cost)), cost.shape)
    turn_bits, side_bits, depth_bits = (int(bits[i]) for i in best)
    return turn_bits, side_bits, depth_bits


def _worst_corner(movements: np.ndarray, areas: np.ndarray) -> float:
    """Return the root mean square over frames, weighted by `areas` [N], of their worst corner's movement, of [N, 8]."""
    return math.sqrt(np.average(movements.max(1) ** 2, weights=areas))


def _held_bits(poses: np.ndarray, bits: Bits) -> Bits:
    """Return the bits that poses were rounded to before, where these are no more than `bits`, which are returned otherwise.

    What stays the same all along costs nothing in any number of bits, and keeps those of `bits` if they are enough: so bundles of
    before this was asked are written again, byte for byte.
    """
    turns, places = _pose_integers(poses, (_MAX_BITS, _MAX_BITS, _MAX_BITS))
    needed, held = [], []
    for values, chosen in zip((turns, places[:, :2], places[:, 2:]), bits, strict=True):
        every = int(np.bitwise_or.reduce(values, axis=None))
        needed.append(max(_MAX_BITS + 1 - (every & -every).bit_length(), 0) if every else 0)
        held.append(needed[-1] if np.ptp(values, 0).any() else max(needed[-1], chosen))
    turn, side, depth = held
    return (turn, side, depth) if np.dot(_NUMBERS, needed) <= np.dot(_NUMBERS, bits) else bits


def _pose_integers(poses: np.ndarray, bits: Bits) -> tuple[np.ndarray, np.ndarray]:
    """Return turns [N, 3] from frame to frame (the first from the identity) and centre positions [N, 3], both int64."""
    turns = np.zeros((len(poses), 3), np.int64)
    held: Quaternion = (1.0, 0.0, 0.0, 0.0)
    for index, pose in enumerate(poses):
        w, x, y, z = _product(_quaternion(pose[:, :3]), (held[0], -held[1], -held[2], -held[3]))
        sign = -1.0 if w < 0 else 1.0
        turns[index] = np.rint(np.array([x, y, z]) * sign / (1 + abs(w)) * 2.0 ** bits[0])
        held = _turned(held, turns[index].tolist(), bits[0])
    places = poses[:, :, :3].sum(-1) * _CENTRE + poses[:, :, 3]
    scale = 2.0 ** np.array([bits[1], bits[1], bits[2]])
    return turns, np.rint(places * scale).astype(np.int64)


def _poses_of(turns: np.ndarray, places: np.ndarray, bits: Bits) -> np.ndarray:
    """Invert `_pose_integers`: return poses [N, 3, 4] float64, the same on every machine."""
    poses = np.zeros((len(turns), 3, 4))
    held: Quaternion = (1.0, 0.0, 0.0, 0.0)
    for index, (turn, place) in enumerate(zip(turns.tolist(), places.tolist(), strict=True)):
        held = _turned(held, turn, bits[0])
        rows = _rotation(held)
        poses[index, :, :3] = rows
        for axis in range(3):
            centre = math.ldexp(place[axis], -(bits[2] if axis == 2 else bits[1]))
            poses[index, axis, 3] = centre - _CENTRE * (rows[axis][0] + rows[axis][1] + rows[axis][2])
    return poses


def _turned(held: Quaternion, turn: list[int], bits: int) -> Quaternion:
    """Return `held` followed by the rotation of the modified Rodrigues parameters turn * 2 ** -bits, of unit length."""
    x, y, z = (math.ldexp(value, -bits) for value in turn)
    square = x * x + y * y + z * z
    scale = 2 / (1 + square)
    a, b, c, d = _product(((1 - square) / (1 + square), scale * x, scale * y, scale * z), held)
    norm = math.sqrt(a * a + b * b + c * c + d * d)
    return a / norm, b / norm, c / norm, d / norm


def _product(p: Quaternion, q: Quaternion) -> Quaternion:
    """Return the Hamilton product p q: the rotation q followed by p."""
    return (
        p[0] * q[0] - p[1] * q[1] - p[2] * q[2] - p[3] * q[3],
        p[0] * q[1] + p[1] * q[0] + p[2] * q[3] - p[3] * q[2],
        p[0] * q[2] - p[1] * q[3] + p[2] * q[0] + p[3] * q[1],
        p[0] * q[3] + p[1] * q[2] - p[2] * q[1] + p[3] * q[0],
    )


def _rotation(q: Quaternion) -> list[list[float]]:
    w, x, y, z = q
    return [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]


def _quaternion(r: np.ndarray) -> Quaternion:
    """Return the rotation nearest to r [3, 3] (Bar-Itzhack, 2000: top eigenvector of a symmetric 4 x 4 matrix)."""
    a, b, c = r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]
    symmetric = np.zeros((4, 4))
    symmetric[0, 0] = np.trace(r)
    symmetric[1:, 1:] = r + r.T - np.trace(r) * np.eye(3)
    symmetric[0, 1:] = symmetric[1:, 0] = (a, b, c)
    w, x, y, z = np.linalg.eigh(symmetric)[1][:, -1].tolist()
    return w, x, y, z


# Gains ----------------------------------------------------------------------------------------------------------------


def _code_gains(coder: Coder, gains: np.ndarray | None, frames: int) -> np.ndarray:
    """Code a flag and, where exposure changes, green, then red and blue against it, in steps of 1 / GAIN_STEPS octave."""
    steps = None
    if gains is not None:
        steps = np.rint(np.log2(gains.astype(np.float64)) * GAIN_STEPS).astype(np.int64)
        steps = np.clip(steps, -_MAX_OCTAVES * GAIN_STEPS, _MAX_OCTAVES * GAIN_STEPS)
    changing = coder.integers(None if steps is None else np.array([steps.any()]), 1)[0]
    if not changing:
        return np.ones((frames, 3), np.float32)
    green = code_sequence(coder, None if steps is None else steps[:, 1], frames)
    red = green + code_sequence(coder, None if steps is None else steps[:, 0] - green, frames)
    blue = green + code_sequence(coder, None if steps is None else steps[:, 2] - green, frames)
    steps = np.stack([red, green, blue], -1)
    if np.abs(steps).max() > _MAX_OCTAVES * GAIN_STEPS:
        raise _implausible("exposure gain")
    return np.ldexp(_fractional_octaves()[steps % GAIN_STEPS], steps // GAIN_STEPS).astype(np.float32)


def _fractional_octaves() -> np.ndarray:
    """Return 2 ** (i / GAIN_STEPS), i < GAIN_STEPS, from square roots: `pow` may differ in the last bit between machines."""
    root = 2.0
    for _ in range(GAIN_STEPS.bit_length() - 1):
        root = math.sqrt(root)
    table = [1.0]
    for _ in range(GAIN_STEPS - 1):
        table.append(table[-1] * root)
    return np.array(table)


def _implausible(part: str) -> CorruptBundle:
    return CorruptBundle(f"a camera's {part} is out of range; the file is damaged, restore it from a copy")
