"""Programs under measurement: started, watched from outside, ended; redis-server and Xvfb among them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]

# For what should take no time: a server that starts, a program that ends. Only a failure waits so long.
ANSWER_S = 30.0

# A look at a program every so often, to see when it has nothing left to do.
LOOK_S = 0.01

# A program that spent less than this share of a core for this long has nothing left to do.
IDLE_SHARE = 0.4
IDLE_S = 0.2

# What would change how the programs behave.
ENV_REMOVED = ("REDIS_URL", "RUST_LOG", "RUST_BACKTRACE", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY")


class BenchError(Exception):
    """Something could not be measured; the message says what and why."""


class Program:
    """A running child. Its output goes to files, so that no full pipe ever stops it."""

    def __init__(self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._stdout: IO[bytes] = tempfile.TemporaryFile()
        self._stderr: IO[bytes] = tempfile.TemporaryFile()
        surroundings = {key: value for key, value in os.environ.items() if key not in ENV_REMOVED}
        surroundings.update(env or {})
        try:
            self._child = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.PIPE,
                stdout=self._stdout,
                stderr=self._stderr,
                env=surroundings,
                cwd=ROOT,
            )
        except OSError as error:
            raise BenchError(f"{name} did not start: {error}") from error
        self.started_s = time.monotonic()
        self.cpu_s = 0.0

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        for stream in (self._child.stdin, self._stdout, self._stderr):
            if stream is not None:
                stream.close()

    @property
    def pid(self) -> int:
        return self._child.pid

    def is_running(self) -> bool:
        return self._child.poll() is None

    def cpu(self) -> float:
        """Seconds of CPU (user and system, all threads, dead ones too) until now, to the nanosecond."""
        # The clock of another process, as clock_getcpuclockid(3) makes it on Linux.
        try:
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError as error:
            raise BenchError(f"{self.name} ended under measurement{self.last_words()}") from error

    def peak_mb(self) -> float:
        """Most memory that lay in RAM at once, in MB of 10^6 bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise BenchError(f"{self.name} ended before its memory was read{self.last_words()}")

    def wait_idle(self, limit_s: float) -> float:
        """Waits until it has nothing left to do; the instant since when."""
        deadline = time.monotonic() + limit_s
        busy_at = time.monotonic()
        seen = self.cpu()
        while time.monotonic() < deadline:
            before = time.monotonic()
            time.sleep(LOOK_S)
            now = time.monotonic()
            if not self.is_running():
                raise BenchError(f"{self.name} ended under measurement{self.last_words()}")
            cpu = self.cpu()
            if cpu - seen > IDLE_SHARE * (now - before):
                busy_at = now
            seen = cpu
            if now - busy_at > IDLE_S:
                return busy_at
        raise BenchError(f"{self.name} is still busy after {limit_s:.0f} s")

    def finish(self, limit_s: float) -> str:
        """Waits for the end, which must be a good one; what it wrote on standard output."""
        try:
            # wait4 tells the time on the CPU, which is gone once somebody else has waited.
            deadline = time.monotonic() + limit_s
            while True:
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)
                if pid:
                    break
                if time.monotonic() > deadline:
                    raise BenchError(f"{self.name} still runs after {limit_s:.0f} s")
                time.sleep(0.002)
        except ChildProcessError as error:
            raise BenchError(f"{self.name} was lost: {error}") from error
        self._child.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_s = usage.ru_utime + usage.ru_stime
        if self._child.returncode != 0:
            raise BenchError(f"{self.name} ended with status {self._child.returncode}{self.last_words()}")
        self._stdout.seek(0)
        return self._stdout.read().decode(errors="replace")

    def stop(self, by_signal: bool) -> dict[str, Any]:
        """Ends it (SIGTERM, or the end of its standard input); the JSON object that it then prints."""
        if by_signal:
            self._child.send_signal(signal.SIGTERM)
        elif self._child.stdin is not None:
            self._child.stdin.close()
        return as_json(self.name, self.finish(ANSWER_S))

    def last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return f"; it said: {lines[-1]}" if lines else ""


def as_json(name: str, text: str) -> dict[str, Any]:
    """The object on the last line of a program's output."""
    lines = text.strip().splitlines()
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError) as error:
        raise BenchError(f"{name} printed no JSON object at its end") from error
    if not isinstance(found, dict):
        raise BenchError(f"{name} printed JSON that is no object")
    return found


def run(name: str, argv: Sequence[str | Path], limit_s: float, env: Mapping[str, str] | None = None) -> str:
    """Runs a program to its end; its standard output."""
    with Program(name, argv, env) as program:
        return program.finish(limit_s)


