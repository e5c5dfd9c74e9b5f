"""Gradient rules by name: the same one may be said again, whenever that comes."""

import pytest

import fastseq.layers.dense_steps  # noqa: F401 - which says the rule of "dense"
from fastseq.gradients.products import dense_rule
from fastseq.program import gradient_rules


def test_the_same_rule_may_be_said_again_after_it_was_used():
    assert gradient_rules.rule_of("dense") is dense_rule
    gradient_rules.register("dense", "gradients.products:dense_rule")
    with pytest.raises(ValueError, match="'dense' has a gradient rule already"):
        gradient_rules.register("dense", "gradients.products:another")
