"""What models write to files and read from them; `fastseq.saving` does it."""


class Filed:
    """Mixed into `Model`."""

    def to_json(self, **kwargs):
        """The model's config as JSON text, in Keras's form.

        Args:
            **kwargs: Those of `json.dumps`.

        Returns:
            str.
        """
        import json

        from fastseq.configs.serialization import serialize_keras_object

        return json.dumps(serialize_keras_object(self), **kwargs)

    def save(self, filepath, overwrite=True, zipped=None, **kwargs):
        """Writes the model to a `.keras` file, or the older `.h5`; see `fastseq.saving.save_model`.

        Args:
            filepath (str, path or file): A path that ends in .keras, .h5 or .hdf5, or a binary file object.
            overwrite (bool, default True): False raises FileExistsError for an existing file.
            zipped (bool, default None): None or True.
            **kwargs: `include_optimizer`.

        Raises:
            ValueError: Other formats and arguments.
        """
        from fastseq import saving

        saving.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath, overwrite=True):
        """Writes the weights to a `.weights.h5` file; see `fastseq.saving.save_weights`.

        Args:
            filepath (str, path or file): A path that ends in .weights.h5, or a binary file object.
            overwrite (bool, default True): False raises FileExistsError for an existing file.

        Raises:
            ValueError: Another ending.
        """
        from fastseq import saving

        saving.save_weights(self, filepath, overwrite=overwrite)

    def load_weights(self, filepath, skip_mismatch=False, by_name=False, objects_to_skip=None):
        """Reads the weights from a file; see `fastseq.saving.load_weights`.

        Args:
            filepath (str, path, bytes or file): `.weights.h5`, `.keras` or the older `.h5`.
            skip_mismatch (bool, default False): Whether to warn and leave alone what has another shape.
            by_name (bool, default False): Whether to match layers by name instead of by order; older HDF5 only.
            objects_to_skip (list, default None): Layers to leave alone; `.weights.h5` and `.keras` only.

        Raises:
            FileFormatError: A file that is broken, or is another model's.
            ValueError: A model without weights yet.
        """
        from fastseq import saving

        saving.load_weights(
            self, filepath, by_name=by_name, skip_mismatch=skip_mismatch, objects_to_skip=objects_to_skip
        )
