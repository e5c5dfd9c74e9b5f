"""Programs of native steps: how they are built, run and kept, and how weights are laid out for them."""
