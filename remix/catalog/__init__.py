"""What the field calls things: samplers, schedulers and model families, one frozen row each.

Every engine and every reader of a recipe looks names and traits up here. Adding a sampler means adding a row to
`samplers`, a scheduler one to `schedulers`, a family one to `families`.
"""
