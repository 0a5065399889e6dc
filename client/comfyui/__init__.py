"""The engine that renders on a ComfyUI server, over its API."""
