"""This program cuts the sample clip (vase.mp4, vase_mattes/, vase_cameras.json) from the full-size source folder.

Usage: python make_sample.py SOURCE_FOLDER   (relic.mp4, masks/, poses_truth.json)
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np

SIZE = (270, 480)
STRIDE = 2
CRF = 20
MATTE_LEVELS = 16  # a coarser alpha ramp halves the PNGs and is far below the edge's own uncertainty


def cut_video(source: Path, target: Path) -> None:
    """Write every STRIDE-th frame at SIZE, at half the frame rate, so that the clip lasts as long as its source."""
    picture = f"select=not(mod(n\\,{STRIDE})),scale={SIZE[0]}:{SIZE[1]}:flags=area,setpts=N/15/TB"
    coding = ["-c:v", "libx264", "-preset", "veryslow", "-crf", str(CRF), "-pix_fmt", "yuv420p", "-r", "15"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(source), "-vf", picture, *coding, "-an"]
    subprocess.run([*command, "-threads", "1", "-map_metadata", "-1", "-fflags", "+bitexact", str(target)], check=True)


def shrink_mattes(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for index, path in enumerate(sorted(source.glob("*.png"))[::STRIDE]):
        matte = cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), SIZE, interpolation=cv2.INTER_AREA)
        step = 255 / (MATTE_LEVELS - 1)
        coarse = np.round(np.round(matte / step) * step).astype(np.uint8)
        cv2.imwrite(str(target / f"{index:06d}.png"), coarse, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def convert_cameras(source: Path, target: Path) -> None:
    """Turn OpenGL's camera-to-world into OpenCV's cam_from_world; the intrinsics follow the frame size."""
    truth = json.loads(source.read_text())
    scale = SIZE[0] / truth["w"]
    poses = []
    for frame in truth["frames"][::STRIDE]:
        world_from_cam = np.asarray(frame["transform_matrix"]) @ np.diag([1.0, -1.0, -1.0, 1.0])
        poses.append(np.linalg.inv(world_from_cam)[:3].round(7).tolist())
    cameras = {
        "width": SIZE[0],
        "height": SIZE[1],
        **{name: truth[key] * scale for name, key in (("fx", "fl_x"), ("fy", "fl_y"), ("cx", "cx"), ("cy", "cy"))},
        "axes": "opencv",
        "units": "metres",
        "relic_center": [round(value, 4) for value in truth["relic_center"]],
        "cam_from_world": poses,
    }
    target.write_text(json.dumps(cameras) + "\n")


def main() -> None:
    source, here = Path(sys.argv[1]), Path(__file__).resolve().parent
    cut_video(source / "relic.mp4", here / "vase.mp4")
    shrink_mattes(source / "masks", here / "vase_mattes")
    convert_cameras(source / "poses_truth.json", here / "vase_cameras.json")


if __name__ == "__main__":
    main()
