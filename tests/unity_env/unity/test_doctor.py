"""robotrl unity doctor: finds the Editor, says what is missing, builds, verifies."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.helpers import assert_refused, cli
from unity_env.sim.role import roles_of
from unity_env.unity import PROJECT
from unity_env.unity.editor import hub_folder, installed_editors
from unity_env.unity.project import editor_version

MEND = "run: robotrl unity describe {project}"
WANTED = editor_version(PROJECT)
PLAYER = """import sys
from unity_env.sim.player import main
task = sys.argv[sys.argv.index("--task") + 1]
sys.exit(main([task, *sys.argv[1:]]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT, tmp_path / "unity_project"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of a Hub that has installed nothing in its usual folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "UnityHub"
    folder.mkdir()
    return folder


def install(folder: Path, script: str = "exit 0") -> Path:
    executable = folder / "Editor" / "Unity"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    executable.chmod(0o755)
    return executable


def locate(hub: Path, *editors: tuple[str, Path]) -> None:
    entries = [{"version": version, "location": [str(path)], "manual": True} for version, path in editors]
    (hub / "editors-v2.json").write_text(json.dumps({"schema_version": "v2", "data": entries}), encoding="utf-8")


def test_editors_are_found_where_the_hub_says(hub: Path, tmp_path: Path) -> None:
    by_hand, second = install(tmp_path / "by_hand"), install(tmp_path / "second" / "6000.0.31f1")
    usual = install(tmp_path / "home" / "Unity" / "Hub" / "Editor" / "2022.3.5f1")
    locate(hub, (WANTED, by_hand), ("6000.1.0f1", tmp_path / "gone"))
    (hub / "secondaryInstallPath.json").write_text(json.dumps(str(tmp_path / "second")), encoding="utf-8")
    found = [(editor.version, editor.executable) for editor in installed_editors(hub, "linux")]
    assert found == [("2022.3.5f1", usual), (WANTED, by_hand), ("6000.0.31f1", second)]


def test_a_place_that_the_hub_remembers_hides_no_editor_that_is_there(hub: Path, tmp_path: Path) -> None:
    usual = install(tmp_path / "home" / "Unity" / "Hub" / "Editor" / WANTED)
    locate(hub, (WANTED, tmp_path / "gone"))
    assert [editor.executable for editor in installed_editors(hub, "linux")] == [usual]


def test_on_macos_the_hub_tells_the_bundle_that_the_editor_is_in(hub: Path, tmp_path: Path) -> None:
    executable = tmp_path / "Unity.app" / "Contents" / "MacOS" / "Unity"
    executable.parent.mkdir(parents=True)
    executable.touch()
    locate(hub, (WANTED, tmp_path / "Unity.app"))
    assert [editor.executable for editor in installed_editors(hub, "darwin")] == [executable]


@pytest.mark.parametrize(
    "damaged", ["{", "3", "[7]", '{"data": [{"version": null, "location": [3, "/bin/sh"]}, {"location": "/bin/sh"}]}']
)
def test_damaged_files_of_the_hub_name_no_editor(hub: Path, damaged: str) -> None:
    (hub / "editors-v2.json").write_text(damaged, encoding="utf-8")
    (hub / "secondaryInstallPath.json").write_text('""', encoding="utf-8")
    assert installed_editors(hub, "linux") == []


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("linux", {"HOME": "/home/me"}, "/home/me/.config/UnityHub"),
        ("darwin", {"HOME": "/Users/me"}, "/Users/me/Library/Application Support/UnityHub"),
        ("win32", {"APPDATA": "/me/AppData/Roaming"}, "/me/AppData/Roaming/UnityHub"),
    ],
)
def test_the_hub_keeps_its_files_where_each_system_wants(platform: str, environ: dict[str, str], folder: str) -> None:
    assert hub_folder(platform, environ) == Path(folder)


def test_without_an_editor_the_doctor_says_which_one_to_install(hub: Path, project: Path) -> None:
    outcome = cli("unity", "doctor", project, "--hub", hub)
    assert outcome.code == 1
    last = outcome.out.splitlines()[-1]
    assert last == f"BAD  Editor         none found in {hub} or the Hub's usual folder; install {WANTED} with Unity Hub"


def test_an_editor_of_another_release_is_refused(hub: Path, project: Path, tmp_path: Path) -> None:
    locate(hub, ("2022.3.5f1", install(tmp_path / "old")))
    outcome = cli("unity", "doctor", project, "--hub", hub)
    assert outcome.code == 1
    assert f"found 2022.3.5f1; expected {WANTED}, or a later 6000.0: install it with Unity Hub" in outcome.out


def test_without_the_exact_editor_the_newest_later_patch_is_taken_and_no_earlier_one(
    hub: Path, project: Path, tmp_path: Path
) -> None:
    early, late, newest = (
        (version, install(tmp_path / version)) for version in ("6000.0.9f1", "6000.0.58f2", "6000.0.101f1")
    )
    locate(hub, newest, early, late)
    outcome = cli("unity", "doctor", project, "--hub", hub)
    assert f"ok   Editor         6000.0.101f1, the project was made with {WANTED}  {newest[1]}\n" in outcome.out
    locate(hub, early)
    outcome = cli("unity", "doctor", project, "--hub", hub)
    assert f"found 6000.0.9f1; expected {WANTED}, or a later 6000.0: install it with Unity Hub" in outcome.out


