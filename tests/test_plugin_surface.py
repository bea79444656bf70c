"""The points that ns-export gives of the vase lie on its true surface, as its true outlines in all frames tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tyro
from test_plugin_training import smoke
from true_scene import true_scene

from nerfsem_method.media.pictures import read_picture
from nerfsem_method.plugin.dataparser import world_scale
from nerfsem_method.plugin.training import train
from nerfsem_method.training.course import Course

TOLERANCE = 0.01
"""A point may be off by this share of the vase's height."""


@pytest.mark.slow
def test_points_are_within_a_hundredth_of_the_height_of_the_true_surface(tmp_path):
    """Where an outline is seen, the line of sight touches the surface: points must neither leave the outline nor fall short."""
    import trimesh
    from nerfstudio.scripts import exporter
    from scipy.ndimage import distance_transform_edt
    from scipy.spatial import KDTree

    scene, often = true_scene(tmp_path / "vase.nerfsem", every=5, width=135, height=240), Course()
    given = smoke(scene, tmp_path, max_num_iterations=300)
    course = given.pipeline.model.course
    given.pipeline.model.course = replace(course, align_at=often.align_at, agree_at=often.agree_at)
    config = train(given)
    args = ["pointcloud", "--num-points", "30000", "--output-dir", str(tmp_path / "out"), "--load-config", str(config)]
    tyro.cli(exporter.Commands, args=args).main()
    cloud = trimesh.load(tmp_path / "out/point_cloud.ply")
    assert isinstance(cloud, trimesh.PointCloud)
    points = np.asarray(cloud.vertices) / world_scale(scene) + 0.5
    height = np.ptp(points[:, 2])
    assert height == pytest.approx(0.627 / 0.68, rel=3 * TOLERANCE)  # metres of the vase, and of the cube around it
    outside, short = [], []
    for frame in scene.frames:
        matte = read_picture(scene.root / frame.matte, grey=True) > 127
        seen, depth = scene.camera.project(points, frame.cam_from_world)
        a_pixel = np.median(depth) / scene.camera.fx  # a pixel's width at the vase
        beyond = distance_transform_edt(~matte)
        assert isinstance(beyond, np.ndarray)
        column, row = (seen - 0.5).round().astype(int).T
        outside.append(beyond[row.clip(0, matte.shape[0] - 1), column.clip(0, matte.shape[1] - 1)] * a_pixel)
        inside = distance_transform_edt(matte)
        assert isinstance(inside, np.ndarray)
        edge = np.argwhere(inside == 1)[:, ::-1] + 0.5
        short.append(KDTree(seen).query(edge)[0] * a_pixel)
    assert np.quantile(np.max(outside, axis=0), 0.98) < TOLERANCE * height
    assert np.concatenate(short).mean() < TOLERANCE * height
