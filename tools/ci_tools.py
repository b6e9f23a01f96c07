#!/usr/bin/env python3
"""Installs what only some tests need. What is already there is left alone; nothing that is installed is started."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import nats_server

PACKAGES = {"promtool": "prometheus"}
"""The program that a test runs, and the Debian package that brings it."""

POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian's packages ask this program whether they may start their services; 101 says no."""


CLIENT = ("nats-py", "2.16.0", "aeb1ff123966c05833d26c7df7e1d54c1c6d32b612428b21677a2e921f1fecae")
"""The client that some workers in tests are written with: its package, version and hash."""

CLIENT_FOLDER = Path(__file__).resolve().parent.parent / ".tools" / "nats-py"


def main() -> None:
    client()
    missing = {tool: package for tool, package in PACKAGES.items() if not shutil.which(tool)}
    for tool in sorted(PACKAGES.keys() - missing.keys()):
        print(f"{tool}: present")
    if not missing:
        return
    packages = sorted(set(missing.values()))
    if not shutil.which("apt-get") or os.geteuid() != 0:
        tools = ", ".join(sorted(missing))
        sys.exit(f"missing: {tools}. With Debian or Ubuntu run `sudo make ci-tools`; elsewhere install {', '.join(packages)} by hand")
    install(packages)
    absent = [tool for tool in missing if not shutil.which(tool)]
    if absent:
        sys.exit(f"{', '.join(packages)} is installed, but brought no {', '.join(absent)}")


def client() -> None:
    """Unpacks the client into a folder of its own, in one step; it is Python alone and needs nothing else."""
    package, version, digest = CLIENT
    if (CLIENT_FOLDER / f"nats_py-{version}.dist-info").is_dir():
        print(f"{package}: present")
        return
    CLIENT_FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CLIENT_FOLDER.parent, prefix="fetch-") as work:
        try:
            fetched = nats_server.wheel(Path(work), package, version, [digest])
        except nats_server.Missing as missing:
            sys.exit(f"{package}: {missing}")
        with zipfile.ZipFile(fetched) as archive:
            archive.extractall(Path(work) / "unpacked")
        shutil.rmtree(CLIENT_FOLDER, ignore_errors=True)
        os.replace(Path(work) / "unpacked", CLIENT_FOLDER)


def install(packages) -> None:
    """Installs by the package lists at hand, and by fresh ones only if those are absent or outdated."""
    is_ours = not POLICY.exists()
    if is_ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        if not apt("install", "--no-install-recommends", *packages):
            if not apt("update") or not apt("install", "--no-install-recommends", *packages):
                sys.exit(f"apt-get could not install {', '.join(packages)}; its own words are above")
    finally:
        if is_ours:
            POLICY.unlink()


def apt(*arguments) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(["apt-get", "--yes", "-q", *arguments], env=environment).returncode == 0


if __name__ == "__main__":
    main()
