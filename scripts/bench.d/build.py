"""Builds the programs once, and sets up what is compared with them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from programs import ROOT, BenchError

REQUIREMENTS = ROOT / "scripts" / "bench.d" / "requirements.txt"


def cargo(profile: str, what: list[str]) -> dict[str, Path]:
    """Builds, and says where the programs are."""
    argv = ["cargo", "build", "--locked", "--profile", profile, "--message-format", "json-render-diagnostics", *what]
    done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise BenchError(f"`{' '.join(argv)}` failed")
    found: dict[str, Path] = {}
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable"):
            found[message["target"]["name"]] = Path(message["executable"])
    return found


def programs(profile: str) -> dict[str, Path]:
    """`compare`, `consumer` and `producer`."""
    found = cargo(profile, ["--bench", "compare"])
    if profile == "release":
        # Beside a benchmark, cargo builds the programs with the tests' features; these are as users have them.
        found.update(cargo(profile, ["--bins"]))
    for name in ("compare", "consumer", "producer"):
        if name not in found:
            raise BenchError(f"cargo built no {name}")
    return found


def target_dir() -> Path:
    argv = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"]
    told = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return Path(json.loads(told.stdout)["target_directory"])


def virtual_environment() -> Path:
    """An interpreter that has the Python peers in the versions that are asked for; made anew when these change."""
    place = target_dir() / "bench-venv"
    python, mark = place / "bin" / "python", place / "complete"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return python
    shutil.rmtree(place, ignore_errors=True)
    for argv in (
        [sys.executable, "-m", "venv", str(place)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)],
    ):
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        if done.returncode != 0:
            raise BenchError(f"`{' '.join(argv)}` failed")
    mark.write_text(wanted)
    return python
