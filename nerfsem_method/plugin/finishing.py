"""A finished training becomes its bundle here: poses and a filter are fitted to the frames that the training saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nerfsem_method.codec import nsem
from nerfsem_method.codec.nsem import Bundle
from nerfsem_method.log import LOG
from nerfsem_method.media.pictures import read_picture
from nerfsem_method.plugin.dataparser import split_frames
from nerfsem_method.scene.scene import Scene
from nerfsem_method.training.filter import find_filter
from nerfsem_method.training.pose_rounding import with_rounded_poses


def finished(pipeline, scene: Scene, bundle: Bundle, rate_weight: float) -> Bundle:
    """Return the bundle of a run with its poses rounded and a filter, as pays at lambda = `rate_weight`.

    An imported bundle keeps what it came with. `pipeline` is the configuration of the run's pipeline. Raises CaptureError when a
    frame is missing.
    """
    if scene.bundle is not None:
        return replace(bundle.quantised(), filter=nsem.read(scene.bundle).filter)

    def frame(index: int) -> np.ndarray:
        picture = read_picture(scene.root / scene.frames[index].image)[..., ::-1]
        return np.dstack([picture, read_picture(scene.matte_path(index), grey=True)])

    trained_on = split_frames(scene, "train", pipeline.datamanager.dataparser.holdout_every)
    whole = [frame for frame in trained_on if frame.window is None]  # The others have nothing to say of what lies beyond a crop.
    seen = [frame.index for frame in whole or trained_on]
    rounded = with_rounded_poses(bundle, frame, seen, rate_weight)
    found = find_filter(rounded, frame, seen, pipeline.model.course.filter_steps, rate_weight)
    LOG.info("filter: %.0f bytes, %+.2f dB over the object", found.bytes, found.decibels)
    return replace(rounded, filter=found.filter)
