"""robotrl rewards: the shipped rewards are well, the bad ones are told apart, mistakes cost one line."""

import re
from pathlib import Path
from typing import Any

import pytest

from reward_shaping.cases import RewardFile, run_cases
from reward_shaping.lint import lint
from reward_shaping.recording import Recording
from reward_shaping.terms import TERMS
from tests.helpers import NAME, assert_refused, cli, train_tiny
from trainers.config import CONFIGS_DIR, load_settings
from trainers.record import record
from trainers.reward_file import REWARDS_DIR, Meant, open_reward
from trainers.world import make_env
from trainers.yaml_file import read_yaml, validate

GOOD = {
    "arm_reach": ("arm_reach", "RobotArm", ["arm_reach_gentle", "arm_reach_shaped", "arm_reach_sparse"]),
    "arm_pick_place": ("arm_pick_place", "RobotArm", ["arm_pick_place_shaped", "arm_pick_place_sparse"]),
    "mobile_goal": (
        "mobile_goal",
        "MobileRobot",
        ["mobile_goal_potential", "mobile_goal_shaped", "mobile_goal_sparse"],
    ),
    "mobile_goal_discrete": ("mobile_goal_discrete", "MobileRobot", ["mobile_goal_choices"]),
    "mobile_follow": ("mobile_follow", "MobileRobot", ["mobile_follow_shaped", "mobile_follow_sparse"]),
    "playroom_arm": ("playroom", "RobotArm", ["playroom_arm", "playroom_arm_sparse"]),
    "playroom_base": ("playroom", "MobileRobot", ["playroom_base", "playroom_base_sparse"]),
}
REWARDS = [(task, behavior, name) for task, behavior, names in GOOD.values() for name in names]
BAD: dict[str, tuple[str, float | None, set[str]]] = {
    "arm_pick_place_hover": ("arm_pick_place", None, {"hover"}),
    "arm_reach_still": ("arm_reach", None, {"dither", "pays-at-rest"}),
    "mobile_goal_clipped_progress": ("mobile_goal", None, {"farmable-loop"}),
    "mobile_goal_dwell": ("mobile_goal", None, {"dither"}),
    "mobile_goal_haste": ("mobile_goal", None, {"suicide"}),
    "mobile_goal_speed": ("mobile_goal", None, {"dither"}),
    "mobile_goal_td3_stack": ("mobile_goal", 0.99999, {"dither"}),
}


@pytest.mark.parametrize(("task", "behavior", "name"), REWARDS, ids=[name for _, _, name in REWARDS])
def test_every_shipped_reward_is_well_and_passes_its_cases(task: str, behavior: str, name: str) -> None:
    opened = open_reward(name, Meant(config=f"{task}_ppo", behavior=behavior))
    assert lint(opened.settings, opened.facts) == []
    assert isinstance(opened.settings, RewardFile)
    assert len(opened.settings.cases) >= 3
    assert all(outcome.passed for outcome in run_cases(opened.settings))


def test_every_shipped_reward_is_looked_at() -> None:
    assert {path.stem for path in REWARDS_DIR.glob("*.yaml")} == {name for _, _, name in REWARDS}
    assert {path.stem for path in (REWARDS_DIR / "examples_of_bad").glob("*.yaml")} == set(BAD)


@pytest.mark.parametrize("name", BAD)
def test_every_bad_example_breaks_the_rule_that_its_head_tells_of(name: str) -> None:
    """REWARD.md D8: the TD3 stack, the hover trap and SocialRobot's dwelling among them."""
    task, gamma, rules = BAD[name]
    path = REWARDS_DIR / "examples_of_bad" / f"{name}.yaml"
    opened = open_reward(f"examples_of_bad/{name}", Meant(config=f"{task}_ppo", gamma=gamma))
    findings = lint(opened.settings, opened.facts)
    assert {finding.rule for finding in findings} == rules
    assert all(finding.severity == "error" for finding in findings)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# BAD: ")
    assert f"robotrl rewards lint examples_of_bad/{name}" in text
    document = read_yaml(path, "terms")
    assert all(outcome.passed for outcome in run_cases(validate(RewardFile, document.data, document)))


def test_socialrobots_repair_passes(tmp_path: Path) -> None:
    """REWARD.md D8: (200, 2, 0.98)."""
    text = (REWARDS_DIR / "examples_of_bad" / "mobile_goal_dwell.yaml").read_text(encoding="utf-8")
    repaired = tmp_path / "repaired.yaml"
    repaired.write_text(text.replace("term: success, weight: 100.0", "term: success, weight: 200.0"), encoding="utf-8")
    assert cli("rewards", "lint", repaired, "--task", "mobile_goal", "--gamma", 0.99).code == 0  # 198 < 200
    assert cli("rewards", "lint", repaired, "--task", "mobile_goal", "--gamma", 0.98).code == 0
    outcome = cli("rewards", "lint", repaired, "--task", "mobile_goal", "--gamma", 0.992)
    assert outcome.code == 1
    assert "pay 248" in outcome.out


