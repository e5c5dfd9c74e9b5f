"""Causal attention in streams: the keys and values of the timesteps before are kept, and how many there are.

They stand in arrays of the most timesteps that a stream takes, at their places from the stream's start on, so that the
blocks in which they are summed are those of the whole sequence.
"""

import numpy as np

from fastseq import ops
from fastseq.layers import time_axis
from fastseq.ops.values import Traced


def keeps_time(layer, timed, shapes, arguments):
    """layers/time_axis.py's question to a layer of queries, values and keys."""
    if not any(timed):
        return False
    if not all(timed):
        time_axis.refuse(layer, "some of its query, value and key have timesteps and some have none")
    if not arguments.get("use_causal_mask"):
        time_axis.refuse(
            layer, "it attends to all timesteps, where use_causal_mask=True takes those up to each one's own"
        )
    if len(shapes[0]) != 3:
        time_axis.refuse(layer, f"its query of shape {shapes[0]} has other axes than timesteps and features")
    if arguments.get("return_attention_scores"):
        time_axis.refuse(layer, "it returns scores, for each timestep as many as there are timesteps")
    return True


def kept(layer, p, key, value):
    """(all keys, all values, the place of the first of these timesteps) as Traced: (B, most, heads, size), (B, 1).

    key, value: Traced (B, T, heads, size) of these timesteps, which are added to what the stream keeps.
    """
    memory, (batch, time) = p.states, key.shape[:2]
    most = memory.timesteps
    if most is None:
        time_axis.refuse(
            layer, "it keeps the keys and values of all timesteps and has to know how many there are at most: "
            "stream(timesteps=1000) says so"
        )  # fmt: skip
    start = [np.zeros((batch, 1)), *(np.zeros((batch, most, *x.shape[2:])) for x in (key, value))]
    place, *before = (Traced(p, slot) for slot in memory.begin(p, start)[0])
    places = ops.add(ops.cast(place, "int32"), np.arange(time, dtype=np.int32)[None])

    def failure(position, number):
        return ValueError(
            f"Layer '{layer.name}' ({type(layer).__name__}) keeps {most} timesteps in this stream, got one at "
            f"{number}: stream(timesteps=...) says how many there are at most, and reset() starts anew."
        )

    p.step("check_ids", failure=failure, ids=places.slot, floats=None, count=batch * time, limit=most)
    rows = ops.add(places, most * np.arange(batch, dtype=np.int32)[:, None])
    rows = ops.reshape(rows, (batch * time, 1))
    found = []
    for old, new in zip(before, (key, value)):
        width = new.shape[2] * new.shape[3]
        flat = ops.reshape(old, (batch * most, width))
        flat = ops.scatter_update(flat, rows, ops.reshape(new, (batch * time, width)))
        found.append(ops.reshape(flat, old.shape))
    memory.end(layer.name, [ops.add(place, float(time)).slot, *(x.slot for x in found)])
    return *found, place


def near(place, time, most, window):
    """(B, 1, T, most): which of the kept timesteps are less than `window` away, a bool Traced."""
    places = ops.add(place, np.arange(time, dtype=np.float32)[None])
    apart = ops.subtract(ops.expand_dims(places, -1), np.arange(most, dtype=np.float32)[None, None])
    return ops.expand_dims(ops.less(ops.abs(apart), float(window)), 1)
