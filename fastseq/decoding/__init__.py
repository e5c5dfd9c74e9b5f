"""Sequences out of a model, token by token: greedy, sampled and beam search, one region of native code a call."""

from fastseq.configs.lazy_names import own_face, publish
from fastseq.decoding.decoder import Decoder
from fastseq.decoding.generation import generate
from fastseq.decoding.loop import Decoded

__all__ = ["Decoded", "Decoder", "generate"]
publish(globals())
__getattr__, __dir__ = own_face(globals())
