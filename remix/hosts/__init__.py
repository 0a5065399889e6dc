"""What is known about ComfyUI and A1111 that is only text and numbers: labels, settings, metadata, graphs."""
