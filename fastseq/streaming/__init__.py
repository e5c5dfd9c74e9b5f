"""Models timestep by timestep, with the states of their own kept between calls: `Model.stream`, `Model.stream_pool`."""

from fastseq.configs.lazy_names import own_face, publish
from fastseq.streaming.pool import StreamPool
from fastseq.streaming.stream import Stream

__all__ = ["Stream", "StreamPool"]
publish(globals())
__getattr__, __dir__ = own_face(globals())
