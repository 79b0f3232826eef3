"""The YAML files that ship with ML-Agents, key by key and value by value.

The values are those of config/ in Unity-Technologies/ml-agents (Apache-2.0), releases 1 to 22 mixed, written down anew:
keys that all files of a trainer have alike stand in `ppo`, `sac` and `poca` below.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from gymnasium.vector.utils import batch_space
from mlagents_envs.base_env import ActionSpec

from tests.fakes import Message, Report, ScriptedUnity, spec_of
from tests.helpers import assert_refused, cli
from trainers.config import load_settings
from trainers.errors import UserError
from trainers.idle_settings import without_effect
from trainers.learner import make_algorithm
from unity_env import UnityVectorEnv

Tree = dict[str, Any]
DEMOS = "Project/Assets/ML-Agents/Examples"


def network(hidden_units: int, num_layers: int, **more: Any) -> Tree:
    return {
        "normalize": False,
        "hidden_units": hidden_units,
        "num_layers": num_layers,
        "vis_encode_type": "simple",
        **more,
    }


def extrinsic(gamma: float = 0.99, strength: float = 1.0, **others: Tree) -> Tree:
    return {"extrinsic": {"gamma": gamma, "strength": strength}, **others}


def behavior(kind: str, hyper: Tree, net: Tree, signals: Tree, course: tuple[int, int, int], **more: Any) -> Tree:
    max_steps, time_horizon, summary_freq = course
    return {
        "trainer_type": kind,
        "hyperparameters": hyper,
        "network_settings": net,
        "reward_signals": signals,
        "keep_checkpoints": 5,
        "max_steps": max_steps,
        "time_horizon": time_horizon,
        "summary_freq": summary_freq,
        **more,
    }


def ppo(
    sizes: tuple[int, int], beta: float, *rest: Any, kind: str = "ppo", hyper: Tree | None = None, **more: Any
) -> Tree:
    own: Tree = {"batch_size": sizes[0], "buffer_size": sizes[1], "learning_rate": 0.0003, "beta": beta, "epsilon": 0.2}
    own |= {"lambd": 0.95, "num_epoch": 3, "learning_rate_schedule": "linear"}
    return behavior(kind, own | (hyper or {}), *rest, **more)


def sac(sizes: tuple[int, int, int], every: float, entcoef: float, *rest: Any, tau: float = 0.005, **more: Any) -> Tree:
    own: Tree = {"learning_rate": 0.0003, "learning_rate_schedule": "constant", "batch_size": sizes[0]}
    own |= {"buffer_size": sizes[1], "buffer_init_steps": sizes[2], "tau": tau, "steps_per_update": every}
    own |= {"save_replay_buffer": False, "init_entcoef": entcoef, "reward_signal_steps_per_update": every}
    return behavior("sac", own, *rest, **more)


def only(name: str, settings: Tree, **sections: Any) -> Tree:
    return {"behaviors": {name: settings}, **sections}


def uniform(low: float, high: float) -> Tree:
    return {"sampler_type": "uniform", "sampler_parameters": {"min_value": low, "max_value": high}}


def lessons(name: str, *steps: tuple[Any, float]) -> Tree:
    """A curriculum: (value, threshold of progress) for every lesson but the last, whose threshold is 1."""
    criteria = {"measure": "progress", "behavior": name, "signal_smoothing": True, "min_lesson_length": 100}
    made = [
        {"name": f"Lesson{index}", "completion_criteria": {**criteria, "threshold": threshold}, "value": value}
        for index, (value, threshold) in enumerate(steps)
    ]
    del made[-1]["completion_criteria"]
    return {"curriculum": made}


def gail(path: str, strength: float = 0.01, **more: Any) -> Tree:
    demo = f"{DEMOS}/{path}.demo"
    return {"gamma": 0.99, "strength": strength, "learning_rate": 0.0003, "demo_path": demo, **more}


CONSTANT = {"learning_rate_schedule": "constant"}
CURIOSITY = {"gamma": 0.99, "strength": 0.02, "network_settings": {"hidden_units": 256}, "learning_rate": 0.0003}
OLD_CURIOSITY = {"gamma": 0.99, "strength": 0.02, "encoding_size": 256, "learning_rate": 0.0003}
RND = {
    "gamma": 0.99,
    "strength": 0.01,
    "network_settings": {"hidden_units": 64, "num_layers": 3},
    "learning_rate": 1e-4,
}
NO_ACTIONS = {"use_actions": False, "use_vail": False}
LSTM = {"memory": {"sequence_length": 64, "memory_size": 128}}
TEAMS = {"save_steps": 50000, "team_change": 200000, "swap_steps": 2000, "window": 10}
SELF_PLAY: Tree = {"self_play": {**TEAMS, "play_against_latest_model_ratio": 0.5, "initial_elo": 1200.0}}
LINEAR = {"beta_schedule": "linear", "epsilon_schedule": "linear"}
WALL = {
    name: ppo((128, 2048), 0.005, network(256, 2), extrinsic(), (steps, 128, 20000), hyper=LINEAR)
    for name, steps in (("BigWallJump", 20_000_000), ("SmallWallJump", 5_000_000))
}
MATCH3 = {"vis_encode_type": "match3", "normalize": True}
BALL = ppo(
    (64, 12000), 0.001, network(128, 2, normalize=True), extrinsic(), (500_000, 1000, 12000), hyper={"lambd": 0.99}
)
CRAWLER = network(512, 3, normalize=True)
SORTER = ppo((512, 40960), 0.005, network(128, 2), extrinsic(), (5_000_000, 256, 10000), hyper=CONSTANT)
CLONING = {"demo_path": f"{DEMOS}/Crawler/Demos/ExpertCrawler.demo", "steps": 50000, "strength": 0.5}
GAIL_NETWORK = {"network_settings": network(128, 2, normalize=True)}

FILES: dict[str, Tree] = {
    "ppo/3DBall": only("3DBall", BALL),
    "ppo/3DBall_randomize": only("3DBall", BALL, environment_parameters={
        "mass": uniform(0.5, 10), "gravity": uniform(7, 12), "scale": uniform(0.75, 3)}),
    "ppo/Basic": only("Basic", ppo((32, 256), 0.005, network(20, 1), extrinsic(0.9), (500_000, 3, 2000))),
    "ppo/Crawler": only("Crawler", ppo((2048, 20480), 0.005, CRAWLER, extrinsic(0.995), (10_000_000, 1000, 30000))),
    "ppo/FoodCollector": only("GridFoodCollector", ppo(
        (1024, 10240), 0.005, network(256, 1), extrinsic(), (2_000_000, 64, 10000))),
    "ppo/GridWorld": only("GridWorld", ppo((32, 256), 0.005, network(128, 1), extrinsic(0.9), (500_000, 5, 20000))),
    "ppo/Hallway": only("Hallway", ppo(
        (128, 1024), 0.03, network(128, 2, **LSTM), extrinsic(), (10_000_000, 64, 10000), threaded=True)),
    "ppo/Match3": {"behaviors": {
        "Match3VectorObs": ppo((64, 12000), 0.001, network(128, 2, **MATCH3), extrinsic(), (5_000_000, 1000, 10000),
                               hyper={"lambd": 0.99, **CONSTANT}, threaded=True),
        "Match3SmartHeuristic": ppo((64, 128), 0.001, network(4, 1, **MATCH3), extrinsic(), (5_000_000, 1000, 10000),
                                    hyper={"lambd": 0.99, **CONSTANT}, threaded=True)}},
    "ppo/PushBlock": only("PushBlock", ppo(
        (1024, 10240), 0.01, network(256, 2), extrinsic(curiosity=OLD_CURIOSITY), (2_000_000, 64, 10000))),
    "ppo/Pyramids": only("Pyramids", ppo(
        (128, 2048), 0.01, network(512, 2), extrinsic(curiosity=CURIOSITY), (10_000_000, 128, 30000))),
    "ppo/PyramidsRND": only("Pyramids", ppo(
        (128, 2048), 0.01, network(512, 2), extrinsic(rnd=RND), (3_000_000, 128, 30000))),
    "ppo/SoccerTwos": only("SoccerTwos", ppo(
        (2048, 20480), 0.005, network(512, 2), extrinsic(), (50_000_000, 1000, 10000), hyper=CONSTANT, **SELF_PLAY)),
    "ppo/Sorter_curriculum": only("Sorter", SORTER, environment_parameters={
        "num_tiles": lessons("Sorter", *((2.0 * index, 0.45 + 0.05 * index) for index in range(1, 11)))},
        env_settings={"num_envs": 8}),
    "ppo/VisualFoodCollector": only("VisualFoodCollector", ppo(
        (1024, 10240), 0.005, network(128, 2), extrinsic(), (3_000_000, 100, 40000))),
    "ppo/Walker": only("Walker", ppo(
        (2048, 20480), 0.005, CRAWLER, extrinsic(0.995), (30_000_000, 1000, 30000))),
    "ppo/WallJump": {"behaviors": WALL},
    "ppo/WallJump_curriculum": {"behaviors": WALL, "environment_parameters": {
        "big_wall_height": lessons(
            "BigWallJump", (uniform(0, 4), 0.1), (uniform(4, 7), 0.3), (uniform(6, 8), 0.5), (8.0, 1)),
        "small_wall_height": lessons("SmallWallJump", (1.5, 0.1), (2.0, 0.3), (2.5, 0.5), (4.0, 1))}},
    "ppo/Worm": only("Worm", ppo((2024, 20240), 0.005, CRAWLER, extrinsic(0.995), (7_000_000, 1000, 30000))),
    "sac/3DBall": only("3DBall", sac(
        (64, 200_000, 0), 10.0, 0.5, network(64, 2, normalize=True), extrinsic(), (100_000, 1000, 12000),
        threaded=True)),
    "sac/Basic": only("Basic", sac(
        (64, 50_000, 0), 10.0, 0.01, network(20, 2), extrinsic(), (500_000, 10, 2000), output_path="default")),
    "sac/Crawler": only("Crawler", sac(
        (256, 500_000, 0), 20.0, 1.0, CRAWLER, extrinsic(0.995), (5_000_000, 1000, 30000))),
    "sac/FoodCollector": only("GridFoodCollector", sac(
        (256, 2048, 0), 10.0, 0.05, network(256, 1), extrinsic(), (2_000_000, 64, 60000), threaded=False)),
    "sac/GridWorld": only("GridWorld", sac(
        (128, 50_000, 1000), 10.0, 0.5, network(128, 1), extrinsic(0.9), (500_000, 5, 20000), threaded=True)),
    "sac/Hallway": only("Hallway", sac(
        (512, 200_000, 0), 10.0, 0.1, network(128, 2, **LSTM), extrinsic(), (10_000_000, 64, 10000))),
    "sac/PushBlock": only("PushBlock", sac(
        (128, 50_000, 0), 10.0, 0.05, network(256, 2), extrinsic(), (2_000_000, 64, 100_000))),
    "sac/Pyramids": only("Pyramids", sac(
        (128, 2_000_000, 1000), 10.0, 0.01, network(512, 3),
        extrinsic(0.995, 2.0, gail=gail("Pyramids/Demos/ExpertPyramid", use_actions=True, use_vail=False)),
        (3_000_000, 128, 30000), tau=0.01)),
    "sac/Walker": only("Walker", sac(
        (1024, 2_000_000, 0), 30.0, 1.0, network(512, 4, normalize=True, goal_conditioning_type="none"),
        extrinsic(0.995, 0.1), (150_000_000, 1000, 30000))),
    "sac/WallJump": {"behaviors": {
        name: sac((128, 50_000, 0), 10.0, 0.1, network(256, 2), extrinsic(), (15_000_000, 128, 20000))
        for name in ("BigWallJump", "SmallWallJump")}},
    "sac/Worm": only("Worm", sac((256, 500_000, 0), 20.0, 1.0, CRAWLER, extrinsic(0.995), (5_000_000, 1000, 30000))),
    "imitation/Crawler": only("Crawler", ppo(
        (2024, 20240), 0.005, CRAWLER, {"gail": gail("Crawler/Demos/ExpertCrawler", 1.0, **NO_ACTIONS, **GAIL_NETWORK)},
        (10_000_000, 1000, 30000), behavioral_cloning={**CLONING, "samples_per_update": 0})),
    "imitation/CrawlerStaticSAC": only("CrawlerStatic", sac(
        (256, 500_000, 2000), 20.0, 1.0, CRAWLER,
        {"gail": gail("Crawler/Demos/ExpertCrawlerSta", 1.0, encoding_size=128, **NO_ACTIONS)},
        (3_000_000, 1000, 30000))),
    "imitation/Hallway": only("Hallway", ppo(
        (128, 1024), 0.01, network(128, 2, memory={"sequence_length": 64, "memory_size": 256}),
        extrinsic(gail=gail("Hallway/Demos/ExpertHallway", **NO_ACTIONS)), (10_000_000, 64, 10000))),
    "imitation/PushBlock": only("PushBlock", ppo(
        (128, 2048), 0.01, network(256, 2),
        {"gail": gail("PushBlock/Demos/ExpertPush", 1.0, encoding_size=128, **NO_ACTIONS)},
        (15_000_000, 64, 60000))),
    "imitation/Pyramids": only("Pyramids", ppo(
        (128, 2048), 0.01, network(512, 2), extrinsic(curiosity=CURIOSITY, gail=gail("Pyramids/Demos/ExpertPyramid")),
        (10_000_000, 128, 30000), behavioral_cloning={**CLONING, "steps": 150_000})),
    "poca/DungeonEscape": only("DungeonEscape", ppo(
        (1024, 10240), 0.01, network(256, 2), extrinsic(), (20_000_000, 64, 60000), hyper=CONSTANT, kind="poca")),
    "poca/PushBlockCollab": only("PushBlockCollab", ppo(
        (1024, 10240), 0.01, network(256, 2), extrinsic(), (15_000_000, 64, 60000), hyper=CONSTANT, kind="poca")),
    "poca/SoccerTwos": only("SoccerTwos", ppo(
        (2048, 20480), 0.005, network(512, 2), extrinsic(), (50_000_000, 1000, 10000), hyper=CONSTANT, kind="poca",
        **SELF_PLAY)),
    "poca/StrikersVsGoalie": {"behaviors": {name: ppo(
        (2048, 20480), 0.005, network(512, 2), extrinsic(), (30_000_000, 1000, 10000), hyper=CONSTANT, kind="poca",
        **SELF_PLAY) for name in ("Goalie", "Striker")}},
}  # fmt: skip

REFUSED = {
    name: r"trainer_type: poca, which trains groups of agents, is out of scope" for name in FILES if "poca" in name
}
REFUSED |= {"ppo/SoccerTwos": r"self_play: self-play is out of scope"}
DROPPED = {"output_path", "encoding_size"}  # read and left out, or read as what they are called now


def written(folder: Path, content: Any) -> Path:
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def leaves(tree: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(tree, dict):
        return {path: tree}
    return {at: value for key, part in tree.items() for at, value in leaves(part, (*path, key)).items()}


@pytest.mark.parametrize("name", [name for name in FILES if name not in REFUSED])
def test_a_file_is_accepted_as_it_is_and_no_value_is_lost(name: str, tmp_path: Path) -> None:
    settings, _ = load_settings(written(tmp_path, FILES[name]))
    found = leaves(settings.model_dump(mode="json")["behaviors"])
    given = {path: value for path, value in leaves(FILES[name]["behaviors"]).items() if path[-1] not in DROPPED}
    assert {path: found.get(path) for path in given} == given
    assert settings.environment_parameters.keys() == FILES[name].get("environment_parameters", {}).keys()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_out_of_scope_is_named_in_a_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"run\.yaml:\d+: behaviors\.\w+\..*{REFUSED[name]}"):
        load_settings(written(tmp_path, FILES[name]))


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("Basic", ActionSpec(0, (3,))),
        ("FoodCollector", ActionSpec(3, (2,))),
        ("GridWorld", ActionSpec(0, (5,))),
        ("Hallway", ActionSpec(0, (5,))),
        ("Pyramids", ActionSpec(0, (5,))),
        ("PushBlock", ActionSpec(0, (7,))),
        ("WallJump", ActionSpec(0, (3, 3, 3, 2))),
    ],
)
def test_a_sac_file_makes_a_learner_for_the_actions_of_its_scene(name: str, action: ActionSpec, tmp_path: Path) -> None:
    settings, document = load_settings(written(tmp_path, FILES[f"sac/{name}"]))
    scene = ScriptedUnity(spec_of(("observation", 4), action=action), [Message([Report(0, 1.0), Report(1, 2.0)])])
    rows = UnityVectorEnv(scene).agents
    for behavior_name in settings.behaviors:
        algorithm = make_algorithm(rows, settings, behavior_name, document)
        act = algorithm.act(np.ones((2, 4 + sum(action.discrete_branches)), np.float32), np.ones(2, dtype=bool))
        assert batch_space(rows.single_action_space, 2).contains(act)
        assert algorithm.actor.memory_size == (128 if name == "Hallway" else 0)


def test_what_has_no_effect_is_said(tmp_path: Path) -> None:
    settings, _ = load_settings(written(tmp_path, FILES["sac/3DBall"]))
    said = without_effect(settings.behaviors["3DBall"])
    assert [line.partition(" has no effect")[0] for line in said] == [
        "hyperparameters.reward_signal_steps_per_update",
        "threaded: true",
    ]
    settings, _ = load_settings(written(tmp_path, FILES["sac/Pyramids"]))
    assert without_effect(settings.behaviors["Pyramids"]) == []  # its discriminator learns at that rate
    settings, _ = load_settings(written(tmp_path, FILES["imitation/PushBlock"]))
    assert "extrinsic has strength 0" in without_effect(settings.behaviors["PushBlock"])[0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            {"behaviors": {"A": {"trainer": "ppo", "batch_size": 64}}},
            "A.trainer: unknown key, did you mean trainer_type",
        ),
        ({"behaviors": {"A": BALL | {"vis_encode_type": "simple"}}}, "A.vis_encode_type: unknown key"),
        ({**FILES["ppo/Basic"], "parameter_randomization": {}}, "parameter_randomization: unknown key"),
        (
            {**FILES["ppo/Basic"], "environment_parameters": {"h": {"curriculum": [{"Lesson0": {"value": 1.0}}]}}},
            r"curriculum\.0\..*(unknown key|missing)",
        ),
    ],
)
def test_files_of_versions_before_1_are_refused_with_their_line(content: Tree, says: str, tmp_path: Path) -> None:
    assert_refused(cli("train", written(tmp_path, content)), rf"run\.yaml:\d+: .*{says}")


@pytest.mark.parametrize(
    ("kind", "wrong", "says"),
    [
        ("ppo", "beta_scedule", "did you mean beta_schedule"),
        ("sac", "bufer_size", "did you mean buffer_size"),
        ("ddpg", "nois", "did you mean noise"),
        ("td3", "policy_dela", "did you mean policy_delay"),
        ("dqn", "lambda", "known are batch_size, .*target_update_interval"),
        ("sac", "target_noise", "known are .*init_entcoef"),
        ("reinforce", "num_epoch", "did you mean num_episodes"),
        ("a2c", "nstep", "known are buffer_size, .*rms_decay"),
    ],
)
def test_a_misspelt_hyperparameter_gets_a_key_of_its_own_trainer(
    kind: str, wrong: str, says: str, tmp_path: Path
) -> None:
    content = only("A", {"trainer_type": kind, "hyperparameters": {wrong: 1}})
    with pytest.raises(UserError, match=rf"run\.yaml:\d+: behaviors\.A\.hyperparameters\.{wrong}: unknown key.*{says}"):
        load_settings(written(tmp_path, content))
