"""Training: programs of forward, loss and backward, and what `compile`, `fit` and `evaluate` are made of."""
