"""Is the bundle whole, and does it act on this machine as it did where it was exported?"""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np

from .bundle import read_bundle, verify
from .errors import EdgeError
from .networks import load_network, network_file

SAMPLES = "samples.npz"


def check_bundle(folder: Path, backend: str = "numpy") -> List[str]:
    """Verify all hashes, and replay the recorded observations; returns a line for everything that holds.

    Raises:
        EdgeError: something does not.
    """
    names = verify(Path(folder))
    bundle = read_bundle(folder, [network_file(backend), SAMPLES])
    lines = [f"{len(names)} files as they were exported: {', '.join(names)}"]
    with np.load(str(bundle.folder / SAMPLES), allow_pickle=False) as archive:
        samples = dict(archive)
    inputs = {name: np.zeros((1, *part.shape[1:]), np.float32) for name, part in samples.items() if _is_input(name)}
    network = load_network(backend, bundle.folder, inputs)
    differences = []
    for index in range(len(samples["obs_0"])):
        for name, buffer in inputs.items():
            buffer[0] = samples[name][index]
        network.run()
        differences += [np.abs(out[0] - samples[name][index]).max() for name, out in network.outputs.items()]
    worst = float(np.max(differences))  # what is not a number where one is
    tolerance = float(bundle.card["parity"]["tolerance"])
    if not worst <= tolerance:
        raise EdgeError(
            f"{bundle.folder}: {backend} differs from the trained policy by {worst:.1e} on the recorded observations, "
            f"more than {tolerance:.0e}; do not drive with it on this machine"
        )
    lines.append(
        f"{len(samples['obs_0'])} recorded observations through {backend}: actions differ by {worst:.1e} at most"
    )
    return lines


def _is_input(name: str) -> bool:
    return name.startswith("obs_") or name in ("action_masks", "recurrent_in")