class Ports:
    """Hands out ports of 127.0.0.1 that nobody listens on."""

    def __init__(self, first: int) -> None:
        self._next = first

    def take(self) -> int:
        for _ in range(1_000):
            port = self._next
            self._next += 1
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
        raise BenchError("no port is free")


class Redis:
    """A redis-server of its own: on 127.0.0.1, without persistence, everything else as it comes."""

    def __init__(self, ports: Ports) -> None:
        self.port = ports.take()
        self._dir = tempfile.TemporaryDirectory()
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.program = Program("redis-server", ["redis-server", *options, "--dir", self._dir.name])
        self._socket: socket.socket | None = None
        self._reader: IO[bytes] | None = None

    def __enter__(self) -> Redis:
        deadline = time.monotonic() + ANSWER_S
        while self._socket is None:
            try:
                self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S)
            except OSError as error:
                if time.monotonic() > deadline or not self.program.is_running():
                    self.__exit__()
                    raise BenchError(f"redis-server does not listen{self.program.last_words()}") from error
                time.sleep(0.01)
        self._reader = self._socket.makefile("rb")
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._reader, self._socket):
            if end is not None:
                end.close()
        self.program.__exit__()
        self._dir.cleanup()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def ask(self, *words: str) -> Any:
        """One command, its answer."""
        assert self._socket is not None
        parts = [f"*{len(words)}\r\n".encode()]
        for word in words:
            data = word.encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self._socket.sendall(b"".join(parts))
        return self._answer()

    def _answer(self) -> Any:
        assert self._reader is not None
        line = self._reader.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:].decode()
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self._reader.read(length + 2)[:-2].decode()
        if kind == b"*":
            return [self._answer() for _ in range(int(rest))]
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        raise BenchError(f"redis-server answered: {line.decode(errors='replace')}")

    def info(self, section: str) -> dict[str, str]:
        lines = str(self.ask("INFO", section)).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def published(self) -> int:
        """Messages published since it started."""
        figures = self.info("commandstats").get("cmdstat_publish", "calls=0")
        return int(figures.split(",")[0].removeprefix("calls="))

    def subscribers(self, channel: str) -> int:
        return int(self.ask("PUBSUB", "NUMSUB", channel)[1])

    def subscriber_id(self) -> str:
        """Of the one subscriber; empty when there is none, other than before when it had to come back."""
        return self._subscriber().get("id", "")

    def _subscriber(self) -> dict[str, str]:
        listed = str(self.ask("CLIENT", "LIST", "TYPE", "pubsub")).splitlines()
        return dict(word.split("=", 1) for word in listed[0].split()) if listed else {}

    def wait_read(self, limit_s: float) -> None:
        """Waits until the one subscriber, if there is one, has read what it was sent. One that spends no time at all
        may have nothing to do, or may not have been let."""
        deadline = time.monotonic() + limit_s
        while True:
            known = self._subscriber()
            buffered = known and (known["obl"], known["oll"]) != ("0", "0")
            if not known or not (buffered or unread(int(known["addr"].rsplit(":", 1)[1]))):
                return
            if time.monotonic() > deadline:
                raise BenchError(f"the subscriber has not read everything after {limit_s:.0f} s")
            time.sleep(LOOK_S)

    def wait_subscribed(self, channel: str, program: Program) -> None:
        deadline = time.monotonic() + ANSWER_S
        while self.subscribers(channel) == 0:
            if time.monotonic() > deadline or not program.is_running():
                raise BenchError(f"{program.name} did not subscribe{program.last_words()}")
            time.sleep(0.01)


class Xvfb:
    """A display without a screen."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        options = ["-displayfd", str(writer), "-screen", "0", "1400x900x24", "-noreset", "-nolisten", "tcp"]
        try:
            self._child = subprocess.Popen(
                ["Xvfb", *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[writer],
            )
        except OSError as error:
            raise BenchError(f"Xvfb did not start: {error}") from error
        finally:
            os.close(writer)
        with os.fdopen(reader) as numbers:
            number = numbers.readline().strip()
        if not number:
            self._child.wait()
            raise BenchError("Xvfb ended without a display")
        self.env = {"DISPLAY": f":{number}"}

    def __enter__(self) -> Xvfb:
        return self

    def __exit__(self, *_: object) -> None:
        # A killed one would leave its socket and lock file behind.
        self._child.terminate()
        try:
            self._child.wait(ANSWER_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def unread(port: int) -> bool:
    """Whether bytes wait in the kernel for, or at, the local TCP socket of this port (proc(5), net/tcp)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        to_send, to_read = (int(queue, 16) for queue in queues.split(":"))
        ends = [int(address.rsplit(":", 1)[1], 16) for address in (local, remote)]
        if (ends[0] == port and to_read) or (ends[1] == port and to_send):
            return True
    return False
