"""The names used in this field: samplers, schedulers and model families, one frozen row each.

Every engine and every reader of a recipe looks up names and traits here. A new sampler is a row in `samplers`, a
scheduler one in `schedulers`, a family one in `families`.
"""
