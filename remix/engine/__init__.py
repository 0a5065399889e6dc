"""What all engines share: the base class, what an engine can do, blocks of frames, verification, and the render loop.

`render(recipe, engine, folder)` is the only loop of the product. Run again, it renders only what is missing.
"""

from remix.engine.capabilities import Capabilities, refuse_unsupported
from remix.engine.protocol import Engine, Event, Listener
from remix.engine.render import Outcome, render
from remix.motion import Picture

__all__ = ["Capabilities", "Engine", "Event", "Listener", "Outcome", "Picture", "refuse_unsupported", "render"]
