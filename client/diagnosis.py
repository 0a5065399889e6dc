"""Findings of `remix doctor`: the lines of its report."""

from __future__ import annotations

from dataclasses import dataclass

OK, DIFFERS, MISSING = "ok", "differs", "missing"


@dataclass(frozen=True)
class Finding:
    """A line of the report. `mend` says what to do; it is "" if nothing is needed.

    `state` is "ok", "missing" (something is wrong), or "differs" (pictures differ from those of other tools).
    """

    what: str
    found: str
    mend: str = ""
    state: str = ""

    @property
    def mark(self) -> str:
        """The state. Defaults to "missing" if something needs to be done."""
        return self.state or (MISSING if self.mend else OK)
