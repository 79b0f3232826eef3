"""The runtime alone: Python 3.8 and numpy, nothing of the rest of the project."""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import trainers.edge
from tests.trainers.edge.bundles import make_bundle, observation
from trainers.export.edge_app import MAIN, write_edge_app
from trainers.export.edge_app import NAME as APP

SOURCES = sorted(Path(next(iter(trainers.edge.__path__))).glob("*.py"))
OPTIONAL = {"onnxruntime", "zmq"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_file_is_python_3_8_and_imports_numpy_only(source: Path) -> None:
    tree = ast.parse(source.read_text(), feature_version=(3, 8))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom) and not node.level}
    packages = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert packages <= {"numpy"} | OPTIONAL
    at_the_top = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert not at_the_top & OPTIONAL


def test_importing_the_runtime_imports_nothing_else() -> None:
    code = (
        "import sys, trainers.edge.cli, trainers.edge.server; print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split()) - set(sys.stdlib_module_names)
    assert not loaded & {"torch", "gymnasium", "mujoco", "onnxruntime", "onnx", "pydantic", "yaml", "typer", "rich"}


def test_the_same_runtime_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_edge_app(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with zipfile.ZipFile(tmp_path / "a") as archive:
        assert {name.rpartition("/")[2] for name in archive.namelist()} == {path.name for path in SOURCES}


def test_the_app_runs_and_can_be_imported_where_there_is_numpy_alone(tmp_path: Path) -> None:
    """In an isolated Python whose only package is a link to numpy."""
    folder = make_bundle(tmp_path, formats=("numpy",)).folder
    packages = tmp_path / "packages"
    packages.mkdir()
    for path in Path(sysconfig.get_paths()["platlib"]).glob("numpy*"):
        (packages / path.name).symlink_to(path)
    env = {**os.environ, "PYTHONPATH": str(packages)}
    python = [sys.executable, "-S", "-s"]
    check = subprocess.run(
        [*python, str(folder / APP), "check", "."],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert check.returncode == 0, check.stderr
    code = (
        f"import sys; sys.path.insert(0, {APP!r}); from robotrl_edge import ActorRunner; "
        f"print(ActorRunner('.').act({observation().tolist()}).tolist())"
    )
    done = subprocess.run(
        [*python, "-c", code], env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(ast.literal_eval(done.stdout)) == 6


def test_the_app_says_what_it_misses(tmp_path: Path) -> None:
    write_edge_app(tmp_path / APP)
    bare = [sys.executable, "-S", "-s", "-E", str(tmp_path / APP), "--help"]
    done = subprocess.run(bare, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "error: robotrl-edge needs numpy" in done.stderr


def test_the_app_refuses_a_python_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 6, 9))
    with pytest.raises(SystemExit, match=r"error: robotrl-edge needs Python 3\.8 or newer, this is 3\."):
        exec(MAIN, {})
    ast.parse(MAIN, feature_version=(3, 4))


def test_the_app_runs_on_an_old_python(tmp_path: Path) -> None:
    """Where ROBOTRL_OLD_PYTHON names one from 3.8 on that has numpy."""
    python = os.environ.get("ROBOTRL_OLD_PYTHON")
    if not python:
        pytest.skip("ROBOTRL_OLD_PYTHON names no Python 3.8 with numpy")
    folder = make_bundle(tmp_path, formats=("numpy",)).folder
    done = subprocess.run(
        [python, str(folder / APP), "check", str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_scripts_shell_is_sound(tmp_path: Path) -> None:
    script = make_bundle(tmp_path, formats=("onnx",)).folder / "build_engine.sh"
    for shell in ("sh", "bash"):
        if shutil.which(shell):
            subprocess.run([shell, "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(script)], check=True)
