"""Batches out of what callers give: arrays, sequences, generators."""
