#!/usr/bin/env python3
"""Installs what only some tests need. What is already there is left alone; nothing that is installed is started."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {"promtool": "prometheus"}
"""The program that a test runs, and the Debian package that brings it."""

POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian's packages ask this program whether they may start their services; 101 says no."""


def main() -> None:
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
