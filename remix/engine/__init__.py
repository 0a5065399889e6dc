"""What all engines share: the protocol, the loop that fills a job folder, and what engines agree on.

`render(recipe, engine, folder)` is the only loop of the product; run again, it renders only what is missing.
"""

from remix.engine.render import Engine, Event, Listener, Outcome, render
from remix.motion import Picture

__all__ = ["Engine", "Event", "Listener", "Outcome", "Picture", "render"]
