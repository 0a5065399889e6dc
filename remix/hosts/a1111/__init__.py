"""AUTOMATIC1111 and Forge: their infotext, and the settings by which they give the same pictures as other tools."""
