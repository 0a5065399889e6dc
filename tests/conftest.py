"""How tests run here: one thread, and hypothesis without deadlines, in CI with the same examples each time.

And where modules of tests are found: ComfyUI takes the repository for a package, and so pytest names them after its
folder. Processes that a test starts look for them by that name.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import settings

# Read once by OpenMP's runtime, so before anything imports torch: on a busy machine waiting threads that spin cost a
# factor of ten, and tiny models gain nothing from a second one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

sys.path.append(str(Path(__file__).parents[2]))
