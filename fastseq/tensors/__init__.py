"""What flows and what is kept: arrays, nested structures, symbolic tensors, variables, names, seeds."""
