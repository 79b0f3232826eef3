"""Weights & Biases, beside TensorBoard: everything that is logged, where the settings ask for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainers.errors import UserError
from trainers.metrics import Mirror
from trainers.settings import RunSettings


class WandbLog:
    """A run at Weights & Biases; a behavior's metrics are drawn over its own steps.

    Args:
        settings: of the run, `wandb` among them.
        folder: of the run.

    Raises:
        UserError: the package is missing, or the service refuses.
    """

    def __init__(self, settings: RunSettings, folder: Path) -> None:
        assert settings.wandb is not None
        wandb = import_wandb()
        try:
            self._run = wandb.init(
                project=settings.wandb.project,
                entity=settings.wandb.entity,
                mode=settings.wandb.mode,
                name=settings.checkpoint_settings.run_id,
                dir=str(folder),
                config=settings.model_dump(mode="json"),
            )
        except Exception as error:  # the package raises many kinds
            raise UserError(
                f"wandb: {str(error).strip().splitlines()[0]}; wandb.mode: offline needs no service"
            ) from None

    def mirror(self, behavior: str) -> Mirror:
        """Return what takes a behavior's metrics."""
        step_name = f"{behavior}/step"
        self._run.define_metric(step_name)
        self._run.define_metric(f"{behavior}/*", step_metric=step_name)

        def write(step: int, values: Mapping[str, float]) -> None:
            self._run.log({step_name: step, **{f"{behavior}/{name}": value for name, value in values.items()}})

        return write

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()


def import_wandb() -> Any:
    """Return the package.

    Raises:
        UserError: it is missing.
    """
    try:
        import wandb  # noqa: PLC0415  # an optional extra
    except ModuleNotFoundError:
        raise UserError("wandb: the package is missing: pip install 'unity-robot-rl[wandb]'") from None
    return wandb
