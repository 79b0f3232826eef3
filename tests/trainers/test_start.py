"""The first moment of the command line."""

import subprocess
import sys

INTERRUPTED = """
import sys

class Interrupted:
    def find_spec(self, name, path, target=None):
        if name == "trainers.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
from trainers.__main__ import main
main()
"""


def test_ctrl_c_while_the_command_line_is_imported_leaves_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_package_is_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trainers", "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0
    assert "Train robot policies" in done.stdout
