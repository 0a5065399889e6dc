"""Readers of tools that only their metadata brings here: each file has the signs of a tool, and a reader.

A reader gets the texts of a file, and returns None if none of them has the signs of its tool. To add a tool, write
its file and put its reader into `remix.hosts.readers`.
"""
