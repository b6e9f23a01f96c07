#!/usr/bin/env python3
"""Runs every test with a nats-server at hand, and lists at the end which tests were skipped and why.

A test whose tool is absent writes a line to target/skipped.txt (tests/it/support/tool.rs); under CI=true it fails instead.
"""

import os
import subprocess
import sys
from pathlib import Path

import nats_server

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = ROOT / "target" / "skipped.txt"


def main(arguments) -> None:
    environment = {**os.environ, nats_server.VARIABLE: str(nats_server.or_exit(ROOT / ".tools"))}
    SKIPPED.unlink(missing_ok=True)
    try:
        code = subprocess.run(["cargo", "test", "--locked", *arguments], cwd=ROOT, env=environment).returncode
    except FileNotFoundError:
        sys.exit("cargo: not found; install Rust (https://rustup.rs)")
    except KeyboardInterrupt:
        sys.exit(130)
    skipped = sorted(set(SKIPPED.read_text().splitlines())) if SKIPPED.exists() else []
    if skipped:
        print(f"\nSkipped ({len(skipped)}); `make ci-tools` installs what they need:", *skipped, sep="\n  ")
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
