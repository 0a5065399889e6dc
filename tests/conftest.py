"""How tests run here: one thread, and hypothesis without deadlines, in CI with the same examples each time.

HYPOTHESIS_PROFILE=few tries fewer examples, for a second run on another Python version.

A shell turns signals off for background jobs, and child processes inherit that. They are turned on again here, because
some tests interrupt their children.

The parent folder is added to sys.path: the repository is a package for ComfyUI, so pytest names test modules after its
folder, and child processes import them by that name.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from hypothesis import settings

# Read once by OpenMP's runtime, so before anything imports torch: on a busy machine waiting threads that spin cost a
# factor of ten, and tiny models gain nothing from a second one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

for name, usual in (("SIGINT", signal.default_int_handler), ("SIGTERM", signal.SIG_DFL), ("SIGHUP", signal.SIG_DFL)):
    if (number := getattr(signal, name, None)) is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("few", deadline=None, derandomize=True, max_examples=20)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "here"))

sys.path.append(str(Path(__file__).parents[2]))
