"""What runs on the robot: Python 3.8 or newer and numpy; ONNX Runtime, TensorRT or ZeroMQ only when asked for.

It knows nothing of the rest of the project, so that the export can pack it into one file, `robotrl-edge.pyz`.
"""

from .bundle import SCHEMA_VERSION, Bundle, Safety, read_bundle
from .errors import EdgeError
from .runner import ActorRunner

__all__ = ["SCHEMA_VERSION", "ActorRunner", "Bundle", "EdgeError", "Safety", "read_bundle"]
