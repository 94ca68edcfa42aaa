"""On a cluster our packages may be inside one zip file; the program of the child process is found there too."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DRAW = """
import sys
from pathlib import Path
import features.image.svg as svg
print(svg.__file__)
print(svg.rasterise(Path(sys.argv[1]), side=8, timeout_s=60).read(4) == b"\\x89PNG")
"""


def test_a_drawing_is_drawn_from_within_a_zip_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as packed:
        for package in ("features", "schemas"):
            for file in (ROOT / package).rglob("*"):
                if file.is_file() and file.suffix != ".pyc":
                    packed.write(file, file.relative_to(ROOT))
    drawing = tmp_path / "drawing.svg"
    drawing.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>'
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "code.zip")}
    command = [sys.executable, "-c", DRAW, str(drawing)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    module, drawn = done.stdout.split()
    assert "code.zip" in module and drawn == "True"
