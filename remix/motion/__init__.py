"""Writes pictures as films and reads them back: bounded reading, streamed encoding, verified results."""

from remix.motion.ffmpeg import ffmpeg_exe, ffmpeg_version
from remix.motion.formats import FORMATS, Format
from remix.motion.frames import film_order
from remix.motion.images import load_frame, load_picture, open_image
from remix.motion.pictures import Picture, fit, only_colour, pad_to_even, png_bytes, save_picture
from remix.motion.reading import probe, probe_sound, read_video
from remix.motion.streams import Sound, VideoInfo
from remix.motion.texts import read_tags
from remix.motion.video import write_video

__all__ = [
    "FORMATS",
    "Format",
    "Picture",
    "Sound",
    "VideoInfo",
    "ffmpeg_exe",
    "ffmpeg_version",
    "film_order",
    "fit",
    "load_frame",
    "load_picture",
    "only_colour",
    "open_image",
    "pad_to_even",
    "png_bytes",
    "probe",
    "probe_sound",
    "read_tags",
    "read_video",
    "save_picture",
    "write_video",
]
