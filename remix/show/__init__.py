"""Views for users: curves of a schedule, its table, and the contact sheet and report of a film."""

from remix.show.contact_sheet import contact_sheet

__all__ = ["contact_sheet"]
