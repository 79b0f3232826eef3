"""Compiled functions where there is nowhere to keep them."""

from typing import Any

from unity_env.sim.compiled import compiled


def test_a_function_that_cannot_be_kept_is_compiled_all_the_same() -> None:
    names: dict[str, Any] = {}
    exec("def twice(x):\n    return 2.0 * x", names)  # it has no file that a cache could lie beside
    assert compiled(names["twice"])(21.0) == 42.0
