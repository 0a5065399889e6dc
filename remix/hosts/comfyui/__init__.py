"""ComfyUI: its graphs, written and read."""
