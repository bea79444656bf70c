"""A `.nsem` bundle is everything that the decoder needs, in one file of checksummed sections (FORMAT.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nerfsem_method import __version__
from nerfsem_method.codec import header
from nerfsem_method.codec.background import STREAMS, Background
from nerfsem_method.codec.cameras import Cameras, code_cameras, quantise
from nerfsem_method.codec.coder import Coder, Decoder, Encoder, Recorder
from nerfsem_method.codec.container import MAGIC, Section, pack, unpack
from nerfsem_method.codec.filter import TAG as FILTER
from nerfsem_method.codec.filter import Filter, code_filter
from nerfsem_method.codec.gaps import TAG as GAPS
from nerfsem_method.codec.gaps import pack_gaps, unpack_gaps
from nerfsem_method.codec.hinerv import TAG as NEURAL
from nerfsem_method.codec.hinerv import NeuralBackground
from nerfsem_method.codec.metadata import ENCODER, metadata_section
from nerfsem_method.codec.occupancy import code_occupancy
from nerfsem_method.codec.residual import TAG as RESIDUAL
from nerfsem_method.codec.residual import unpack_residual
from nerfsem_method.codec.tints import TAG as TINTS
from nerfsem_method.codec.tints import Tints, code_tints
from nerfsem_method.codec.walk import code_tables
from nerfsem_method.codec.weights import code_weights
from nerfsem_method.codec.zooms import TAG as ZOOMS
from nerfsem_method.codec.zooms import code_zooms, held_zooms
from nerfsem_method.errors import BundleError, CorruptBundle
from nerfsem_method.field.spec import FieldSpec
from nerfsem_method.field.state import FieldState
from nerfsem_method.files import replacing
from nerfsem_method.outputs import check_replaceable
from nerfsem_method.scene.camera import Intrinsics
from nerfsem_method.scene.scene import Video

SPEC, CAMERAS, OCCUPANCY, HEADS, CONTEXTS, TABLES, SYMBOLS = "SPEC", "CAMS", "VOXL", "HEAD", "CTXT", "GRID", "HASH"
OCCUPANCIES = {"OCCU": False, OCCUPANCY: True}
"""A bundle holds one of these, which a regression has coded or not; that without is only read."""
BACKGROUNDS = (*(tag for tag, _ in STREAMS.values()), NEURAL)
FIELD_SECTIONS = (SPEC, CAMERAS, HEADS, CONTEXTS, TABLES, SYMBOLS)
KNOWN_SECTIONS = (*FIELD_SECTIONS, *OCCUPANCIES, ZOOMS, TINTS, FILTER, *BACKGROUNDS)
SYMBOL_HASH_BYTES = 8
Layer = Background | NeuralBackground
"""A background layer is one of these."""


@dataclass(frozen=True)
class Bundle:
    """This class is the content of a bundle, as its decoder holds it.

    Attributes:
        state: The field is held as its state.
        video: The source had this name, size, rate and SHA-256; so many of its frames are here, and these were left out.
        camera: One camera serves all frames, but for their zooms; its size is that of the decoded video.
        poses: Each frame has a matrix cam_from_world; float64 [N, 3, 4].
        gains: Rendered colour * gain = frame colour, per RGB channel; float32 [N, 3].
        background: PC mode has a background layer, a stream or a network; None in FP mode.
        tints: What is left of each frame's colour after its gain; None where that is nothing.
        filter: It makes frames sharper; None where it does not pay.
        zooms: Frames have so many times the camera's focal length, float64 [N]; None where one lens took all.
        residual: What the field leaves of the frames is a stream of AV1, see `codec.residual`; None where none of it is kept.
    """

    state: FieldState
    video: Video
    camera: Intrinsics
    poses: np.ndarray
    gains: np.ndarray
    background: Layer | None = None
    tints: Tints | None = None
    filter: Filter | None = None
    zooms: np.ndarray | None = None
    residual: bytes | None = None

    def camera_of(self, index: int) -> Intrinsics:
        """Return the camera that took a frame."""
        return self.camera if self.zooms is None else self.camera.zoomed(float(self.zooms[index]))

    @property
    def cameras(self) -> Cameras:
        """Return what the section of cameras is made of; zooms are as a decoder will hold them, None where all are 1."""
        return Cameras(self.camera, self.poses, self.gains, held_zooms(self.zooms))

    @property
    def mode(self) -> str:
        """Return "pc" with a background, else "fp"."""
        return "fp" if self.background is None else "pc"

    @property
    def colors(self) -> np.ndarray:
        """Return the maps float64 [N, 3, 4] from rendered colours to those of each frame: its gain, then its tint."""
        maps = np.repeat(np.eye(3, 4)[None], len(self.poses), 0) if self.tints is None else self.tints.matrices()
        maps[:, :, :3] *= self.gains[:, None, :]
        return maps

    def quantised(self, coarser: float = 1) -> Bundle:
        """Return this bundle with the cameras that its decoder will hold, see `cameras.quantise`."""
        cameras = quantise(self.cameras, coarser)
        return replace(self, camera=cameras.camera, poses=cameras.poses, gains=cameras.gains, zooms=cameras.zooms)


def _coded(code: Callable[[Coder], object]) -> bytes:
    encoder = Encoder()
    code(encoder)
    return encoder.finish()


def symbol_hash(tables: tuple[np.ndarray, ...]) -> bytes:
    """Return the decoded symbols' fingerprint: the first bytes of the SHA-256 of all tables' int8 values, in order."""
    digest = hashlib.sha256()
    for table in tables:
        digest.update(np.ascontiguousarray(table, np.int8).data)
    return digest.digest()[:SYMBOL_HASH_BYTES]


def _context_integers(state_contexts: dict) -> dict[str, np.ndarray]:
    return {name: tensor.integers for name, tensor in state_contexts.items()}


def _coded_parts(bundle: Bundle) -> dict[str, Callable[[Coder], object]]:
    """Return what codes each section that is one stream of the arithmetic coder."""
    state, spec = bundle.state, bundle.state.spec
    cameras = bundle.cameras
    weights = _context_integers(state.contexts)
    zooms = {ZOOMS: lambda coder: code_zooms(coder, cameras.zooms, len(bundle.poses))} if cameras.zooms is not None else {}
    tints = {TINTS: lambda coder: code_tints(coder, bundle.tints, len(bundle.poses))} if bundle.tints is not None else {}
    return {
        CAMERAS: lambda coder: code_cameras(coder, cameras, len(bundle.poses)),
        **zooms,
        **tints,
        OCCUPANCY: lambda coder: code_occupancy(coder, spec.occupancy, state.occupancy, mixed=True),
        HEADS: lambda coder: code_weights(coder, spec.head_shapes(), state.heads),
        CONTEXTS: lambda coder: code_weights(coder, spec.context_shapes(), state.contexts),
        TABLES: lambda coder: code_tables(coder, spec, state.occupancy, weights, state.tables),
        **({FILTER: lambda coder: code_filter(coder, bundle.filter)} if bundle.filter is not None else {}),
    }


def background_tag(background: Layer) -> str:
    """Return the tag of the section that holds a background."""
    return NEURAL if isinstance(background, NeuralBackground) else STREAMS[background.codec][0]


def streams(bundle: Bundle) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the bits uint8 [N] of each coded section and P(bit = 1) in 1/65536, uint16 [N], as an encoder is given them."""
    found = {}
    for tag, code in _coded_parts(bundle).items():
        code(recorder := Recorder())
        found[tag] = recorder.symbols
    return found


