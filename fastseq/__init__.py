"""fastseq runs trained Keras sequence models on CPUs, without TensorFlow."""

__version__ = "0.1.0"
