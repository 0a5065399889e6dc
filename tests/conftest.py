"""How tests run here: one thread, and hypothesis without deadlines, in CI with the same examples each time.

Signals that whoever started the tests has turned off, as a shell does for what it runs in the background, are on again:
runs that tests interrupt inherit them, and leave those alone that are off.

And where modules of tests are found: ComfyUI takes the repository for a package, and so pytest names them after its
folder. Processes that a test starts look for them by that name.
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
settings.load_profile("ci" if os.environ.get("CI") else "here")

sys.path.append(str(Path(__file__).parents[2]))
