"""How hypothesis works here: without deadlines, as the machine may be busy, and in CI the same examples each time.

And where modules of tests are found: ComfyUI takes the repository for a package, and so pytest names them after its
folder. Processes that a test starts look for them by that name.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import settings

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

sys.path.append(str(Path(__file__).parents[2]))
