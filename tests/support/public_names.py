"""The modules whose `__all__` is what fastseq offers."""

MODULES = (
    "fastseq", "fastseq.activations", "fastseq.backend", "fastseq.callbacks", "fastseq.constraints",
    "fastseq.decoding", "fastseq.initializers", "fastseq.layers", "fastseq.losses", "fastseq.metrics",
    "fastseq.models", "fastseq.ops", "fastseq.optimizers", "fastseq.optimizers.schedules",
    "fastseq.regularizers", "fastseq.saving", "fastseq.streaming",
)  # fmt: skip


def classes_of(table, *bases):
    """Names of the classes in a table of names, without those that only others derive from."""
    return {item.__name__ for item in table.values() if isinstance(item, type)} - set(bases)
