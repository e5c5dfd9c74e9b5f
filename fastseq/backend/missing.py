"""What Keras 2's backend has and this one has not, and what to do instead."""

_TRAINING = "Pass training=True or training=False to the call instead"
_NO_GRAPH = "There are no sessions and no global graph, arrays have their values at once"
_IMAGES = "fastseq runs sequence models, and has no kernel for images and volumes"
_SPARSE = "fastseq has no sparse arrays; ctc_batch_cost and ops.ctc_loss take dense labels and their lengths"

REASONS = {
    "learning_phase": _TRAINING,
    "set_learning_phase": _TRAINING,
    "learning_phase_scope": _TRAINING,
    "placeholder": "Use fastseq.Input instead",
    "is_placeholder": "Test with is_keras_tensor instead",
    "get_session": _NO_GRAPH,
    "set_session": _NO_GRAPH,
    "get_graph": _NO_GRAPH,
    "manual_variable_initialization": "Weights always have values here",
    "conv1d": "Use layers.Conv1D where fastseq has it, or a product of slices",
    "local_conv1d": "Use layers.LocallyConnected1D",
    **dict.fromkeys(
        ("conv2d", "conv2d_transpose", "conv3d", "depthwise_conv2d", "local_conv2d", "pool2d", "pool3d",
         "resize_images", "resize_volumes", "separable_conv2d"),
        _IMAGES,
    ),
    "ctc_label_dense_to_sparse": _SPARSE,
}  # fmt: skip
