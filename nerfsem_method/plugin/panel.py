"""The panel is what nerfstudio's viewer shows of nerfsem beside the picture: ground, mode, frames, sizes, and a trial encoding.

nerfstudio finds the elements in the model, as "Custom Elements/model/panel". Nothing here changes a training, and without a
viewer the elements are plain values.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from nerfstudio.cameras.camera_utils import quaternion_from_matrix
from nerfstudio.model_components import renderers
from nerfstudio.viewer import viewer_elements
from nerfstudio.viewer.render_state_machine import RenderStateMachine
from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO
from torch import Tensor

from nerfsem_method.codec import nsem
from nerfsem_method.codec.container import unpack
from nerfsem_method.codec.metadata import ENCODER, metadata_of
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.codec.walk import fits
from nerfsem_method.errors import NerfsemError, printable
from nerfsem_method.evaluation import gate
from nerfsem_method.plugin.dataparser import world_scale
from nerfsem_method.scene.camera import camera_centres
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training.radiance import RadianceField

OBJECT, WHOLE = "FP: the object", "PC: over its background"
TRAINED, DECODED = "trained", "decoded"
NOTHING = "-"
PARTS = {
    "tables": ("GRID",), "heads": ("HEAD",), "contexts": ("CTXT",), "occupancy": ("OCCU", "VOXL"), "cameras": ("CAMS",),
    "background": ("BACK", "HEVC", "OBUS", "HNRV"),
}  # fmt: skip
"""Bytes are told by these parts; what is left is the rest."""


@dataclass(frozen=True)
class Trial:
    """A trial is a bundle as it would be now: its bytes by section, and the field that a reader would see."""

    sizes: dict[str, int]
    field: RadianceField


class ReadOut(viewer_elements.ViewerElement[str]):
    """A read-out is text in as many lines as it takes; nerfstudio's own text field would show what fits into half a line."""

    def __init__(self, name: str, text: str = NOTHING) -> None:
        super().__init__(name)
        self._text = text

    @property
    def value(self) -> str:
        """Return the text."""
        return self._text

    @value.setter
    def value(self, text: str) -> None:
        self._text = text
        if self.gui_handle is not None:
            self.gui_handle.content = self._markdown()  # type: ignore[attr-defined]

    def install(self, viser_server: Any) -> None:
        """Put the text into the page of a viewer."""
        self._create_gui_handle(viser_server)

    def _create_gui_handle(self, viser_server: Any) -> None:
        self.gui_handle = viser_server.gui.add_markdown(self._markdown())  # type: ignore[assignment]

    def _markdown(self) -> str:
        """Return the text as Markdown that means nothing but it: a bundle's metadata may be anybody's, and the page runs what
        stands in braces."""
        plain = (sign if sign.isalnum() or sign in " .,:-" else f"&#{ord(sign)};" for sign in self._text)
        return f"**{self.name}:** {''.join(plain)}"


