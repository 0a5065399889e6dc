"""What all syntaxes share: taking a text apart with its positions, and writing one."""
