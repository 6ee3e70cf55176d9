"""llama.cpp: its CPU build from the package node-llama-cpp, and files of random weights for it."""

import os
import platform
import shutil
from pathlib import Path

from gguf_model import write_gguf
from processes import BUILD, PeersError, json_of, output_of
from shapes import Shape

VERSION = "3.22.1"  # of the packages
FOLDER = BUILD / f"llama-{VERSION}"
PROGRAM = FOLDER / "llama_times"
SOURCE = Path(__file__).with_name("llama_times.cpp")


def fetch() -> Path:
    """Fetches the libraries and the headers once. Returns the folder of the libraries."""
    system = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}.get(platform.machine())
    if not system:
        raise PeersError(f"no package of llama.cpp for {platform.machine()}")
    libraries = FOLDER / "libraries/package/bins" / system
    if libraries.exists():
        return libraries
    unfinished = FOLDER.with_name(FOLDER.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    packages = {"sources": "node-llama-cpp", "libraries": f"@node-llama-cpp/{system}"}
    for name, package in packages.items():
        folder = unfinished / name
        folder.mkdir(parents=True)
        output_of(["npm", "pack", "--silent", "--pack-destination", folder, f"{package}@{VERSION}"])
        for archive in folder.glob("*.tgz"):
            output_of(["tar", "-xzf", archive, "-C", folder])
            archive.unlink()
    # The package carries the repository that its libraries are built from.
    repository = unfinished / "repository"
    bundle = unfinished / "sources/package/llama/gitRelease.bundle"
    output_of(["git", "clone", "--quiet", "--no-checkout", bundle, repository])
    output_of(["git", "-C", repository, "checkout", "--quiet", "HEAD", "--", "include",
               "ggml/include"])
    shutil.rmtree(unfinished / "sources")
    os.replace(unfinished, FOLDER)
    return libraries


def build() -> Path:
    """Builds the program that measures. Returns the folder of the libraries."""
    libraries = fetch()
    if PROGRAM.exists() and PROGRAM.stat().st_mtime >= SOURCE.stat().st_mtime:
        return libraries
    includes = [f"-I{FOLDER / 'repository' / name}" for name in ("include", "ggml/include")]
    names = [path.name for pattern in ("libllama.*", "libggml.*", "libggml-base.*")
             for path in libraries.glob(pattern)]
    output_of(["g++", "-std=c++20", "-O2", *includes, SOURCE, "-o", PROGRAM, f"-L{libraries}",
               *[f"-l:{name}" for name in names], f"-Wl,-rpath,{libraries}"])
    return libraries


def model_file(preset: str, shape: Shape, kind: str) -> Path:
    """The file with random weights of this shape, written when it does not exist yet."""
    path = BUILD / "models" / f"{preset}-{kind}.gguf"
    if not path.exists():
        need = int(shape.parameters * 0.6)
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if free < need:
            raise PeersError(f"{path.parent}: expected {need} free bytes, got {free}")
        write_gguf(path, shape, kind)
    return path


def measure(model: Path, threads: int, prompt: int, decode: int, depths: list[int],
            warmup: int) -> dict:
    libraries = build()
    depth_flags = [word for depth in depths for word in ("--depth", depth)]
    return json_of([
        PROGRAM, "--libraries", libraries, "--model", model, "--states", model.with_suffix(""),
        "--threads", threads, "--prompt", prompt, "--decode", decode, *depth_flags,
        "--warmup", warmup, "--iterations", 2])
