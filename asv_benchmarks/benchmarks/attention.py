"""Attention layers: heads over 64 to 2,048 timesteps, causal or not, and the layers of single scores."""

import fastseq

from .common import THREADS, LayerBenchmark, MergingBenchmark, gflops_per_second


class MultiHeadAttention(LayerBenchmark):
    """Self-attention of 8 heads over (B, T, 512); GFLOP/s by the products of scores and values, and of the weights."""

    params = [[(1, 64, 512), (8, 64, 512), (1, 512, 512), (8, 512, 512), (1, 2048, 512)], THREADS]
    heads = 8

    def make(self, batch, time, features):
        return fastseq.layers.MultiHeadAttention(self.heads, features // self.heads)

    def time_call(self, shape, threads):
        self.layer(self.x, self.x, **self.arguments)

    def track_gflops(self, shape, threads):
        batch, time, features = shape
        flops = 2 * batch * time * features * (4 * features + 2 * time)
        return gflops_per_second(lambda: self.time_call(shape, threads), flops)

    track_gflops.unit = "GFLOP/s"


class MultiHeadAttentionCausal(MultiHeadAttention):
    """The same with each timestep seeing those before it: half of the scores fall away, and still count here."""

    arguments = {"use_causal_mask": True}


class GroupQueryAttention(MultiHeadAttention):
    """8 heads of queries, 2 of keys and values; the GFLOP/s are those of 8 heads of all."""

    def make(self, batch, time, features):
        return fastseq.layers.GroupQueryAttention(features // self.heads, self.heads, 2)


class Attention(MergingBenchmark):
    def make(self, *shape):
        return fastseq.layers.Attention()


class AdditiveAttention(MergingBenchmark):
    def make(self, *shape):
        return fastseq.layers.AdditiveAttention()
