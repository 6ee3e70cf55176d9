"""wheel_test.py WHEEL PROGRAM SOURCE: checks a wheel, and tests it in fresh virtual environments.

PROGRAM is the bit-axon of the same build, which must give the same text. SOURCE is the source folder,
whose path the wheel must not contain. The Python that runs this script tests the wheel.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

OLDER = "0.0.9"  # the version of a copy of the wheel, which is installed beside it
RUN = ["run", "--device", "cpu", "--quiet", "--temperature", "0", "--max-tokens", "12", "ROMEO:"]
CHAT = ["chat", "--device", "cpu", "--quiet", "--temperature", "0", "Hello"]
GENERATE = """
import bit_axon, json, pathlib
from bit_axon.inference import generate
from bit_axon.tokenizer import QwenTokenizerWrapper
folder = pathlib.Path(bit_axon.__file__).parent / "share/bit-axon/models/tiny-shakespeare"
tokenizer = QwenTokenizerWrapper(folder)
# "" is the bundled model.
for path in (folder, ""):
    model = bit_axon.load(path, device="cpu")
    print(json.dumps(generate(model, tokenizer, "ROMEO:", temperature=0, max_tokens=12).token_ids))
"""
DRIVERS = """
import bit_axon
print([device.selector for device in bit_axon.devices()])
"""


def fail(message: str) -> None:
    sys.exit(f"wheel_test: {message}")


def run(*command: str | Path, env: dict[str, str] | None = None, status: int = 0) -> str:
    """What a command writes. It must end with `status`."""
    done = subprocess.run(
        [os.fspath(part) for part in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=env,
        cwd="/",
        check=False,
    )
    if done.returncode != status:
        fail(f"{command}: status {done.returncode}, expected {status}\n{done.stdout}{done.stderr}")
    return done.stdout


def expected_files(source: Path, extension: str) -> set[str]:
    """The files of bit_axon/ in the wheel."""
    package = source / "python" / "bit_axon"
    files = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.suffix in (".py", ".pyi") or path.name == "py.typed"
    }
    models = source / "models"
    files |= {
        f"share/bit-axon/models/{path.relative_to(models).as_posix()}"
        for folder in ("tiny-shakespeare", "tiny-chat", "texts")
        for path in (models / folder).iterdir()
        if path.name not in ("make.sh", "chat.jsonl")
    }
    return files | {extension, "bin/bit-axon", "libexec/bit-axon-probe"}


def check_files(names: list[str], wheel: Path, source: Path) -> None:
    stable = "-abi3-" in wheel.name
    suffix = "abi3" if stable else "cpython-{}{}-x86_64-linux-gnu".format(*sys.version_info)
    found = {name.removeprefix("bit_axon/") for name in names if name.startswith("bit_axon/")}
    expected = expected_files(source, f"_engine.{suffix}.so")
    if found != expected:
        fail(f"missing: {sorted(expected - found)}; not expected: {sorted(found - expected)}")
    information = [name for name in names if ".dist-info/" in name]
    for part in ("METADATA", "RECORD", "entry_points.txt", "licenses/LICENSE"):
        if not any(name.endswith(f".dist-info/{part}") for name in information):
            fail(f"{part} is missing")
    libraries = [name for name in names if name.startswith("bit_axon.libs/")]
    if len(found) + len(information) + len(libraries) != len(names):
        fail(f"there are other files: {names}")
    if "manylinux" not in wheel.name:
        return
    # The system's own: the loader of the GPU's drivers, what opens connections, and the libraries of
    # the compiler, which those drivers share with this process.
    for name in ("libvulkan", "libcurl", "libcrypto", "libssl", "libstdc++", "libgcc_s", "libc."):
        if any(Path(library).name.startswith(name) for library in libraries):
            fail(f"the wheel has {name}, which must be the system's: {libraries}")
    for name in ("libfmt", "libpcre2-8", "libutf8proc", "libxxhash", "libhwy", "libsentencepiece"):
        if not any(Path(library).name.startswith(name) for library in libraries):
            fail(f"{name} is not in the wheel: {libraries}")
    if not any("/licenses/libraries/libfmt" in name for name in information):
        fail("the licenses of the libraries are missing")


def check_binary(path: Path, source: Path) -> None:
    """A program or library has no symbols for debuggers and no path of the build."""
    sections = run("readelf", "--section-headers", "--wide", path)
    if ".symtab" in sections or ".debug_info" in sections:
        fail(f"{path.name} is not stripped")
    if re.search(rb"(?<![\w./])" + re.escape(os.fsencode(source)) + rb"/", path.read_bytes()):
        fail(f"{path.name} contains the path of the sources")
    dynamic = run("readelf", "--dynamic", path)
    for places in re.findall(r"Library (?:rpath|runpath): \[(.*)\]", dynamic):
        if any(not place.startswith("$ORIGIN") for place in places.split(":")):
            fail(f"{path.name} searches for libraries in {places}")
    if path.name.startswith("_engine"):
        names = re.findall(r" T (\S+)", run("nm", "--dynamic", "--defined-only", path))
        if names != ["PyInit__engine"]:
            fail(f"the extension exports {names}")


def files_below(folder: Path) -> set[str]:
    """All files but those that pip itself changes while it works."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


