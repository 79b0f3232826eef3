"""The Unity project's files: descriptions up to date, metas complete and unique, settings that fit."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.helpers import assert_refused, cli
from unity_env.sim.description import load_description
from unity_env.sim.role import all_roles
from unity_env.unity import PROJECT
from unity_env.unity.describe import stale, write_descriptions
from unity_env.unity.editor import TARGETS
from unity_env.unity.metas import guid, metas, stale_metas
from unity_env.unity.project import ProjectError, editor_version, fixed_timestep, packages

SCRIPTS = PROJECT / "Assets" / "RobotRL"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy that a test can break."""
    return Path(shutil.copytree(PROJECT, tmp_path / "unity_project"))


def test_the_descriptions_are_up_to_date() -> None:
    assert stale(PROJECT) == [], "run: robotrl unity describe"


def test_a_description_that_has_changed_is_stale_and_is_written_anew(project: Path) -> None:
    arm = project / "Assets" / "StreamingAssets" / "arm.json"
    described = arm.read_text(encoding="utf-8")
    arm.write_text(described.replace("0.04", "0.05"), encoding="utf-8")
    assert stale(project) == [arm]
    assert write_descriptions(project) == [arm]
    assert arm.read_text(encoding="utf-8") == described


def test_every_asset_has_its_meta_and_no_meta_is_without_an_asset() -> None:
    assert stale_metas(PROJECT) == [], "run: robotrl unity describe"


def test_guids_are_unique_stable_and_well_formed() -> None:
    guids = [match[1] for text in metas(PROJECT).values() if (match := re.search(r"^guid: (\w+)$", text, re.MULTILINE))]
    assert len(guids) == len(metas(PROJECT)) == len(set(guids)) > 50
    assert all(re.fullmatch("[0-9a-f]{32}", value) for value in guids)
    assert guid("Assets/RobotRL/Runtime/RobotArmAgent.cs") == "fe54a754fa275a40a47ac5f420742b21"


def test_a_lost_and_an_orphaned_meta_are_found_and_mended(project: Path) -> None:
    lost, orphan = (project / "Assets" / name for name in ("RobotRL.meta", "RobotRL/Gone.cs.meta"))
    lost.unlink()
    orphan.write_text("fileFormatVersion: 2\n", encoding="utf-8")
    assert sorted(stale_metas(project)) == sorted([lost, orphan])
    outcome = cli("unity", "describe", project)
    assert outcome.out == f"wrote     {lost}\nremoved   {orphan}\n"
    assert stale_metas(project) == []
    assert cli("unity", "describe", project).out == f"{project} is up to date\n"


def test_what_the_user_adds_and_the_editor_writes_is_left_alone(project: Path) -> None:
    written = "fileFormatVersion: 2\nguid: {}\nScriptedImporter:\n  userData: \n"
    for name in ("RobotArm.onnx", "Scenes/arm_reach.unity", "ML-Agents/Timers/start_timers.json"):
        added = project / "Assets" / name
        added.parent.mkdir(parents=True, exist_ok=True)
        added.touch()
        added.with_name(f"{added.name}.meta").write_text(written.format("0123456789abcdef" * 2), encoding="utf-8")
    area = project / "Assets" / "RobotRL" / "Runtime" / "TrainingArea.cs.meta"
    area.write_text(written.format(guid("Assets/RobotRL/Runtime/TrainingArea.cs")), encoding="utf-8")
    assert stale_metas(project) == []


def test_describe_refuses_a_folder_that_is_no_project(tmp_path: Path) -> None:
    assert_refused(cli("unity", "describe", tmp_path), r"no Unity project there \(no Assets folder\)")


def test_the_physics_step_divides_every_control_period_and_is_the_scripts() -> None:
    step = fixed_timestep(PROJECT)
    for roles in all_roles().values():
        for role in roles:
            steps = role.control.period_s / step
            assert abs(steps - round(steps)) < 1e-9
    source = (SCRIPTS / "Runtime" / "TrainingArea.cs").read_text(encoding="utf-8")
    match = re.search(r"PhysicsStepS = ([0-9.]+)f;", source)
    assert match is not None
    assert float(match[1]) == step


