"""What A1111 and Forge find in a clone in their folder extensions: they run this file, and take the script from it."""

from a1111_extension import report
from a1111_extension.script import RemixScript  # noqa: F401

report.add_route()
