"""Which operations have a gradient rule, and that each rule that is named is there."""

import importlib

import pytest

from fastseq import layers, ops
from fastseq.gradients.backward import _FLAT
from fastseq.native.kinds import OPERATIONS
from fastseq.program import gradient_rules

# Steps of training itself, what stands behind a forward pass, and sums whose reader knows the gradient as a whole.
NOT_FORWARD = {
    *("sgd", "rmsprop", "adam", "nadam", "adagrad", "adadelta", "sum_squares", "clip_scale", "product_tn", "pack"),
    *("embedding_places", "reduce_sum", "loss_weights", "loss", "hits", "column_sums", "channel_sums"),
    *(name for name in OPERATIONS if name.endswith("_backward")),
}


def test_every_operation_of_a_forward_pass_has_a_rule():
    for name in layers.REGISTRY:
        getattr(layers, name)  # the files that emit register
    for name in ops.__all__:
        getattr(ops, name)
    forward = set(OPERATIONS) - NOT_FORWARD - _FLAT
    assert {name for name in OPERATIONS if gradient_rules.rule_of(name) is not None} == forward


def test_rules_are_found_by_name():
    assert gradient_rules.rule_of("copy") is importlib.import_module("fastseq.gradients.elementwise").copy_rule


def test_a_rule_that_was_found_may_be_said_again():
    """By a file that is imported after a training program."""
    rule = gradient_rules.rule_of("copy")
    gradient_rules.register("copy", "gradients.elementwise:copy_rule")
    assert gradient_rules.rule_of("copy") is rule


def test_no_two_rules():
    with pytest.raises(ValueError, match="'copy' has a gradient rule already"):
        gradient_rules.register("copy", "gradients.elementwise:binary_rule")


def test_a_rule_may_be_named_again_after_it_was_asked_for():
    """Two files that add the same operation both name its rule; the second may be imported after the first trained."""
    name = "gradients.products:dense_rule"
    gradient_rules.register("dense", name)
    assert gradient_rules.rule_of("dense").__name__ == "dense_rule"
    gradient_rules.register("dense", name)
    with pytest.raises(ValueError, match="'dense' has a gradient rule already"):
        gradient_rules.register("dense", "gradients.products:another")
