#!/usr/bin/env python3
"""Builds the release binary and becomes `streamgauge demo`, with the arguments that this script was given."""

import os
import subprocess
import sys
import time
from pathlib import Path

import nats_server

ROOT = Path(__file__).resolve().parent.parent


def build(target: Path) -> Path:
    """The release binary, built if need be; says how long a build from nothing took."""
    is_cold = not (target / "release" / "deps").is_dir()
    if is_cold:
        nats_server.say("streamgauge: building for the first time, which takes some minutes")
    started = time.monotonic()
    built = subprocess.run(["cargo", "build", "--release", "--locked", "--bin", "streamgauge"], cwd=ROOT)
    if built.returncode != 0:
        sys.exit(built.returncode)
    if is_cold:
        nats_server.say(f"streamgauge: built from nothing in {time.monotonic() - started:.0f} s on {os.cpu_count()} cores")
    return target / "release" / "streamgauge"


def main(arguments) -> None:
    server = nats_server.or_exit(ROOT / ".tools")
    try:
        binary = build(ROOT / os.environ.get("CARGO_TARGET_DIR", "target"))
    except FileNotFoundError:
        sys.exit("cargo: not found; install Rust (https://rustup.rs)")
    except KeyboardInterrupt:
        sys.exit(130)
    environment = {**os.environ, nats_server.VARIABLE: str(server)}
    # Becoming the demo leaves no process between it and make, so one Ctrl-C reaches the demo once.
    os.execve(binary, [str(binary), "demo", *arguments], environment)


if __name__ == "__main__":
    main(sys.argv[1:])
