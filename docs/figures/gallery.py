"""Run the examples and keep their pictures here, small: ``python docs/figures/gallery.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parent
EXAMPLES = FOLDER.parents[1] / "examples"
NAMES = ("demo", "deblur", "inpaint", "mri", "demosaic", "phase_retrieval", "learned_operator",
         "learn_kernel", "learn_unrolled", "learn_equilibrium")  # fmt: skip

LARGEST = 250_000
"""Bytes of a picture."""

SIZES = {"deblur": ("--size", "192"), "demosaic": ("--size", "128")}
"""Colours take much room."""


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        path = FOLDER / f"{name}.png"
        print(f"== {name}", flush=True)
        command = [sys.executable, EXAMPLES / f"{name}.py", "--out", path, *SIZES.get(name, ())]
        subprocess.run(command, check=True)
        with Image.open(path) as picture:
            whole = picture.convert("RGB")
        red, green, blue = whole.split()
        small = red if red == green == blue else whole
        small.save(path, optimize=True)
        while path.stat().st_size > LARGEST:
            small = small.resize((small.width * 9 // 10, small.height * 9 // 10), Image.Resampling.LANCZOS)
            small.save(path, optimize=True)


if __name__ == "__main__":
    main()
