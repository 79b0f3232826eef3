"""`robotrl export --check`: each of Unity's rules, and a file that breaks just that one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tests.helpers import assert_refused, cli
from tests.trainers.edge.bundles import make_actor
from trainers.export.unity_check import RULES, check_unity_onnx
from trainers.export.unity_onnx import write_unity_onnx

Break = Callable[[ModelProto], None]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("unity")
    for kind in ("continuous", "discrete", "hybrid"):
        write_unity_onnx(make_actor(kind), folder / f"{kind}.onnx")
    return {path.stem: path for path in folder.glob("*.onnx")}


def broken_rules(path: Path) -> list[str]:
    return [verdict.rule for verdict in check_unity_onnx(path) if not verdict.passed]


@pytest.mark.parametrize("kind", ["continuous", "discrete", "hybrid"])
def test_our_own_networks_keep_every_rule(files: dict[str, Path], kind: str) -> None:
    verdicts = check_unity_onnx(files[kind])
    assert [verdict.rule for verdict in verdicts] == list(RULES)
    assert not [verdict for verdict in verdicts if not verdict.passed]


def tensor(model: ModelProto, name: str) -> onnx.ValueInfoProto:
    return next(value for value in (*model.graph.input, *model.graph.output) if value.name == name)


def constant(model: ModelProto, output: str) -> TensorProto:
    """The initialiser behind a constant output."""
    behind = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Identity"}
    name = behind.get(output, output)
    return next(held for held in model.graph.initializer if held.name == behind.get(name, name))


def external(model: ModelProto) -> None:
    held = max(model.graph.initializer, key=lambda part: len(part.raw_data))
    held.data_location = TensorProto.EXTERNAL
    held.external_data.add(key="location", value="weights.bin")


def newer_opset(model: ModelProto) -> None:
    model.opset_import[0].version = 17


def own_operator(model: ModelProto) -> None:
    """An operator of ONNX Runtime's own domain, which nothing reads."""
    model.graph.node.append(helper.make_node("Gelu", ["obs_0"], ["unread"], domain="com.microsoft"))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def unread_input(name: str, *shape: int | str, dtype: int = TensorProto.FLOAT) -> Break:
    def change(model: ModelProto) -> None:
        model.graph.input.append(helper.make_tensor_value_info(name, dtype, shape))

    return change


def set_axis(name: str, axis: int, value: int | str) -> Break:
    def change(model: ModelProto) -> None:
        dimension = tensor(model, name).type.tensor_type.shape.dim[axis]
        dimension.Clear()
        if isinstance(value, int):
            dimension.dim_value = value
        else:
            dimension.dim_param = value

    return change


def drop_output(*names: str) -> Break:
    def change(model: ModelProto) -> None:
        kept = [value for value in model.graph.output if value.name not in names]
        model.graph.ClearField("output")
        model.graph.output.extend(kept)

    return change


def set_constant(name: str, *values: float) -> Break:
    def change(model: ModelProto) -> None:
        held = constant(model, name)
        shape = (*numpy_helper.to_array(held).shape[:-1], len(values))
        held.CopyFrom(numpy_helper.from_array(np.array(values, np.float32).reshape(shape), held.name))
        axes = tensor(model, name).type.tensor_type.shape.dim
        axes[-1].dim_value = len(values)

    return change


def through(operator: str, output: str, dtype: int, to: int) -> Break:
    """Let an output pass through one more operator."""

    def change(model: ModelProto) -> None:
        for node in model.graph.node:
            node.output[:] = [f"{name}.before" if name == output else name for name in node.output]
        model.graph.node.append(helper.make_node(operator, [f"{output}.before"], [output], to=to))
        tensor(model, output).type.tensor_type.elem_type = dtype

    return change


def invert_masks(model: ModelProto) -> None:
    for node in model.graph.node:
        node.input[:] = ["masks.inverted" if name == "action_masks" else name for name in node.input]
    one = numpy_helper.from_array(np.ones(1, np.float32), "masks.one")
    model.graph.initializer.append(one)
    model.graph.node.insert(0, helper.make_node("Sub", ["masks.one", "action_masks"], ["masks.inverted"]))