def sections(bundle: Bundle) -> list[Section]:
    """Code every part and return the sections: this is what `decode` reads, without the encoder's name."""
    coded = {tag: _coded(code) for tag, code in _coded_parts(bundle).items()}
    state = bundle.state
    parts = {SPEC: header.pack_header(bundle.video, state.spec), **coded, SYMBOLS: symbol_hash(state.tables)}
    if bundle.background is not None:
        parts[background_tag(bundle.background)] = bundle.background.payload()
    if bundle.residual is not None:
        parts[RESIDUAL] = bundle.residual
    if bundle.video.left_out:
        parts[GAPS] = pack_gaps(bundle.video.left_out)
    return [Section(tag, payload) for tag, payload in parts.items()]


def encode(bundle: Bundle) -> bytes:
    """Return the bytes of the file: the sections, and the name of the encoder."""
    return pack([*sections(bundle), metadata_section({ENCODER: f"nerfsem {__version__}"})])


def decode(data: bytes) -> Bundle:
    """Read a bundle from bytes.

    Raises:
        BundleError: The subclass says what is wrong; nothing is allocated beyond what `header` allows.
    """
    parts = {section.tag: section.payload for section in unpack(data, KNOWN_SECTIONS)}
    missing = [tag for tag in FIELD_SECTIONS if tag not in parts]
    if missing:
        raise CorruptBundle(f"section {missing[0]} is missing; the file is incomplete, restore it from a copy")
    if len([tag for tag in OCCUPANCIES if tag in parts]) != 1:
        raise CorruptBundle("there is not one occupancy grid; the file is incomplete, restore it from a copy")
    video, spec = header.unpack_header(parts[SPEC])
    cameras = code_cameras(Decoder(parts[CAMERAS]), None, video.frames)
    left_out = unpack_gaps(parts[GAPS]) if GAPS in parts else ()
    video = replace(video, width=cameras.camera.width, height=cameras.camera.height, left_out=left_out)
    state = _decode_field(parts, spec)
    background = _decode_background(parts, video)
    zooms = code_zooms(Decoder(parts[ZOOMS]), None, video.frames) if ZOOMS in parts else None
    tints = code_tints(Decoder(parts[TINTS]), None, video.frames) if TINTS in parts else None
    kept = code_filter(Decoder(parts[FILTER]), None) if FILTER in parts else None
    residual = unpack_residual(parts[RESIDUAL]) if RESIDUAL in parts else None
    return Bundle(state, video, cameras.camera, cameras.poses, cameras.gains, background, tints, kept, zooms, residual)