class Panel(torch.nn.Module):
    """The panel has no parameters; it is a module because nerfstudio looks for elements in modules alone.

    `snapshot` returns the bundle as it would be now, not rounded; `scene` is the captured scene, or the bundle's.
    """

    def __init__(self, scene: Scene, whole: bool, snapshot: Callable[[], Bundle]) -> None:
        super().__init__()
        self._scene, self._snapshot = scene, snapshot
        self._trial: Trial | None = None
        # nerfstudio lists elements in the order of their attributes' names, hence the letters.
        modes = [OBJECT, WHOLE] if whole else [OBJECT]
        self.a_mode = viewer_elements.ViewerDropdown("Shows", OBJECT, modes, hint="For a PC bundle that was imported.")
        self.b_ground = viewer_elements.ViewerRGB("Ground", (255, 255, 255), hint="This colour is behind the object.")
        self.c_frame = viewer_elements.ViewerSlider(
            "Stand at frame", 0, 0, max(len(scene.frames) - 1, 1), 1, cb_hook=lambda element: self.stand_at(int(element.value))
        )
        self.d_weights = viewer_elements.ViewerDropdown(
            "Weights", TRAINED, [TRAINED, DECODED], cb_hook=self._choose, hint="decoded is what a trial encoding gives back."
        )
        self.e_encode = viewer_elements.ViewerButton("Encode now", cb_hook=lambda _: self.encode())
        sizes = {} if scene.bundle is None else nsem.sizes(nsem.read_bytes(scene.bundle))
        self.f_bytes = ReadOut("Bytes", f"{sum(sizes.values()):,}" if sizes else NOTHING)
        self.g_parts = ReadOut("By part", by_part(sizes) if sizes else NOTHING)
        self.h_psnr = ReadOut("PSNR")
        self.i_lambda = ReadOut("Lambda")
        self.j_described = ReadOut("About", _description(scene))
        self.control = viewer_elements.ViewerControl()

    def stand_at(self, frame: int) -> None:
        """Let every visitor's camera stand where a frame was taken, and see as much as that camera."""
        server = getattr(self.control, "viser_server", None)
        if server is None:
            return
        made = self._snapshot()
        pose, camera = made.poses[frame], made.camera_of(frame)
        position = (camera_centres(pose[None])[0] - 0.5) * world_scale(self._scene) * VISER_NERFSTUDIO_SCALE_RATIO
        for visitor in server.get_clients().values():
            with visitor.atomic():
                visitor.camera.position = position
                visitor.camera.wxyz = quaternion_from_matrix(pose[:, :3].T)
                visitor.camera.fov = 2 * math.atan(camera.height / 2 / camera.fy)

    def encode(self) -> None:
        """Encode the field as it is, decode it again, and tell bytes by part and PSNR-CENTER, the trained field's beside it."""
        made = self._snapshot()
        if self._scene.bundle is not None:
            made = replace(made, background=nsem.read(self._scene.bundle).background)
        if not fits(made.state.spec, made.state.occupancy):
            self.f_bytes.value = "not yet: the hull is still solid, and more than a bundle may hold"
            return
        self.f_bytes.value = "being encoded"
        data = nsem.encode(made.quantised())
        decoded = nsem.decode(data)
        self._trial = Trial(nsem.sizes(data), RadianceField.from_state(decoded.state).eval())
        self.f_bytes.value = f"{len(data):,}"
        self.g_parts.value = by_part(self._trial.sizes)
        if self._scene.bundle is not None:
            self.h_psnr.value = "no source frames to measure against"
            return
        self.h_psnr.value = "being measured"
        figures = [gate.look(self._scene, bundle) for bundle in (made, decoded)]
        told = [NOTHING if found is None else f"{found.psnr_center:.2f} dB" for found in figures]
        self.h_psnr.value = f"{told[0]} trained, {told[1]} decoded"

    def hear(self, metrics: dict[str, Any], rate_weight: Tensor) -> None:
        """Show the figures of a training step, where somebody looks."""
        if self.f_bytes.gui_handle is None:
            return
        self.h_psnr.value = f"{float(metrics['psnr']):.2f} dB of this step's rays"
        self.i_lambda.value = f"{rate_weight.item():.3g}"
        if "kilobytes" in metrics:
            self.f_bytes.value = f"{float(metrics['kilobytes']) * 1e3:,.0f} estimated"

    def field(self, trained: RadianceField) -> RadianceField:
        """Return the field that is to be shown: the trained one, or for a visitor who asked for it the one of the last trial."""
        if self._trial is None or self.d_weights.value != DECODED or not _is_visitor():
            return trained
        return self._trial.field.to(next(trained.parameters()).device)

    def dressed(self, outputs: dict[str, Any]) -> dict[str, Any]:
        """Return the outputs of a model as a visitor chose to see them; renderings, exports and measurements stay as they are."""
        if not _is_visitor():
            return outputs
        if self.a_mode.value == WHOLE and "pc" in outputs:
            return {**outputs, "rgb": outputs["pc"]}
        if renderers.BACKGROUND_COLOR_OVERRIDE is not None:
            return outputs
        seen = outputs["prediction"]
        ground = torch.tensor(self.b_ground.value, device=seen.color.device) / 255
        return {**outputs, "rgb": seen.over(ground)}

    def _choose(self, element: Any) -> None:
        if element.value == DECODED and self._trial is None:
            self.encode()


def by_part(sizes: dict[str, int]) -> str:
    """Return bytes by part in words, from the sizes of a bundle's sections."""
    named = {part: sum(sizes.get(tag, 0) for tag in tags) for part, tags in PARTS.items()}
    named["rest"] = sum(sizes.values()) - sum(named.values())
    return ", ".join(f"{part} {size:,}" for part, size in named.items() if size)


def _is_visitor() -> bool:
    """Return whether the viewer renders now: it does so in threads of its own."""
    return isinstance(threading.current_thread(), RenderStateMachine)


def _description(scene: Scene) -> str:
    """Return the metadata of a bundle, or the name of the clip."""
    video = scene.video
    facts = f"{printable(video.name)}: {len(scene.frames)} frames, {scene.camera.width} x {scene.camera.height}"
    if scene.bundle is None:
        return facts
    try:
        found = metadata_of(unpack(nsem.read_bytes(scene.bundle), nsem.KNOWN_SECTIONS))
    except NerfsemError:
        return facts
    return "; ".join([facts, *(f"{name}: {printable(text)}" for name, text in found.items() if name != ENCODER)])
