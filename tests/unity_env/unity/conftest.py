import pytest

from tests.unity_env.csharp import logic as csharp


@pytest.fixture(scope="session")
def logic() -> csharp.Logic:
    """The engine-free assembly, compiled and loaded; tests that need it are skipped where that cannot be."""
    if lacking := csharp.missing():
        pytest.skip(lacking)
    return csharp.logic()
