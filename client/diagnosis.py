"""What `remix doctor` has found: lines of a report."""

from __future__ import annotations

from dataclasses import dataclass

OK, DIFFERS, MISSING = "ok", "differs", "missing"


@dataclass(frozen=True)
class Finding:
    """One line of the report; `mend` is what to do, where there is something to do.

    `state`: "ok"; "missing" where something is wrong; "differs" where pictures are other ones than in other tools.
    """

    what: str
    found: str
    mend: str = ""
    state: str = ""

    @property
    def mark(self) -> str:
        """The state, which is "missing" where there is something to mend and nothing else is said."""
        return self.state or (MISSING if self.mend else OK)
