"""What a model does with one batch of `fit` and `evaluate`, for subclasses to override, and what they need for it."""


class Steps:
    """Mixed into `Model`. See "Customizing what happens in fit()": https://keras.io/guides/custom_train_step_in_jax/"""

    def train_step(self, data):
        """One step of training, which `fit` and `train_on_batch` call where a subclass overrides it.

        By itself it is the native step: forward, loss, gradients and updates in one call. A subclass's own takes
        gradients with `fastseq.value_and_grad`, and `self.optimizer.apply(gradients, variables)` changes the weights.

        Args:
            data (tuple): (x,), (x, y) or (x, y, sample_weight) of a batch.

        Returns:
            dict name -> number: what the logs have.

        Example:
            >>> class Own(fastseq.Sequential):
            ...     def compile(self, **kwargs):
            ...         super().compile(**kwargs)
            ...         self.gradients = fastseq.value_and_grad(self.loss_of, has_aux=True)
            ...     def loss_of(self, variables, x, y):
            ...         y_pred = self(x, training=True)
            ...         return self.compute_loss(y=y, y_pred=y_pred), y_pred
            ...     def train_step(self, data):
            ...         x, y = data
            ...         variables = self.trainable_variables
            ...         (loss, y_pred), gradients = self.gradients(variables, x, y)
            ...         self.optimizer.apply(gradients, variables)
            ...         for metric in self.metrics:
            ...             metric.update_state(loss) if metric.name == "loss" else metric.update_state(y, y_pred)
            ...         return {metric.name: metric.result() for metric in self.metrics}
            >>> model = Own([fastseq.Input((3,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
            >>> history = model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0).history
            >>> history["loss"], history["mae"]
            ([1.0], [1.0])
        """
        trainer = self._trainer_for("train_step")
        trainer.train_natively(*_parts(data))
        return trainer.native_results()

    def test_step(self, data):
        """The loss and the metrics of a batch, which `evaluate` and validation call where a subclass overrides it.

        Args:
            data (tuple): As of `train_step`.

        Returns:
            dict name -> number.

        Example:
            >>> class Own(fastseq.Sequential):
            ...     def test_step(self, data):
            ...         return {**super().test_step(data), "rows": float(len(data[0]))}
            >>> model = Own([fastseq.Input((3,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile("sgd", "mse")
            >>> model.evaluate(np.ones((4, 3)), np.ones((4, 1)), verbose=0, return_dict=True)
            {'loss': 1.0, 'rows': 4.0}
        """
        trainer = self._trainer_for("test_step")
        trainer.test_natively(*_parts(data))
        return trainer.native_results()

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss that `compile` was told, of predictions, with the penalties of regularizers.

        Args:
            x (array, default None): The inputs, which subclasses may want.
            y (array or nest, default None): Labels, as of `fit`.
            y_pred (array or nest, default None): The model's outputs.
            sample_weight (array or nest, default None): As of `fit`.
            training (bool, default True): For subclasses.

        Returns:
            A number; in what `value_and_grad` traces, an array of it.

        Raises:
            ValueError: A model that is not compiled, and one without any loss.

        Example:
            >>> model = fastseq.Sequential([fastseq.Input((3,)), layers.Dense(1)])
            >>> model.compile("sgd", "mse")
            >>> y = np.ones((4, 1), dtype="float32")
            >>> float(model.compute_loss(y=y + 2.0, y_pred=y))
            4.0
        """
        from fastseq.training.compute_loss import compute_loss

        return compute_loss(self, y, y_pred, sample_weight)


def _parts(data):
    """x, y and sample_weight of a batch."""
    x, y, weight = (*data, None, None)[:3] if isinstance(data, (tuple, list)) else (data, None, None)
    return x, y, weight
