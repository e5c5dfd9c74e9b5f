"""Which rule gives the gradient of an operation: said by the file that adds the operation's steps to programs.

A rule is a function of (`gradients.backward.Backward`, step) that adds the steps of the gradients of what the step
reads. It may be named by its module, which is then imported by the first program that trains through it: a program that
only predicts pays nothing for gradients.
"""

import importlib

_rules = {}
_found = {}  # the functions of rules that are named, once they have been asked for


def register(operation, rule):
    """Says which rule an operation has.

    Args:
        operation (str): A name of `FS_OPS`.
        rule: The function, or "module:function" below fastseq.

    Raises:
        ValueError: The operation has another rule already.
    """
    if _rules.setdefault(operation, rule) != rule:
        raise ValueError(f"The operation {operation!r} has a gradient rule already: {_rules[operation]}.")


def rule_of(operation):
    """The rule of an operation, None where nobody has said one."""
    rule = _rules.get(operation)
    if isinstance(rule, str):
        if operation not in _found:
            module, name = rule.split(":")
            _found[operation] = getattr(importlib.import_module(f"fastseq.{module}"), name)
        rule = _found[operation]
    return rule
