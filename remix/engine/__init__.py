"""The parts that all engines share: base class, capabilities, blocks of frames, verification, and the render loop.

`render(recipe, engine, folder)` is the only loop of the toolkit. Run again, it only renders the missing frames.
"""

from remix.engine.capabilities import Capabilities, refuse_unsupported
from remix.engine.protocol import Engine, Event, Listener, WorkerEvent
from remix.engine.render import Outcome, render
from remix.motion import Picture

__all__ = [
    "Capabilities",
    "Engine",
    "Event",
    "Listener",
    "Outcome",
    "Picture",
    "WorkerEvent",
    "refuse_unsupported",
    "render",
]
