"""One file for each experiment. Its first line says what the experiment shows; `TEXT` has its words; `run` its parts.

`TEXT` maps names to English texts: "title", "introduction", the questions "q1" to "q3" with their answers "a1" to "a3",
and whatever `run` asks for. Files in `client/lab/languages` translate them.
"""
