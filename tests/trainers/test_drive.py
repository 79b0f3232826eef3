"""`robotrl eval --actor`: the simulation driven through the robot's runtime, here and over UDP."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import NAME, assert_refused, cli, train_tiny
from tests.trainers.edge.bundles import edit_card, make_bundle


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("driven"), "run")


def measured(*arguments: object) -> dict[str, Any]:
    outcome = cli("eval", *arguments, "--json", "--episodes", 3)
    assert outcome.code == 0, outcome
    found: dict[str, Any] = json.loads(outcome.out)
    return found


@pytest.mark.parametrize("transport", ["direct", "udp"])
def test_the_exported_actor_does_what_the_trained_one_does(finished: Path, transport: str) -> None:
    bundle = finished / NAME / "actor"
    trained = measured(finished)["behaviors"][NAME]
    driven = measured("--actor", bundle, "--transport", transport)
    assert driven["behaviors"][NAME]["success"] == trained["success"]
    assert driven["behaviors"][NAME]["length"] == trained["length"]
    same = trained if transport == "direct" else driven["direct"][NAME]  # one row has other episodes
    assert driven["behaviors"][NAME]["return"] == pytest.approx(same["return"], abs=1e-2)
    latencies = driven["latencies_us"][NAME]
    assert set(latencies) == ({"action"} if transport == "direct" else {"action", "round trip", "transport"})
    assert all(0 <= found["p50"] <= found["max"] for found in latencies.values())


def test_the_table_tells_the_latency(finished: Path) -> None:
    outcome = cli("eval", "--actor", finished / NAME / "actor", "--episodes", 2)
    assert outcome.code == 0, outcome
    assert "through the edge runtime (direct)" in outcome.out
    assert f"{NAME}: action" in outcome.out


def test_a_bundle_that_does_not_fit_is_one_clear_line(finished: Path, tmp_path: Path) -> None:
    bundle = finished / NAME / "actor"
    other = Path(shutil.copytree(bundle, tmp_path / "other"))
    edit_card(other, behavior="Walker")
    assert_refused(cli("eval", "--actor", other), f"an actor for Walker; the scene has {NAME}")
    damaged = Path(shutil.copytree(bundle, tmp_path / "damaged"))
    (damaged / "actor.npz").write_bytes(b"")
    assert_refused(cli("eval", "--actor", damaged), "actor.npz: was changed or damaged")
    assert_refused(cli("eval", "--actor", tmp_path), "not a bundle")
    assert_refused(cli("eval"), "name a run to measure, or an exported --actor")
    assert_refused(cli("eval", "--actor", bundle, "--video", tmp_path / "a.mp4"), "--video: films a run's own policy")
    mobile = make_bundle(tmp_path / "mobile", "discrete", formats=("numpy",)).folder
    edit_card(mobile, behavior=NAME)
    assert_refused(
        cli("eval", finished, "--actor", mobile), r"the actor has .* \(31, 0, \(9,\)\), the scene \(27, 6, \(\)\)"
    )
    hybrid = make_bundle(tmp_path / "hybrid", "hybrid", formats=("numpy",)).folder
    assert_refused(cli("eval", "--actor", hybrid), "the bundle knows no task; name the run")