def test_the_doctor_refuses_a_folder_that_is_no_project(tmp_path: Path) -> None:
    assert_refused(cli("unity", "doctor", tmp_path), r"no Unity project there \(no Assets folder\)")


@pytest.mark.parametrize(
    ("count", "found"),
    [(705_599, "ok   clock          physics steps of 0.005 s"), (2_822_399, "0.02 s, expected 0.005 s")],
)
def test_the_clock_is_read_as_unity_6_writes_it(hub: Path, project: Path, count: int, found: str) -> None:
    path = project / "ProjectSettings" / "TimeManager.asset"
    text = path.read_text(encoding="utf-8")
    ticks = f"\n    m_Count: {count}\n    m_Rate:\n      m_Denominator: 1\n      m_Numerator: 141120000"
    path.write_text(text.replace("Fixed Timestep: 0.005", f"Fixed Timestep:{ticks}"), encoding="utf-8")
    assert found in cli("unity", "doctor", project, "--hub", hub).out


def test_a_whole_project_with_its_editor_gets_the_build_command(hub: Path, project: Path, tmp_path: Path) -> None:
    editor = install(tmp_path / "editor")
    locate(hub, (WANTED, editor))
    outcome = cli("unity", "doctor", project, "--hub", hub)
    assert outcome.code == 0, outcome.out + outcome.err
    lines = outcome.out.splitlines()
    assert [line[:4] for line in lines[:5]] == ["ok  "] * 5
    command = f"{editor} -batchmode -quit -projectPath {project} -executeMethod PlayerBuild.Linux -logFile -"
    assert lines[5:] == [
        f"build     {command}",
        f"verify    robotrl tasks verify --env {project}/Builds/Linux/robotrl.x86_64",
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("Packages/manifest.json", '"4.0.0"', '"3.0.0"', "com.unity.ml-agents is 3.0.0, expected 4.0.0"),
        ("ProjectSettings/TimeManager.asset", "0.005", "0.02", "TimeManager.asset: 0.02 s, expected 0.005 s"),
        ("Assets/StreamingAssets/mobile.json", "0.04", "0.05", "mobile.json is missing or out of date; " + MEND),
        ("Assets/RobotRL.meta", "guid: ", "guid: 0", "RobotRL.meta is missing, wrong, or without its asset; " + MEND),
    ],
)
def test_what_is_wrong_is_one_line(
    hub: Path, project: Path, tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    locate(hub, (WANTED, install(tmp_path / "editor")))
    path = project / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    outcome = cli("unity", "doctor", project, "--hub", hub)
    assert outcome.code == 1
    (bad,) = [line for line in outcome.out.splitlines() if line.startswith("BAD")]
    assert bad.endswith(message.format(project=project))


def test_a_build_is_verified(hub: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    player = project / "Builds" / "Linux" / "robotrl.x86_64"
    (tmp_path / "player.py").write_text(PLAYER, encoding="utf-8")
    made = f'#!/bin/sh\\nexec {sys.executable} {tmp_path}/player.py "$@"\\n'
    locate(hub, (WANTED, install(tmp_path / "editor", f"printf '{made}' > {player}; chmod +x {player}")))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    known = {"arm_reach": roles_of("arm_reach")}
    monkeypatch.setattr("unity_env.sim.role.all_roles", lambda: known)
    outcome = cli("unity", "doctor", project, "--hub", hub, "--build")
    assert outcome.code == 0, outcome.out + outcome.err
    assert outcome.out.splitlines()[-1] == "no differences"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo 'Error: no token'; echo 'Assets/A.cs(3,4): error CS0103: no such name'; echo 'Error: end'; exit 1",
            r"exited with code 1: Assets/A.cs\(3,4\): error CS0103",
        ),
        ("exit 0", r"the Editor made no .*robotrl.x86_64 \(log: .*build.log\)"),
    ],
)
def test_a_failed_build_is_one_line(hub: Path, project: Path, tmp_path: Path, script: str, message: str) -> None:
    locate(hub, (WANTED, install(tmp_path / "editor", script)))
    assert_refused(cli("unity", "doctor", project, "--hub", hub, "--build"), message, code=3)


@pytest.mark.skipif(sys.platform != "linux", reason="the player is for a system that this one is not")
def test_a_player_for_another_system_is_built_and_not_run(hub: Path, project: Path, tmp_path: Path) -> None:
    player = project / "Builds" / "Windows" / "robotrl.exe"
    locate(hub, (WANTED, install(tmp_path / "editor", f"touch {player}")))
    outcome = cli("unity", "doctor", project, "--hub", hub, "--build", "--target", "Windows")
    assert outcome.code == 0, outcome.out + outcome.err
    assert outcome.out.splitlines()[-1] == f"built {player}; verify it on the system that it is for"


def test_an_unknown_target_is_refused() -> None:
    assert_refused(
        cli("unity", "doctor", "--target", "Amiga"), r"--target Amiga: unknown, known are Linux, LinuxServer"
    )
