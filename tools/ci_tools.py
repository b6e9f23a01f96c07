#!/usr/bin/env python3
"""Installs what only some tests need. What is already there is left alone; nothing that is installed is started."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import nats_server

PACKAGES = {"promtool": "prometheus", "chromium": "chromium", "node": "nodejs", "npm": "npm"}
"""The program that a test runs, and the Debian package that brings it."""

POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian's packages ask this program whether they may start their services; 101 says no."""


CLIENT = ("nats-py", "2.16.0", "aeb1ff123966c05833d26c7df7e1d54c1c6d32b612428b21677a2e921f1fecae")
"""The client that some workers in tests are written with: its package, version and hash."""

TOOLS = Path(__file__).resolve().parent.parent / ".tools"

CLIENT_FOLDER = TOOLS / "nats-py"

SDK = Path(__file__).resolve().parent / "opentelemetry.txt"
"""What a service in Python makes traces with, and all that it needs: versions and hashes as pip reads them. All of it is Python alone."""

SDK_FOLDER = TOOLS / "opentelemetry-python"

MODULES = {
    "playwright-core": ("1.60.0", "sha512-9bW6zvX/m0lEbgTKJ6YppOKx8H3VOPBMOCFh2irXFOT4BbHgrx5hPjwJYLT40Lu+4qtD36qKc/Hn56StUW57IA=="),
    "axe-core": ("4.14.1", "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="),
}
"""What drives the browser in tests and what judges its pages: the version of each package, and its hash as npm writes it.
This driver is the newest for Node.js 18, which Debian 12 has."""

MODULES_FOLDER = TOOLS / "node_modules"

JAEGER = ("github.com/jaegertracing/jaeger", "v1.49.0", "h1:3XI8ZOK6oncyoAxCiKakC9sRaeDTdDwmxmaSN+KQBo8=")
"""What traces go on to in a test: the module, its version, and its hash as go.sum writes it. Later versions bring clients of
Elasticsearch that take many times as long to compile."""

JAEGER_FOLDER = TOOLS / "jaeger"

BUILD_MOST = 1200
"""Seconds that Go may take to fetch and to compile it."""


def main() -> None:
    programs()
    client()
    sdk()
    for package, (version, digest) in MODULES.items():
        module(package, version, digest)
    jaeger()


def programs() -> None:
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


def sdk() -> None:
    """Lets pip unpack the SDK into a folder of its own, in one step; pip refuses what has another hash than listed."""
    listed = SDK_FOLDER / SDK.name
    if listed.is_file() and listed.read_text() == SDK.read_text():
        print("opentelemetry-sdk: present")
        return
    SDK_FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SDK_FOLDER.parent, prefix="fetch-") as work:
        try:
            python = nats_server.python_with_pip(Path(work))
        except nats_server.Missing as missing:
            sys.exit(f"opentelemetry-sdk: {missing}")
        command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        answer = subprocess.run(
            [*command, "--target", Path(work) / "unpacked", "--requirement", SDK], capture_output=True, text=True
        )
        if answer.returncode != 0:
            sys.exit(f"opentelemetry-sdk: pip could not fetch it\n{answer.stderr.strip()}")
        shutil.copy(SDK, Path(work) / "unpacked")
        shutil.rmtree(SDK_FOLDER, ignore_errors=True)
        os.replace(Path(work) / "unpacked", SDK_FOLDER)


def module(package: str, version: str, digest: str) -> None:
    """Unpacks a package of npm's into the folder of modules, in one step; it needs no other, and none of its scripts are run."""
    folder = MODULES_FOLDER / package
    about = folder / "package.json"
    if about.is_file() and json.loads(about.read_text())["version"] == version:
        print(f"{package}: present")
        return
    MODULES_FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS, prefix="fetch-") as work:
        with tarfile.open(packed(Path(work), package, version, digest)) as archive:
            archive.extractall(Path(work) / "unpacked")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(Path(work) / "unpacked" / "package", folder)


def packed(work: Path, package: str, version: str, digest: str) -> Path:
    """Lets npm fetch a package through the user's own configuration, and refuses one whose hash is another."""
    command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", work, f"{package}@{version}"]
    answer = subprocess.run(command, capture_output=True, text=True)
    files = list(work.glob("*.tgz"))
    if answer.returncode != 0 or len(files) != 1:
        sys.exit(f"{package}: npm could not fetch version {version}\n{answer.stderr.strip()}")
    found = "sha512-" + base64.b64encode(hashlib.sha512(files[0].read_bytes()).digest()).decode()
    if found != digest:
        sys.exit(f"{package}: what npm fetched as version {version} has the hash {found}, and not the one that is listed")
    return files[0]


def jaeger() -> None:
    """Lets Go build it into a folder of its own, in one step. Where that cannot be done the folder says why, for the test that is skipped then."""
    program, made_of, absent = (JAEGER_FOLDER / name for name in ("all-in-one", "version", "absent"))
    if program.is_file() and made_of.read_text() == JAEGER[1]:
        print("jaeger: present")
        return
    JAEGER_FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=JAEGER_FOLDER.parent, prefix="fetch-") as work:
        unpacked = Path(work) / "built"
        unpacked.mkdir()
        try:
            build(unpacked / program.name)
            (unpacked / made_of.name).write_text(JAEGER[1])
        except nats_server.Missing as missing:
            print(f"jaeger: {missing}; the test that needs it is skipped")
            (unpacked / absent.name).write_text(str(missing))
        shutil.rmtree(JAEGER_FOLDER, ignore_errors=True)
        os.replace(unpacked, JAEGER_FOLDER)


def build(program: Path) -> None:
    """Compiles Jaeger with the dependencies that its own go.sum lists; its pages are left out, as they are where nobody has built them."""
    package, version, digest = JAEGER
    if not shutil.which("go"):
        raise nats_server.Missing("there is no Go to build it with")
    fetched = json.loads(go("mod", "download", "-json", f"{package}@{version}"))
    if fetched["Sum"] != digest:
        raise nats_server.Missing(f"what Go fetched as {version} has the hash {fetched['Sum']}, and not the one that is listed")
    go("build", "-trimpath", "-ldflags=-s -w", "-o", program, "./cmd/all-in-one", folder=fetched["Dir"])


def go(*arguments, folder=None) -> str:
    """What Go answers, run away from any module of others and by the user's own configuration."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    try:
        answer = subprocess.run(
            ["go", *arguments], cwd=folder or TOOLS, env=environment, capture_output=True, text=True, timeout=BUILD_MOST
        )
    except subprocess.TimeoutExpired:
        raise nats_server.Missing(f"`go {arguments[0]}` did not end within {BUILD_MOST} s") from None
    if answer.returncode != 0:
        # What it has to say it may say as JSON, which ends in brackets.
        said = [line.strip() for line in (answer.stdout + answer.stderr).splitlines() if line.strip("{} \t")]
        raise nats_server.Missing(f"`go {arguments[0]}` failed and says: {said[-1] if said else 'nothing'}")
    return answer.stdout


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
