"""What A1111 and Forge run at their start: a video encoder, where there is none, and nothing else.

ComfyUI-Manager runs a file of this name too. There is no `launch` there, and ComfyUI has an encoder.
"""

import importlib.util
import shutil

ENCODER = "imageio-ffmpeg"


def install() -> None:
    """Installs the encoder where A1111 asks for it and neither it nor an ffmpeg is found."""
    if importlib.util.find_spec("launch") is None:
        return
    import launch

    if not hasattr(launch, "run_pip") or launch.is_installed("imageio_ffmpeg") or shutil.which("ffmpeg"):
        return
    launch.run_pip(f"install {ENCODER}", f"{ENCODER}, which Remix Toolkit writes films with")


if __name__ == "__main__":
    install()
