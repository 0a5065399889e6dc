"""The findings of `remix doctor`: lines of its report."""

from __future__ import annotations

from dataclasses import dataclass

OK, DIFFERS, MISSING = "ok", "differs", "missing"


@dataclass(frozen=True)
class Finding:
    """A line of the report; `mend` is what to do, "" if there is nothing to do.

    `state` is "ok"; "missing" if something is wrong; "differs" if pictures differ from those of other tools.
    """

    what: str
    found: str
    mend: str = ""
    state: str = ""

    @property
    def mark(self) -> str:
        """The state, by default "missing" if there is something to do."""
        return self.state or (MISSING if self.mend else OK)
