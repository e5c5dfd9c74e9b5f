"""What models write to files and read from them; `fastseq.saving` does it."""


class Saved:
    """Mixed into `Model`."""

    def to_json(self, **kwargs):
        """The model's config as JSON text, in Keras's form.

        Args:
            **kwargs: Those of `json.dumps`.

        Returns:
            str.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> models.model_from_json(model.to_json()).output_shape
            (None, 1)
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

        Example:
            >>> import tempfile
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> path = tempfile.mkdtemp() + "/model.keras"
            >>> model.save(path)
            >>> fastseq.load_model(path).output_shape
            (None, 1)
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

        Example:
            >>> import os, tempfile
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> path = tempfile.mkdtemp() + "/model.weights.h5"
            >>> model.save_weights(path)
            >>> os.path.exists(path)
            True
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

        Example:
            >>> import tempfile
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> path = tempfile.mkdtemp() + "/model.weights.h5"
            >>> fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="ones")]).save_weights(path)
            >>> model.load_weights(path)
            >>> model.predict(np.ones((1, 2)), verbose=0)
            array([[2.]], dtype=float32)
        """
        from fastseq import saving

        saving.load_weights(
            self, filepath, by_name=by_name, skip_mismatch=skip_mismatch, objects_to_skip=objects_to_skip
        )