def random_best(model: ModelProto) -> None:
    """Give the drawn action out as the deterministic one."""
    for node in model.graph.node:
        node.output[:] = [f"{name}.unread" if name.startswith("deterministic_") else name for name in node.output]
    model.graph.node.append(helper.make_node("Identity", ["continuous_actions"], ["deterministic_continuous_actions"]))


def triple(model: ModelProto) -> None:
    three = numpy_helper.from_array(np.full(1, 3.0, np.float32), "three")
    model.graph.initializer.append(three)
    for node in model.graph.node:
        node.output[:] = [f"{name}.before" if name == "continuous_actions" else name for name in node.output]
    model.graph.node.append(helper.make_node("Mul", ["continuous_actions.before", "three"], ["continuous_actions"]))


def fail_at_three(model: ModelProto) -> None:
    """Hold the batch to one inside."""
    shape = numpy_helper.from_array(np.array([1, 27], np.int64), "fixed")
    model.graph.initializer.append(shape)
    for node in model.graph.node:
        node.input[:] = ["obs.fixed" if name == "obs_0" else name for name in node.input]
    model.graph.node.insert(0, helper.make_node("Reshape", ["obs_0", "fixed"], ["obs.fixed"]))


BROKEN: dict[str, tuple[str, Break]] = {
    "opset 7 to 15": ("continuous", newer_opset),
    "operators of ONNX itself only": ("continuous", own_operator),
    "inputs are obs_<i>, action_masks, recurrent_in": ("continuous", unread_input("vector_observation", "batch", 3)),
    "observations are numbered from obs_0 without a gap": ("continuous", unread_input("obs_2", "batch", 3)),
    "observations have 2 axes, or 3 or 4 (images: batch, C, H, W)": (
        "continuous",
        unread_input("obs_1", "batch", 1, 2, 3, 4),
    ),
    "only the batch axis is dynamic": ("continuous", unread_input("obs_1", "batch", "width")),
    "no input of zero width": ("continuous", unread_input("obs_1", "batch", 0)),
    "the network runs": ("continuous", fail_at_three),
    "output version_number is float, 2 or 3": ("continuous", set_constant("version_number", 4.0)),
    "output memory_size is float, 0 or more": ("continuous", drop_output("memory_size")),
    "continuous_actions is float [batch, n]": ("hybrid", drop_output("continuous_actions")),
    "continuous_action_output_shape is float, n": ("continuous", set_constant("continuous_action_output_shape", 7.0)),
    "deterministic_continuous_actions is float [batch, n]": (
        "continuous",
        drop_output("deterministic_continuous_actions"),
    ),
    "continuous actions are in [-1, 1]": ("continuous", triple),
    "discrete_actions is int64 [batch, branches]": (
        "discrete",
        through("Cast", "discrete_actions", TensorProto.FLOAT, to=TensorProto.FLOAT),
    ),
    "discrete_action_output_shape is float [1, branches]": (
        "discrete",
        through("Cast", "discrete_action_output_shape", TensorProto.INT64, to=TensorProto.INT64),
    ),
    "deterministic_discrete_actions is int64 [batch, branches]": (
        "discrete",
        through("Cast", "deterministic_discrete_actions", TensorProto.INT32, to=TensorProto.INT32),
    ),
    "masks: 1 allows, 0 forbids": ("discrete", invert_masks),
    "recurrent_in and recurrent_out are [batch, 1, memory_size]": ("continuous", set_constant("memory_size", 8.0)),
    "deterministic outputs are": ("continuous", random_best),
}
# what else is then wrong, because it rests on the same thing
BESIDE = {
    "continuous_actions is float [batch, n]": {"continuous_action_output_shape is float, n"},
    "the network runs": {"continuous actions are in [-1, 1]", "deterministic outputs are"},
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_file_that_breaks_one_rule_fails_that_one(files: dict[str, Path], tmp_path: Path, rule: str) -> None:
    kind, change = BROKEN[rule]
    model = onnx.load(files[kind])
    change(model)
    path = tmp_path / "broken.onnx"
    onnx.save(model, path)
    assert set(broken_rules(path)) - BESIDE.get(rule, set()) == {rule}


def test_weights_in_another_file_are_found(files: dict[str, Path], tmp_path: Path) -> None:
    """Nothing that needs a run holds then: the weights are not here."""
    model = onnx.load(files["continuous"])
    external(model)
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    assert broken_rules(tmp_path / "a.onnx")[0] == "one file holds everything"


def test_an_input_of_whole_numbers_is_found(files: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(files["continuous"])
    unread_input("obs_1", "batch", 3, dtype=TensorProto.INT32)(model)
    onnx.save(model, tmp_path / "a.onnx")
    assert "inputs are float" in broken_rules(tmp_path / "a.onnx")


def test_a_network_without_actions_is_found(files: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(files["continuous"])
    drop_output("continuous_actions", "continuous_action_output_shape", "deterministic_continuous_actions")(model)
    onnx.save(model, tmp_path / "a.onnx")
    assert broken_rules(tmp_path / "a.onnx") == ["there are actions"]


def test_masks_of_another_width_are_found(files: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(files["discrete"])
    set_constant("discrete_action_output_shape", 8.0)(model)
    onnx.save(model, tmp_path / "a.onnx")
    assert "action_masks is [batch, choices], where there are choices" in broken_rules(tmp_path / "a.onnx")


def test_a_constant_that_is_only_an_initialiser_is_found(files: dict[str, Path], tmp_path: Path) -> None:
    """C# reads the outputs of a run."""
    model = onnx.load(files["continuous"])
    drop_output("version_number")(model)
    model.graph.initializer.append(numpy_helper.from_array(np.array([3.0], np.float32), "version_number"))
    kept = [node for node in model.graph.node if "version_number" not in node.output]
    model.graph.ClearField("node")
    model.graph.node.extend(kept)
    onnx.save(model, tmp_path / "a.onnx")
    found = {verdict.rule: verdict.found for verdict in check_unity_onnx(tmp_path / "a.onnx") if not verdict.passed}
    assert found["output version_number is float, 2 or 3"] == "an initialiser, but no output"


def unknown_type(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = 77


def twice(model: ModelProto) -> None:
    model.graph.output.append(model.graph.output[0])


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("continuous", unknown_type),
        ("continuous", twice),
        ("continuous", set_axis("obs_0", 1, -1)),
        ("continuous", set_axis("obs_0", 1, 10**9)),
        ("continuous", set_constant("memory_size", float("nan"))),
        ("continuous", set_constant("memory_size", float("inf"))),
        ("discrete", set_constant("discrete_action_output_shape", 0.0)),
        ("discrete", set_constant("discrete_action_output_shape", -1.0)),
        ("discrete", set_constant("discrete_action_output_shape", float("inf"))),
        ("hybrid", set_constant("discrete_action_output_shape", 3.0, 2.0, 0.0)),
    ],
)
def test_what_no_exporter_would_write_is_judged_all_the_same(
    files: dict[str, Path], tmp_path: Path, kind: str, change: Break
) -> None:
    model = onnx.load(files[kind])
    change(model)
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    verdicts = check_unity_onnx(tmp_path / "a.onnx")
    assert [verdict.rule for verdict in verdicts] == list(RULES)
    assert not all(verdict.passed for verdict in verdicts)


def test_every_rule_has_a_file_that_breaks_it() -> None:
    elsewhere = {
        "one file holds everything",
        "inputs are float",
        "there are actions",
        "action_masks is [batch, choices], where there are choices",
    }
    assert set(RULES) == set(BROKEN) | elsewhere


def test_the_command_prints_every_rule_and_fails_where_one_is_broken(files: dict[str, Path], tmp_path: Path) -> None:
    good = cli("export", "--check", files["hybrid"])
    assert good.code == 0
    assert good.out.count("pass") == len(RULES)
    assert f"{len(RULES)} of {len(RULES)} rules hold" in good.out
    model = onnx.load(files["hybrid"])
    newer_opset(model)
    onnx.save(model, tmp_path / "broken.onnx")
    bad = cli("export", "--check", tmp_path / "broken.onnx")
    assert bad.code == 1
    assert bad.out.count("FAIL") == 1


@pytest.mark.parametrize("content", [None, b"", b"not a network" * 100])
def test_what_is_no_onnx_file_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.onnx"
    if content is not None:
        path.write_bytes(content)
    assert_refused(cli("export", "--check", path), "a.onnx: ")
