"""The machine and the versions that figures belong to."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import date
from pathlib import Path

from programs import ROOT


def told(*argv: str) -> str:
    """The first line that a program says; empty when there is none."""
    try:
        done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return next(iter(done.stdout.strip().splitlines()), "")


def field(path: str, pattern: str) -> str:
    try:
        found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found.group(1).strip() if found else ""


def memory_gb() -> str:
    kib = field("/proc/meminfo", r"^MemTotal:\s+(\d+) kB")
    return f"{int(kib) * 1024 / 1e9:.0f} GB" if kib else "memory unknown"


def description(requirements: Path) -> list[str]:
    """The machine, the versions, the date: a line each."""
    cpu = field("/proc/cpuinfo", r"^model name\s*:\s*(.*)$") or platform.machine()
    system = field("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)') or platform.system()
    server = re.search(r"v=(\S+)", told("redis-server", "--version"))
    crate = field(str(ROOT / "Cargo.lock"), r'^name = "redis"\nversion = "([^"]*)"')
    peers = [line for line in requirements.read_text().splitlines() if "==" in line]
    peers = [line.replace("==", " ") for line in peers if not line.startswith(("PyQt6-", "numpy"))]
    return [
        f"- {date.today().isoformat()}, commit {told('git', 'rev-parse', '--short', 'HEAD') or 'unknown'}",
        f"- {cpu}, {os.cpu_count()} cores, {memory_gb()}, {system}, Linux {platform.release()}",
        f"- redis-server {server.group(1) if server else 'unknown'}, {told('rustc', '--version')}, redis-rs {crate}",
        f"- Python {platform.python_version()}: {', '.join(peers)}",
    ]
