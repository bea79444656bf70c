"""The data manager keeps frames in memory as 8-bit RGBA, and draws rays through the object's pixels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
import tyro
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.configs.dataparser_configs import AnnotatedDataParserUnion
from nerfstudio.data.datamanagers.base_datamanager import VanillaDataManager, VanillaDataManagerConfig
from nerfstudio.data.datasets.base_dataset import InputDataset
from nerfstudio.data.pixel_samplers import PixelSamplerConfig
from nerfstudio.data.utils.dataloaders import FixedIndicesEvalDataloader, RandIndicesEvalDataloader
from PIL import Image

from nerfsem_method.errors import CaptureError
from nerfsem_method.plugin.dataparser import ObjectVideoDataParserConfig, camera_to_worlds
from nerfsem_method.plugin.previews import previews
from nerfsem_method.plugin.rays import ClipRays
from nerfsem_method.progress import track
from nerfsem_method.scene.camera import Window, shown_part
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training.windows import framed, largest

MEMORY_SHARE = 1 / 3
"""Frames lie on a GPU if they and what is drawn take at most this share of its free memory: the field needs the rest."""
BORDER = 4
"""So many pixels around the matte are sampled as well, so that the field learns where the object ends."""


class ObjectVideoDataset(InputDataset):
    """A dataset is the frames of one split with their mattes as straight alpha.

    Those of a bundle are its own decoded frames, small and opaque, and `measurable` is False.
    With `agreed` the mattes are those that trainings agreed on, by which pictures are measured.
    """

    agreed = False

    def __init__(self, dataparser_outputs, scale_factor: float = 1.0) -> None:
        super().__init__(dataparser_outputs, scale_factor)
        self.scene: Scene = self.metadata["scene"]
        self.frame_indices: torch.Tensor = self.cameras.metadata["frame"][:, 0].clone()  # type: ignore[index]

    def stand_at(self, poses: np.ndarray) -> None:
        """Let the cameras be at other poses [N, 3, 4] of the scene's N frames."""
        self.cameras.camera_to_worlds = camera_to_worlds(self.scene, poses[self.frame_indices.numpy()])

    @property
    def measurable(self) -> bool:
        """Return whether there are source frames to measure against."""
        return self.scene.bundle is None

    def get_numpy_image(self, image_idx: int) -> np.ndarray:
        """Return one frame, uint8 [H, W, 4], at the size of its camera.

        Raises CaptureError when a file of the scene is missing or of another size.
        """
        index = int(self.frame_indices[image_idx])
        if self.scene.bundle is not None:
            return np.pad(previews(self.scene.bundle)[index], ((0, 0), (0, 0), (0, 1)), constant_values=255)
        rgba = self._read(index)
        size = int(self.cameras.width[image_idx]), int(self.cameras.height[image_idx])
        if rgba.size != size:  # channel by channel: what lies around the object has a colour, too
            rgba = Image.merge("RGBA", [channel.resize(size, Image.Resampling.BOX) for channel in rgba.split()])
        return np.array(rgba)

    def _read(self, index: int) -> Image.Image:
        camera, frame = self.scene.camera, self.scene.frames[index]
        try:
            with Image.open(self.scene.matte_path(index) if self.agreed else self.scene.root / frame.matte) as matte:
                alpha = matte.convert("L")
            with Image.open(self.scene.root / frame.image) as picture:
                picture.putalpha(alpha)
                rgba = picture.copy()
        except (OSError, ValueError) as error:
            raise CaptureError(f"{self.scene.root} is incomplete ({error}); delete it and capture again") from None
        if rgba.size != (camera.width, camera.height):
            raise CaptureError(f"{self.scene.root / frame.image} has another size than its camera; capture again")
        return rgba


@dataclass
class NerfsemDataManagerConfig(VanillaDataManagerConfig):
    """All frames are kept as 8-bit RGBA: on a GPU that has room for them, or anyway with `images_on_gpu`, else in memory."""

    _target: type = field(default_factory=lambda: NerfsemDataManager)
    dataparser: AnnotatedDataParserUnion = field(default_factory=ObjectVideoDataParserConfig)
    """Where frames, mattes and cameras come from."""
    train_num_rays_per_batch: int = 4096
    """Most rays of a training step; the sample budget may ask for fewer."""
    eval_num_rays_per_batch: int = 4096
    """An evaluation batch has so many rays."""
    poses: tyro.conf.Suppress[Any] = None
    """The refined poses of a run that was loaded."""

    # The following options of VanillaDataManager mean nothing here: every frame is used, at its own size.
    masks_on_gpu: tyro.conf.Suppress[bool] = False
    train_num_images_to_sample_from: tyro.conf.Suppress[int] = -1
    train_num_times_to_repeat_images: tyro.conf.Suppress[int] = -1
    eval_num_images_to_sample_from: tyro.conf.Suppress[int] = -1
    eval_num_times_to_repeat_images: tyro.conf.Suppress[int] = -1
    eval_image_indices: tyro.conf.Suppress[tuple[int, ...] | None] = None
    camera_res_scale_factor: tyro.conf.Suppress[float] = 1.0
    patch_size: tyro.conf.Suppress[int] = 1
    pixel_sampler: tyro.conf.Suppress[PixelSamplerConfig] = field(default_factory=PixelSamplerConfig)


