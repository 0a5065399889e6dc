"""Code that all syntaxes share: parsing a text with positions, and writing one."""