def test_a_reward_without_a_bonus_is_held_against_what_ends_the_task(tmp_path: Path) -> None:
    path = tmp_path / "near.yaml"
    path.write_text("terms:\n  near: {term: reach, parameters: {std: 0.3}, weight: 1.0}\n", encoding="utf-8")
    outcome = cli("rewards", "lint", path, "--config", "arm_reach_ppo")
    assert outcome.code == 1
    assert "dither" in outcome.out
    blame = "{term: goal_progress, parameters: {start_distance: 1.0}, use: state, pays: [-1.0, 0.0], weight: 0.1}"
    path.write_text(f"terms:\n  far: {blame}\n", encoding="utf-8")  # -d, never above 0
    outcome = cli("rewards", "lint", path, "--config", "mobile_goal_ppo")
    assert re.search("suicide", outcome.out)
    assert "dither" not in outcome.out


def test_lint_says_rule_severity_line_arithmetic_and_what_would_be_right() -> None:
    outcome = cli("rewards", "lint", "examples_of_bad/mobile_goal_haste", "--config", "mobile_goal_ppo")
    assert outcome.code == 1
    assert re.search(r"^error  suicide  \S*mobile_goal_haste\.yaml:7$", outcome.out, re.MULTILINE)
    flat = " ".join(outcome.out.split())
    assert "doing nothing pays - time 1 per step, -99 in 99 steps" in flat
    assert "right would be: a cost of failing (collision, failure) above 99" in flat
    assert "1 error, 0 warnings" in flat


def test_the_reward_inside_a_config_is_looked_at_where_it_stands(tmp_path: Path) -> None:
    config = tmp_path / "own.yaml"
    config.write_text(
        "env_settings: {env_path: sim:mobile_goal}\nbehaviors:\n  MobileRobot:\n    reward_shaping:\n"
        "      terms:\n        near: {term: reach, parameters: {std: 0.2}, weight: 1.0}\n"
        "        solved: {term: success, weight: 1.0}\n",
        encoding="utf-8",
    )
    outcome = cli("rewards", "lint", config)
    assert outcome.code == 1
    assert f"{config}:6" in outcome.out.replace("\n", "")
    by_file = cli("rewards", "lint", "mobile_goal_ppo")
    assert (by_file.code, "nothing found" in by_file.out) == (0, True)


def test_a_reward_finds_its_behavior_in_a_config_of_two() -> None:
    assert "gamma 0.99" in cli("rewards", "lint", "playroom_base", "--config", "playroom_ppo").out
    assert "gamma 0.97" in cli("rewards", "lint", "playroom_arm", "--config", "playroom_ppo").out
    assert_refused(
        cli("rewards", "lint", "playroom_arm_sparse", "--config", "playroom_ppo"), "--behavior: is missing", NAME
    )


def test_without_a_training_lint_says_what_it_could_not_look_at() -> None:
    outcome = cli("rewards", "lint", "examples_of_bad/mobile_goal_dwell")
    assert outcome.code == 0
    assert "gamma is not known" in outcome.out
    assert "signals are not known" in outcome.out


def test_list_names_every_term_with_what_it_declares() -> None:
    out = cli("rewards", "list").out
    for name, term in TERMS.items():
        more = rf"sign \{term.sign:+d}{', per second' if term.scales_with_period else ''}$"
        assert re.search(rf"^{name} +{term.kind}.* {more}", out, re.MULTILINE), name
    assert "reads goal_distance; parameters coarse, fine, fine_share=0.5" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_narrow_terminal_cuts_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = cli("rewards", "show", "arm_pick_place_shaped", "--config", "arm_pick_place_ppo").out
    assert "…" not in out


def test_show_tells_weights_ranges_discount_and_hash() -> None:
    out = cli("rewards", "show", "mobile_goal_potential", "--config", "mobile_goal_ppo").out
    assert re.search(r"solved .* success .* event .* 5 .* 0 \.\. 5", out)
    assert re.search(r"near .* reach \(potential\) .* -1 \.\. 0\.99", out)
    assert "gamma     0.99" in out
    settings, document = load_settings(CONFIGS_DIR / "mobile_goal_ppo.yaml", overrides=[REPAIR])
    env = make_env(settings, "MobileRobot", document, rows=1)
    assert f"hash      {env.reward.content_hash}" in out  # the cases are no part of it
    env.close()
    assert "depends on gamma" in cli("rewards", "show", "mobile_goal_potential").out


REPAIR = "behaviors.MobileRobot.reward_shaping=rewards/mobile_goal_potential.yaml"


@pytest.mark.parametrize("name", ["mobile_goal_potential", "mobile_goal_sparse", "examples_of_bad/mobile_goal_speed"])
def test_a_reward_is_chosen_on_the_command_line_and_its_cases_are_no_part_of_the_run(name: str) -> None:
    chosen = f"behaviors.MobileRobot.reward_shaping=rewards/{name}.yaml"
    settings, document = load_settings(CONFIGS_DIR / "mobile_goal_ppo.yaml", overrides=[chosen])
    reward = settings.behaviors["MobileRobot"].reward_shaping
    assert reward is not None
    assert "solved" in reward.terms
    assert "cases" not in document.data["behaviors"]["MobileRobot"]["reward_shaping"]