class ObjectRays(ClipRays):
    """ObjectRays draws rays through the object's pixels and a border around them, uniformly over all frames of a dataset.

    Attributes:
        frames: uint8 [N, H, W, 4], straight alpha.
        candidates: flat indices into [N, H, W] that may be drawn.
    """

    def __init__(self, dataset: ObjectVideoDataset, device: torch.device | str) -> None:
        super().__init__(dataset.scene, dataset.frame_indices, device)
        self.frames = _read_all(dataset).to(self.device)
        alpha = self.frames[..., 3]
        windows = [dataset.scene.frames[index].window for index in dataset.frame_indices.tolist()]
        around = (_within(_near_object(matte), window) for matte, window in zip(alpha, windows, strict=True))
        near = [torch.nonzero(each.flatten())[:, 0] + i * each.numel() for i, each in enumerate(around)]
        self.candidates = torch.cat(near).to(torch.int32 if alpha.numel() < 2**31 else torch.int64)
        if not len(self.candidates):
            raise CaptureError("the mattes are empty in every frame: there is no object to learn; give --mattes DIR")

    @property
    def share(self) -> float:
        """Return the share of all pixels that may be drawn: the factor from a mean over drawn rays to a mean over the video."""
        return len(self.candidates) / self.frames[..., 0].numel()

    def draw(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return `count` pixels, (frame of the dataset, row, column) int64 [R, 3], and their colours, float32 [R, 4]."""
        picks = torch.randint(len(self.candidates), (count,), generator=generator, device=self.device)
        flat = self.candidates[picks].long()
        colors = self.frames.view(-1, 4)[flat].float() / 255
        _, height, width, _ = self.frames.shape
        pixels = flat % (height * width)
        return torch.stack([flat // (height * width), pixels // width, pixels % width], -1), colors


def _fits(dataset: ObjectVideoDataset, device: torch.device) -> bool:
    """Return whether a dataset's frames, and as much again for the candidates, may lie on a GPU: rays are drawn there faster.

    On a host of many slow cores, a look-up of a thousand pixels costs more than all of a step's kernels.
    """
    camera = dataset.scene.camera
    needed = 2 * 4 * len(dataset) * camera.width * camera.height
    return device.type == "cuda" and needed <= MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]


def _read_all(dataset: ObjectVideoDataset) -> torch.Tensor:
    camera = dataset.scene.camera
    frames = torch.empty((len(dataset), camera.height, camera.width, 4), dtype=torch.uint8)
    with ThreadPoolExecutor() as readers:
        pictures = readers.map(dataset.get_numpy_image, range(len(dataset)))
        for frame, picture in zip(frames, track(pictures, "reading frames", len(dataset)), strict=True):
            frame[:] = torch.from_numpy(picture)
    return frames


def _near_object(matte: torch.Tensor) -> torch.Tensor:
    return largest(framed(matte, BORDER, 0), 2 * BORDER + 1) > 0


def _within(chosen: torch.Tensor, window: Window | None) -> torch.Tensor:
    """Return which of the `chosen` pixels [H, W] bool lie in a frame's window: of others nothing is known."""
    part = shown_part(window, *chosen.shape[::-1])
    kept = torch.zeros_like(chosen)
    kept[part] = chosen[part]
    return kept


@dataclass
class RaysPerBatch:
    """This stands where nerfstudio's exports look for a pixel sampler, to tell it how many rays they want at a time."""

    num_rays_per_batch: int


class NerfsemDataManager(VanillaDataManager[ObjectVideoDataset]):
    """This data manager reads frames in 8 bit at the first use, and has ObjectRays in place of a pixel sampler.

    The rays of step s depend on the trainer's seed and on s alone, so that a resumed run goes on where it stopped. Of these the
    first `rays` are drawn, as many as the model has use for. Outside training, each call gives other rays.
    """

    config: NerfsemDataManagerConfig
    rays: int | None = None

    def __init__(self, config: NerfsemDataManagerConfig, *args: Any, **kwargs: Any) -> None:
        if not isinstance(config.dataparser, ObjectVideoDataParserConfig):
            raise CaptureError(
                "nerfsem has a parser of its own, which reads nerfstudio's data, too; leave the name of another one out, or say "
                "nerfsem-data"
            )
        super().__init__(config, *args, **kwargs)
        if self.test_mode == "val" and not self.train_dataset.measurable:
            raise CaptureError(
                f"{self.train_dataset.scene.bundle} is a bundle, which has no source frames to train on; give the video, or look "
                "at the bundle: nerfsem import, then ns-viewer"
            )
        self.train_pixel_sampler: Any = RaysPerBatch(config.train_num_rays_per_batch)
        if config.poses is not None:
            self.stand_at(config.poses)

    def stand_at(self, poses: np.ndarray) -> None:
        """Let the cameras of all frames be at the poses [N, 3, 4] to which a training has refined them.

        The configuration remembers them: ns-render dataset makes a second data manager of it.
        """
        if poses.shape != self.train_dataset.scene.poses.shape:
            return  # these are other data than those of the training
        self.config.poses = poses
        drawn = [rays for name, rays in vars(self).items() if name in ("train_rays", "eval_rays")]  # if they are made already
        for holder in (self.train_dataset, self.eval_dataset, *drawn):
            holder.stand_at(poses)

    @cached_property
    def train_rays(self) -> ClipRays:
        """Return what draws the rays of the training frames."""
        there = self.config.images_on_gpu or _fits(self.train_dataset, torch.device(self.device))
        return self._rays_of(self.train_dataset, self.device if there else "cpu")

    @cached_property
    def eval_rays(self) -> ClipRays:
        """Return the same of the evaluation split."""
        return self._rays_of(self.eval_dataset, "cpu")

    def _rays_of(self, dataset: ObjectVideoDataset, device: torch.device | str) -> ClipRays:
        rays = ObjectRays(dataset, device) if dataset.measurable else ClipRays(dataset.scene, dataset.frame_indices)
        if self.config.poses is not None:
            rays.stand_at(self.config.poses)
        return rays

    @cached_property
    def frames_rgba(self) -> torch.Tensor:
        """Return the training frames uint8 [N, H, W, 4], in the order of `train_dataset`."""
        assert isinstance(self.train_rays, ObjectRays)
        return self.train_rays.frames

    @cached_property
    def candidate_share(self) -> float:
        """Return the share of the training video's pixels that rays are drawn from."""
        assert isinstance(self.train_rays, ObjectRays)
        return self.train_rays.share

    def setup_train(self) -> None:
        """Read the frames now, with progress, when a training begins; viewer and export need none."""
        if self.test_mode == "val":
            _ = self.train_rays

    def setup_eval(self) -> None:
        """Make the image loaders of ns-eval, the viewer and ns-render."""
        self.eval_dataset.agreed = self.test_mode == "test"
        self.fixed_indices_eval_dataloader = FixedIndicesEvalDataloader(self.eval_dataset, device=self.device)
        self.eval_dataloader = RandIndicesEvalDataloader(self.eval_dataset, device=self.device)

    def next_train(self, step: int) -> tuple[RayBundle, dict]:
        """Return the rays of a step, and {"image": float32 [R, 4] straight RGBA, "indices": int64 [R, 3]}."""
        self.train_count += 1
        most = self.train_pixel_sampler.num_rays_per_batch
        turn = step if self.test_mode == "val" else self.train_count
        return self._next(self.train_rays, min(self.rays or most, most), 2 * turn)

    def next_eval(self, step: int) -> tuple[RayBundle, dict]:
        """Return the same from the evaluation split."""
        self.eval_count += 1
        return self._next(self.eval_rays, self.config.eval_num_rays_per_batch, 2 * step + 1)

    def _next(self, rays: ClipRays, count: int, turn: int) -> tuple[RayBundle, dict]:
        generator = torch.Generator(rays.device).manual_seed((torch.initial_seed() * 1_000_003 + turn) % 2**63)
        indices, colors = rays.draw(count, generator)
        bundle = rays.bundle(indices)
        if rays.device != torch.device(self.device):
            bundle = bundle.to(self.device)
        return bundle, {"image": colors.to(self.device), "indices": indices}
