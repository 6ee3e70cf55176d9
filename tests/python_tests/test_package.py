"""The package as it is installed: its files, its versions, and the program in it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import bit_axon
import pytest
from bit_axon._program import program_path
from conftest import ROOT

SCRIPT = Path(sys.executable).parent / "bit-axon"
COMMANDS = [[str(SCRIPT)], [sys.executable, "-m", "bit_axon"]]
RUN = ["run", "--device", "cpu", "--quiet", "--temperature", "0", "--max-tokens", "8", "ROMEO:"]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )


def test_there_is_one_version() -> None:
    project = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    cmake = re.search(r"project\(bit-axon VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())
    assert project is not None
    assert cmake is not None
    installed = importlib.metadata.version("bit-axon")
    built = bit_axon.build_info()["version"]
    assert {project[1], cmake[1], installed, built} == {bit_axon.__version__}


def test_type_checkers_see_the_types() -> None:
    folder = Path(bit_axon.__file__).parent
    assert (folder / "py.typed").is_file()
    assert (folder / "_engine.pyi").is_file()


def test_the_import_loads_no_other_package() -> None:
    code = "import sys, bit_axon; print(sorted(n for n in ('numpy', 'bit_axon._engine') if n in sys.modules))"
    assert run(sys.executable, "-c", code).stdout == "[]\n"


@pytest.mark.parametrize("command", COMMANDS, ids=["script", "module"])
def test_the_command_is_the_program(command: list[str]) -> None:
    program = run(str(program_path()), *RUN)
    assert program.returncode == 0, program.stderr
    assert run(*command, *RUN).stdout == program.stdout
    assert run(*command, "--version").stdout == run(str(program_path()), "--version").stdout


@pytest.mark.parametrize("command", COMMANDS, ids=["script", "module"])
def test_exit_statuses_pass_through(command: list[str]) -> None:
    assert run(*command, "run", "--no-such-flag").returncode == 2
    assert run(*command, "inspect", "/nowhere").returncode == 1


@pytest.mark.parametrize("command", COMMANDS, ids=["script", "module"])
def test_signals_reach_the_program(command: list[str]) -> None:
    endless = [*command, "run", "--device", "cpu", "--ignore-eos", "--max-tokens", "9999999", "x"]
    with subprocess.Popen(endless, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 130


def test_the_extension_finds_the_bundled_model() -> None:
    with bit_axon.load("", device="cpu") as model:
        assert model.info["family"] == "bit_axon"


def test_a_missing_program_is_one_line(tmp_path: Path) -> None:
    copy = tmp_path / "bit_axon"
    copy.mkdir()
    for name in ("__init__.py", "__main__.py", "_lazy.py", "_program.py"):
        (copy / name).write_bytes((Path(bit_axon.__file__).parent / name).read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "bit_axon", "--version"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.fullmatch(
        r"bit-axon: cannot run .*/bin/bit-axon: No such file or directory\n", done.stderr
    )