def test_cases_that_fail_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "terms: {haste: {term: time, weight: -1.0}}\ncases:\n  a: {expect: {total: -1}}\n"
        "  b:\n    expect: {total: 1}\n    better_than: a\n",
        encoding="utf-8",
    )
    outcome = cli("rewards", "test", path)
    assert outcome.code == 1
    assert f"{path}:5: b: expected total = 1, got -1" in outcome.out
    assert f"{path}:6: b: expected total > a (-1), got -1" in outcome.out
    assert "1 of 3 expectations met" in outcome.out
    assert cli("rewards", "test", "mobile_goal_shaped").code == 0


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["lint", "nowhere"], ["nowhere: no such file", "mobile_goal_shaped", "examples_of_bad/arm_reach_still"]),
        (["lint", "mobile_goal_shaped", "--task", "mobile_gaol"], ["--task: unknown task mobile_gaol"]),
        (["lint", "playroom_base", "--task", "playroom"], ["--behavior: is missing", "MobileRobot"]),
        (["lint", "mobile_goal_shaped", "--task", "playroom", "--behavior", "Robot"], ["--behavior: Robot"]),
        (["lint", "mobile_goal_shaped", "--task", "mobile_goal", "--config", "mobile_goal_ppo"], ["one of --config"]),
        (["lint", "mobile_goal_shaped", "--recording", "nowhere.npz"], ["nowhere.npz", "No such file"]),
        (["test", "mobile_goal_ppo"], [r"mobile_goal_ppo\.yaml", "terms"]),
        (["record", "mobile_gaol", "-o", "a.npz"], ["mobile_gaol: not a run", "tasks are"]),
        (["record", "mobile_goal", "-o", "nowhere/a.npz"], ["no folder nowhere"]),
        (["record", "mobile_goal", "-o", "."], ["is a folder; expected the name of a file"]),
        (["record", "mobile_goal", "-o", "a.npz", "--policy", "best"], ["--policy: best is neither random nor"]),
        (["record", "playroom", "-o", "a.npz"], ["--behavior: is missing"]),
    ],
)
def test_mistakes_cost_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], parts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(cli("rewards", *arguments), *parts)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("terms: {a: {term: time}}", [r"r\.yaml:1: terms\.a\.weight"]),
        (
            "terms: {a: {term: time, weight: 1.0}}\ncases: {b: {expct: {}}}",
            [r"r\.yaml:2: cases\.b\.expct: unknown key"],
        ),
        ("terms: {a: {term: time, weight: 1.0}}", [r"r\.yaml: has no cases"]),
        ("terms: {a: {term: time, weight: 1.0}}\ncases: {b: {}}", [r"r\.yaml:2: cases\.b: expects nothing"]),
        ("terms: {a: {term: tiem, weight: 1.0}}\ncases: {b: {expect: {a: 1}}}", [r"r\.yaml:1: .*did you mean time"]),
    ],
)
def test_a_bad_file_of_cases_costs_one_line(tmp_path: Path, content: str, parts: list[str]) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(content, encoding="utf-8")
    assert_refused(cli("rewards", "test", path), *parts)


@pytest.mark.parametrize("policy", ["random", "scripted"])
def test_a_recording_holds_whole_episodes_to_be_measured(tmp_path: Path, policy: str) -> None:
    path = tmp_path / "a.npz"
    outcome = cli("rewards", "record", "arm_reach", "-o", path, "--policy", policy, "--episodes", 3)
    assert outcome.code == 0, outcome.err
    assert "3 episodes" in outcome.out
    recording = Recording.load(path)
    part = recording.transition
    ends = part.terminated | part.truncated
    assert (recording.episodes, int(ends.sum())) == (3, 3)
    assert ends[-1]
    assert (ends[:-1] == (recording.episode[1:] > recording.episode[:-1])).all()
    inside = ~ends[:-1]
    for name, value in part.signals.items():
        assert (value[1:][inside] == part.next_signals[name][:-1][inside]).all(), name
    assert (part.previous_action[1:][inside] == part.action[:-1][inside]).all()
    assert not part.previous_action[[0, *(1 + ends[:-1].nonzero()[0])]].any()
    assert cli("rewards", "lint", "arm_reach_shaped", "--config", "arm_reach_ppo", "--recording", path).code == 0


def test_a_recording_is_the_same_for_the_same_seed_and_a_run_may_act(tmp_path: Path) -> None:
    run = train_tiny(tmp_path, "r", {f"behaviors.{NAME}.max_steps": 256})
    one, again, other = (
        record("arm_reach", "r", 2, seed, results_dir=run.parent).transition.action for seed in (1, 1, 2)
    )
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


def test_both_robots_of_a_scene_can_be_recorded() -> None:
    recording: Any = record("playroom", "random", 1, 0, "MobileRobot")
    assert {"docked", "joint_success"} <= recording.transition.signals.keys()
    assert recording.about["behavior"] == "MobileRobot"