def _decode_background(parts: dict[str, bytes], video: Video) -> Layer | None:
    held = [tag for tag in BACKGROUNDS if tag in parts]
    if len(held) > 1:
        raise CorruptBundle("there are two backgrounds; the file was not written by nerfsem")
    if NEURAL in parts:
        return NeuralBackground.from_payload(parts[NEURAL], video.frames, video.height, video.width)
    for codec, (tag, _) in STREAMS.items():
        if tag in parts:
            return Background.from_payload(parts[tag], video.frames, codec)
    return None


def _decode_field(parts: dict[str, bytes], spec: FieldSpec) -> FieldState:
    tag = next(tag for tag in OCCUPANCIES if tag in parts)
    occupancy = code_occupancy(Decoder(parts[tag]), spec.occupancy, None, OCCUPANCIES[tag])
    heads = code_weights(Decoder(parts[HEADS]), spec.head_shapes(), None)
    contexts = code_weights(Decoder(parts[CONTEXTS]), spec.context_shapes(), None)
    tables = code_tables(Decoder(parts[TABLES]), spec, occupancy, _context_integers(contexts), None)
    if symbol_hash(tables) != parts[SYMBOLS]:
        raise CorruptBundle("the decoded symbols are not those that were encoded; restore the file from a copy")
    return FieldState(spec, occupancy, tables, heads, contexts)


def read(path: Path) -> Bundle:
    """Read a bundle file. Raises BundleError, also when the file cannot be read."""
    return decode(read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a bundle file. Raises BundleError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); give the path of a .nsem bundle") from None


def check_target(path: Path) -> None:
    """Make sure that a bundle can be written here: it may replace another bundle, nothing else. Raises OutputError."""
    check_replaceable(path, _starts_like_a_bundle, "bundle")


def _starts_like_a_bundle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def write(path: Path, bundle: Bundle) -> dict[str, int]:
    """Encode, decode again to compare the symbols, write the file in one move, and return its bytes by section.

    Raises OutputError when the file cannot be written or is no bundle, BundleError when it would not decode to the same symbols.
    """
    data = encode(bundle)
    decode(data)
    check_target(path)
    with replacing(path) as partial:
        partial.write_bytes(data)
    return sizes(data)


def sizes(data: bytes) -> dict[str, int]:
    """Return the bytes by section, headers and checksums included; "container" is what belongs to none."""
    parts = {section.tag: section.stored_bytes for section in unpack(data, KNOWN_SECTIONS)}
    return {**parts, "container": len(data) - sum(parts.values())}


def drop_background(data: bytes) -> bytes:
    """Return the FP bundle inside a PC bundle."""
    kept = [section for section in unpack(data, KNOWN_SECTIONS) if section.tag not in BACKGROUNDS]
    return pack(kept)
