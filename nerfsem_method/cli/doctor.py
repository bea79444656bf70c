"""`nerfsem doctor` tells what is installed, what works with it, and the one command that adds what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from nerfsem_method import desk
from nerfsem_method.cli.manners import AsJson

TRAIN = "python -m pip install 'nerfsem[train]', or make install in a checkout"
VIEW = "python -m pip install 'nerfsem[view]'"
TRAINING = ("nerfstudio", "torch", "torchvision", "pycolmap", "opencv-python-headless", "av", "scipy", "scikit-image")
"""These packages are what making a bundle needs first of all."""
READING = ("numpy", "numba", "pillow", "ffmpeg-python", "imageio-ffmpeg", "tyro", "rich")
ALEXNET = "alexnet-owt-7be5be79.pth"


@dataclass(frozen=True)
class Finding:
    """A finding is one thing that works or does not: what it is, a few words about it, and the command that adds it."""

    name: str
    works: bool
    facts: str
    remedy: str = ""


@dataclass(frozen=True)
class Doctor:
    """Tell what is installed, which backends and segmenters work, what is missing and the command that adds it.

    Exit code 0 says that bundles can be read; more than that is a matter of what you want to do.

    Example: nerfsem doctor
    """

    json: AsJson = False

    def run(self) -> None:
        """Examine. Raises NerfsemError when not even reading works."""
        found = list(examine())
        if self.json:
            print(json.dumps([asdict(finding) for finding in found], indent=1))
        else:
            print("\n".join(_line(finding) for finding in found))
        if not found[0].works:
            from nerfsem_method.errors import NerfsemError

            raise NerfsemError(f"bundles cannot be read here; {found[0].remedy}")


def examine() -> Iterator[Finding]:
    """Yield all findings; the first one is whether bundles can be read. Nothing is downloaded or changed."""
    for look in (_reading, _viewing, _making, _processor, _graphics, _classical, _network, _perceptual, _commands, _ffmpeg):
        yield look()


def _reading() -> Finding:
    lacking = _lacking(READING)
    facts = f"Python {platform.python_version()}, numba {_version('numba')}, NumPy {_version('numpy')}"
    return Finding("read bundles", not lacking, _without(lacking) or facts, "python -m pip install nerfsem" if lacking else "")


def _viewing() -> Finding:
    version = _version("viser")
    return Finding("view in the browser", bool(version), f"viser {version}" if version else "no viser", "" if version else VIEW)


def _making() -> Finding:
    lacking = _lacking(TRAINING)
    facts = _without(lacking) or ", ".join(f"{name} {_version(name)}" for name in ("nerfstudio", "torch", "pycolmap"))
    return Finding("make bundles", not lacking, facts, TRAIN if lacking else "")


def _processor() -> Finding:
    cores = desk.cores()
    return Finding("backend on the CPU", bool(_version("numba")), f"compiled loops on {cores} cores")


def _graphics() -> Finding:
    name = "backend on a GPU"
    if not _version("torch"):
        return Finding(name, False, "no torch", TRAIN)
    import torch

    if not torch.cuda.is_available():
        return Finding(name, False, "torch finds no GPU; the CPU does all", "install NVIDIA's driver, if there is a GPU")
    kernels = "Triton's kernels" if importlib.util.find_spec("triton") else "plain torch, for there is no triton"
    return Finding(name, True, f"{torch.cuda.get_device_name()}, {kernels}")


def _classical() -> Finding:
    lacking = _lacking(("pycolmap", "opencv-python-headless", "scipy"))
    return Finding("segmenter classical", not lacking, _without(lacking) or "needs no weights", TRAIN if lacking else "")


def _network() -> Finding:
    name = "segmenters birefnet, rmbg"
    if _lacking(("torch", "transformers", "opencv-python-headless")):
        return Finding(name, False, "no torch or transformers", TRAIN)
    from nerfsem_method.capture.mattes.learned import PACKAGES, packages_folder

    folder = packages_folder()
    names = [pin.partition("==")[0] for pin in PACKAGES]
    lacking = [name for name in names if not list(folder.glob(f"{name.replace('-', '_')}-*"))]
    remedy = "python -m nerfsem_method.capture.mattes.learned"
    return Finding(name, not lacking, _without(lacking) or "weights are downloaded at the first use", remedy if lacking else "")


def _perceptual() -> Finding:
    if not _version("torch"):
        return Finding("LPIPS in evaluations", False, "no torch", TRAIN)
    import torch

    here = (Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET).is_file()
    fetch = "python -c \"import torchvision; torchvision.models.alexnet(weights='IMAGENET1K_V1')\""
    facts = "AlexNet's weights are here" if here else "no weights of AlexNet"
    return Finding("LPIPS in evaluations", here, facts, "" if here else fetch)


def _commands() -> Finding:
    methods = [entry.name for entry in importlib.metadata.entry_points(group="nerfstudio.method_configs")]
    ours = sorted(name for name in methods if name.startswith("nerfsem"))
    works = bool(ours) and shutil.which("ns-train") is not None
    facts = f"methods {', '.join(ours)}" if works else "ns-train is not on the path"
    return Finding("nerfstudio's commands", works, facts, "" if works else f"activate the environment, or {TRAIN}")


def _ffmpeg() -> Finding:
    found = shutil.which("ffmpeg")
    facts = f"{found}" if found else "no ffmpeg on the path; nerfsem's own commands bring one"
    return Finding("ffmpeg for ns-render", found is not None, facts, "" if found else "apt install ffmpeg, or its like")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _lacking(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if not _version(name)]


def _without(lacking: list[str]) -> str:
    return f"no {', '.join(lacking)}" if lacking else ""


def _line(finding: Finding) -> str:
    line = f"{'yes' if finding.works else 'no ':<4}{finding.name:<28}{finding.facts}"
    return line if finding.works or not finding.remedy else f"{line}\n{'':<32}to add it: {finding.remedy}"