class Environment:
    """A fresh virtual environment with the wheel."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder, with_pip=True)
        self.folder, self.bin = folder, folder / "bin"
        self.pip = (self.bin / "python", "-m", "pip", "--disable-pip-version-check", "-q")
        run(*self.pip, "install", "numpy")
        self.before = files_below(folder)
        run(*self.pip, "install", "--no-deps", wheel)
        run(*self.pip, "check")

    def python(self, code: str) -> str:
        return run(self.bin / "python", "-I", "-c", code)


def older_copy(wheel: Path, folder: Path) -> Path:
    """The same wheel with an older version in its metadata."""
    version = wheel.name.split("-")[1]
    copy = folder / wheel.name.replace(f"-{version}-", f"-{OLDER}-")
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(copy, "w") as target:
        for item in source.infolist():
            data = source.read(item)
            name = item.filename.replace(f"bit_axon-{version}.", f"bit_axon-{OLDER}.")
            if name.endswith(".dist-info/METADATA"):
                data = data.replace(
                    f"\nVersion: {version}\n".encode(), f"\nVersion: {OLDER}\n".encode()
                )
            elif name.endswith(".dist-info/RECORD"):
                # Without hashes, pip installs changed files.
                lines = [line.split(",")[0] for line in data.decode().splitlines()]
                data = "".join(f"{line.replace(version, OLDER)},,\n" for line in lines).encode()
            item.filename = name
            target.writestr(item, data)
    return copy


def check_program(environment: Environment, program: Path) -> None:
    """The console script and `python -m bit_axon` are the program."""
    script, module = environment.bin / "bit-axon", (environment.bin / "python", "-m", "bit_axon")
    expected = run(program, *RUN)
    for command in ((script,), module):
        if run(*command, *RUN) != expected:
            fail(f"{command} gives another text than {program}")
        if "tiny-chat" not in run(*command, *CHAT):
            fail(f"{command} chats with another model than tiny-chat")
        run(*command, "run", "--no-such-flag", status=2)
        run(*command, "inspect", "/nowhere", status=1)
    with subprocess.Popen(
        [script, "run", "--ignore-eos", "--max-tokens", "9999999", "x"],
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        assert running.stdout is not None
        running.stdout.read(1)
        running.send_signal(signal.SIGINT)
        running.stdout.read()
    if running.returncode != 130:
        fail(f"an interrupted program ended with {running.returncode}, expected 130")


def check_engine(environment: Environment, program: Path) -> None:
    """The extension computes what the program computes, and finds the same drivers."""
    printed = run(program, *RUN, "--json")
    ids = json.loads(printed)["token_ids"]
    generated = environment.python(GENERATE)
    if generated != f"{ids}\n{ids}\n":
        fail(f"the extension generated {generated}, the program {ids}")
    devices = environment.python(DRIVERS)
    listed = [device["selector"] for device in json.loads(run(program, "devices", "--json"))]
    if devices != f"{listed}\n":
        fail(f"the extension finds the devices {devices}, the program {listed}")


def main() -> None:
    wheel, program, source = (Path(argument).resolve() for argument in sys.argv[1:])
    scratch = Path(tempfile.mkdtemp(prefix="wheel_test."))
    os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")
    os.environ["HF_HOME"] = str(scratch / "hub")
    try:
        with zipfile.ZipFile(wheel) as archive:
            check_files([i.filename for i in archive.infolist() if not i.is_dir()], wheel, source)
        environment = Environment(scratch / "one", wheel)
        for path in environment.folder.rglob("*bit_axon*/**/*"):
            if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
                check_binary(path, source)
        check_program(environment, program)
        check_engine(environment, program)

        other = Environment(scratch / "other", older_copy(wheel, scratch))
        version = "import importlib.metadata as m; print(m.version('bit-axon'))"
        versions = [e.python(version).strip() for e in (environment, other)]
        if versions != [wheel.name.split("-")[1], OLDER]:
            fail(f"two environments have the versions {versions}")
        check_program(other, program)

        run(*environment.pip, "uninstall", "--yes", "bit-axon")
        left = files_below(environment.folder) - environment.before
        if left:
            fail(f"after the removal, these files are left: {sorted(left)}")
    finally:
        shutil.rmtree(scratch)
    print(
        f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MiB, tested with Python "
        "{}.{}.{}".format(*sys.version_info)
    )


if __name__ == "__main__":
    main()
