"""The command line in this process, for tests."""

from __future__ import annotations

from remix.client import cli

RECIPE = """\
frames = 6
size = [32, 16]
[[keyframes]]
at = 0
prompt = "a"
[[keyframes]]
at = 5
prompt = "b"
"""
"""A recipe of six frames that travels from one prompt to another."""


def run(*words: object) -> int:
    """Runs a command and returns its exit code."""
    return cli.main([str(word) for word in words])