def test_nothing_sleeps_and_links_may_turn_as_fast_as_described() -> None:
    text = (PROJECT / "ProjectSettings" / "DynamicsManager.asset").read_text(encoding="utf-8")
    physics = yaml.safe_load(text.partition("!u!55 &1")[2])["PhysicsManager"]
    assert physics["m_SleepThreshold"] == 0.0  # contacts of bodies that sleep are not told
    source = (SCRIPTS / "Runtime" / "RobotAgent.cs").read_text(encoding="utf-8")
    match = re.search(r"k_FastestTurn = ([0-9.]+)f;", source)
    assert match is not None
    arm, mobile = load_description("arm"), load_description("mobile")
    fastest = np.abs([mobile.max_velocity_m_s, mobile.max_yaw_velocity_rad_s] @ np.abs(mobile.wheel_map)).max()
    chain = sum(joint.max_velocity_rad_s for joint in arm.joints)
    for limit in (physics["m_DefaultMaxAngularSpeed"], float(match[1])):
        assert limit > 2.0 * max(fastest, chain)


def test_the_manifest_asks_for_ml_agents_and_what_it_needs() -> None:
    asked = packages(PROJECT)
    assert asked["com.unity.ml-agents"] == "4.0.0"
    assert asked["com.unity.ai.inference"] == "2.2.1"
    assert {"com.unity.modules.physics", "com.unity.modules.jsonserialize"} <= set(asked)
    assert editor_version(PROJECT).startswith("6000.0.")


def test_assembly_definitions_name_each_other_and_the_logic_has_no_engine() -> None:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in SCRIPTS.rglob("*.asmdef")]
    definitions = {definition["name"]: definition for definition in found}
    assert set(definitions) == {"RobotRL.Logic", "RobotRL.Runtime", "RobotRL.Editor"}
    logic, editor = definitions["RobotRL.Logic"], definitions["RobotRL.Editor"]
    assert logic["noEngineReferences"]
    assert logic["references"] == []
    assert editor["includePlatforms"] == ["Editor"]
    for definition in definitions.values():
        assert set(definition["references"]) <= {*definitions, "Unity.ML-Agents", "Unity.InferenceEngine"}


def test_unity_calls_a_script_by_the_name_of_its_file() -> None:
    for path in (SCRIPTS / "Runtime").rglob("*.cs"):
        source = path.read_text(encoding="utf-8")
        components = re.findall(
            r"^    public class (\w+)(?:<\w+>)? : (?:MonoBehaviour|SensorComponent|TrainingArea|RobotAgent)$",
            source,
            re.MULTILINE,
        )
        assert set(components) <= {path.stem}, path


def test_a_trainers_number_of_areas_counts_in_the_editor_too() -> None:
    source = (SCRIPTS / "Editor" / "SceneBuilder.cs").read_text(encoding="utf-8")
    assert "replicator.buildOnly = false;" in source  # ML-Agents' own default is a single area


def test_the_workflow_builds_what_the_project_can_build() -> None:
    text = (PROJECT.parents[1] / ".github" / "workflows" / "unity-players.yml").read_text(encoding="utf-8")
    players = yaml.safe_load(text)["jobs"]["build"]["strategy"]["matrix"]["include"]
    assert {player["player"]: player["file"] for player in players} == {
        name: path.name for name, path in TARGETS.items()
    }
    source = (SCRIPTS / "Editor" / "PlayerBuild.cs").read_text(encoding="utf-8")
    built = re.findall(r"public static void (\w+)\(\) =>\s+Build\([^\"]*\"([^\"]+)\"", source)
    assert {name: Path(file) for name, file in built} == TARGETS


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("ProjectSettings/ProjectVersion.txt", "", r"ProjectVersion.txt: no m_EditorVersion in it"),
        ("ProjectSettings/ProjectVersion.txt", "m_EditorVersion: new", r"ProjectVersion.txt: no m_EditorVersion in it"),
        (
            "ProjectSettings/ProjectVersion.txt",
            None,
            r"ProjectVersion.txt: No such file .*; is this the folder of a Unity",
        ),
        ("Packages/manifest.json", "{", r"manifest.json: no list of dependencies in it"),
        ("Packages/manifest.json", '{"dependencies": 3}', r"manifest.json: no list of dependencies in it"),
    ],
)
def test_a_broken_project_is_one_line(project: Path, file: str, text: str | None, message: str) -> None:
    path = project / file
    path.unlink() if text is None else path.write_text(text, encoding="utf-8")
    with pytest.raises(ProjectError, match=message):
        _ = (editor_version(project), packages(project))
