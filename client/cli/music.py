"""`remix music`: measures a song and prints its tempo, beats and onsets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from remix.client.cli.outputs import print_data
from remix.motion.song import measured_song
from remix.plan.documents import write_toml
from remix.plan.music import Music, plain_music

SHOWN = 8
"""The number of times of each kind that are printed."""


@click.command("music")
@click.argument("song", type=click.Path(path_type=Path))
@click.option("--toml", "as_toml", is_flag=True, help="Print all numbers as the [music] table of a recipe.")
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
def command(song: Path, as_toml: bool, as_json: bool) -> None:
    """Prints the tempo, beats, bars and onsets of SONG, a sound file or a film with sound.

    A song is measured once; the numbers are kept in the user's cache. A recipe that contains them needs neither the
    song nor librosa to be planned.
    """
    music = Music(song.name, **measured_song(song.parent, song.name))
    if as_json:
        print_data(json.dumps(plain_music(music), ensure_ascii=False) + "\n")
    elif as_toml:
        print_data(write_toml({"music": plain_music(music)}).lstrip("\n"))
    else:
        click.echo(f"length  {music.length:g} s")
        click.echo(f"tempo   {music.tempo:g} beats per minute")
        for name, times in (("beats", music.beats), ("bars", music.bars), ("onsets", music.onsets)):
            click.echo(f"{name:8}{_shown(times)}")


def _shown(times: Sequence[float]) -> str:
    """Returns the number of times, and the first of them."""
    first = ", ".join(f"{time:.2f}" for time in times[:SHOWN])
    more = ", ..." if len(times) > SHOWN else ""
    return f"{len(times)}, at {first}{more} s" if times else "none"
