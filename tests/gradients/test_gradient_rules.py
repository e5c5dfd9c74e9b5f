"""Which operations have a gradient rule, and that each rule that is named is there."""

import importlib

import pytest

from fastseq import layers
from fastseq.gradients.backward import _FLAT
from fastseq.native.kinds import OPERATIONS
from fastseq.program import gradient_rules

# Steps of training itself, and what stands behind a forward pass.
NOT_FORWARD = {
    *("sgd", "rmsprop", "adam", "nadam", "adagrad", "adadelta", "sum_squares", "clip_scale", "product_tn", "pack"),
    *("embedding_places", "reduce_sum", "loss_weights", "loss", "hits", "column_sums"),
    *(name for name in OPERATIONS if name.endswith("_backward")),
}


def test_every_operation_of_a_forward_pass_has_a_rule():
    for name in layers.REGISTRY:
        getattr(layers, name)  # the files that emit register
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
