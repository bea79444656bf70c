"""This module is a process that reads a model of COLMAP: `python -m nerfsem_method.capture.colmap.reading MODEL TARGET`.

It writes TARGET/model.json, with a list of pictures (name, camera, pose), and TARGET/points.npz, as `solution.save` does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pycolmap


def main(folder: str, target: Path) -> None:
    """Read a model and write what is in it."""
    model = pycolmap.Reconstruction(folder)
    images = [image for image in model.images.values() if image.has_pose]
    index_of = {image.image_id: index for index, image in enumerate(images)}
    pictures = []
    for image in images:
        camera = model.cameras[image.camera_id]
        taken = [camera.model.name, camera.width, camera.height, camera.params.tolist()]
        pictures.append({"name": image.name, "camera": taken, "pose": image.cam_from_world().matrix().tolist()})
    points = list(model.points3D.values())
    views = [
        (row, index_of[e.image_id], *model.images[e.image_id].points2D[e.point2D_idx].xy)
        for row, point in enumerate(points)
        for e in point.track.elements
        if e.image_id in index_of
    ]
    positions = np.array([p.xyz for p in points]).reshape(-1, 3)
    colours = np.array([p.color for p in points], np.uint8).reshape(-1, 3)
    np.savez(target / "points.npz", positions=positions, colours=colours, views=np.array(views, float).reshape(-1, 4))
    (target / "model.json").write_text(json.dumps(pictures))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
