"""Offline pages: one HTML file each, with their style sheet, plots, pictures and films, and without scripts."""

from remix.show.page.media import FilmMedia, film_media, picture_uri
from remix.show.page.templates import REQUIREMENTS, lacking, require, template

__all__ = ["REQUIREMENTS", "FilmMedia", "film_media", "lacking", "picture_uri", "require", "template"]
