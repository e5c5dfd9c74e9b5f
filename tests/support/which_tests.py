"""Which tests a run takes, and in how many processes: a plugin of pytest that conftest.py loads.

`pytest`, and `pytest tests`, run everything but what the expression of -m in pyproject.toml leaves out:

- `slow`: tests that its reason says more of: kills, bombs, builds for other machines;
- `covered`: comparisons with Keras for which others stand. Of the cases of one test function that is marked
  `tensorflow`, so many are taken that each value of each parametrisation comes once; of what SAMPLES and MOST_CASES
  name, a few. A function without parameters is always taken.

What is named is run whole: a file, a test, `-k`, `--lf`; so is what another `-m` takes. `pytest --all` runs everything,
and so does `-m ""`.

A run has a process for each CPU (pytest-xdist), but one where tests are named; `-n` says otherwise. A failure is told
when it happens, and what was left out at the end.
"""

import collections
import os
import re

import pytest

DEFAULT = "not covered and not slow"  # as pyproject.toml has it
# How many stand for all values of an argument that are no options.
SAMPLES = {"seed": 4, "size": 3}
# Files whose cases are models, sets of data and orders of steps, and the most that stand for all of one function there.
# Elsewhere a case is an option: of a layer, an optimizer, a loss, a metric, a callback or a tutorial.
MOST_CASES = {
    "test_activity_regularization": 2, "test_compile_keras": 2, "test_copying": 1, "test_decoding_keras": 1,
    "test_decoding_peers": 1, "test_dict_outputs_keras": 1, "test_fit_keras": 1, "test_fit_options_keras": 1,
    "test_fit_passes_keras": 1, "test_functional": 2, "test_layers_in_models": 3, "test_logits_keras": 3,
    "test_losses_of_layers": 2, "test_mask_rules_keras": 2, "test_memory_tasks": 1, "test_saving_keras": 1,
    "test_normalization_files": 2, "test_attention_keras": 4, "test_catch_alls_keras": 1, "test_ctc_loss_keras": 2,
    "test_every_layer": 40, "test_every_layer_trains": 40, "test_gradients_dropout": 2,
    "test_gradients": 3, "test_rnn": 6, "test_gru": 8,
    # Calls of functions, one after the other in the order of their tables.
    "test_ctc_keras": 6, "test_numerical_keras": 8,
    "test_segments_keras": 8, "test_spaces_keras": 8,
    "test_convolution_keras": 8, "test_elementwise_keras": 14, "test_fourier_keras": 8, "test_functions_keras": 22,
    "test_indexing_keras": 14, "test_linear_algebra_keras": 15, "test_mathematical_keras": 14, "test_nn_keras": 15,
    "test_normalization_keras": 12, "test_reductions_keras": 14, "test_rounding_keras": 14, "test_shapes_keras": 14,
    "test_sorting_keras": 14, "test_unknown_sizes_keras": 10, "test_guide_layers_keras": 1,
    "test_random_graphs": 2, "test_random_models": 2,
    "test_saving_policies": 3, "test_saving_training_keras": 1, "test_saving_zoo": 3, "test_summary": 1,
    "test_training_peers": 1, "test_tutorials": 1,
}  # fmt: skip
MOST_PROCESSES = 4  # Each takes 0.8 GB, and 13 s of a core until its first test: collecting, and importing TensorFlow.

LEFT_OUT = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="run every test, also slow ones and every case beside Keras")


def names_tests(config):
    """Whether this run names what it wants: files or tests as arguments, words of their names, those that failed."""
    option = config.option
    return (
        option.keyword or getattr(option, "lf", False) or all("::" in arg or os.path.isfile(arg) for arg in config.args)
    )


@pytest.hookimpl(tryfirst=True)  # before xdist makes processes of the numbers
def pytest_cmdline_main(config):
    option, named = config.option, names_tests(config)
    if option.markexpr == DEFAULT and (option.all or named):
        option.markexpr = ""
    if not hasattr(option, "numprocesses") or hasattr(config, "workerinput"):  # no xdist, or one of its processes
        return
    alone = named or option.usepdb or option.collectonly or option.capture == "no"
    if option.numprocesses is None and option.dist == "no" and not option.tx and not alone:
        option.numprocesses, option.dist = processes(), "worksteal"


def processes():
    """How many a broad run has: one for each CPU, and none beside pytest's own where there is one CPU."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cpus, MOST_PROCESSES) if cpus > 1 else 0


def values_of(item):
    """The values of each parametrisation of a case, as pairs (names of its arguments, their values)."""
    params = dict(item.callspec.params) if hasattr(item, "callspec") else {}
    found = []
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs["argnames"]
        names = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
        found.append((tuple(names), repr([params.pop(name) for name in names if name in params])))
    return found + [((name,), repr(value)) for name, value in params.items()]


def spread(found, count):
    """`count` of the elements, from the first on at equal distances; all where there are no more."""
    found = list(found)
    return found if count is None or count >= len(found) else [found[i * len(found) // count] for i in range(count)]


def standing(cases, samples=SAMPLES, most=None):
    """Of the cases of one function those that stand for all, in their order: the fewest that a greedy choice finds.

    samples: how many values of an argument count; most: None, or how many cases stand at most.
    """
    values = {case: values_of(case) for case in cases}
    seen = collections.defaultdict(dict)  # names of arguments -> their values, in the order of the cases
    for found in values.values():
        for names, value in found:
            seen[names][value] = None
    missing = set()
    for names, known in seen.items():
        count = min((samples[name] for name in names if name in samples), default=None)
        missing |= {(names, value) for value in spread(known, count)}
    chosen = set()
    while missing:
        best = max(cases, key=lambda case: len(missing.intersection(values[case])))
        chosen.add(best)
        missing.difference_update(values[best])
    found = [case for case in cases if case in chosen] or cases[:1]
    return spread(found, most)


@pytest.hookimpl(tryfirst=True)  # before -m is looked at
def pytest_collection_modifyitems(config, items):
    functions = collections.defaultdict(list)
    for item in items:
        if item.get_closest_marker("tensorflow"):
            functions[item.nodeid.split("[")[0]].append(item)
    chosen = set()
    for name, cases in functions.items():
        chosen.update(standing(cases, most=MOST_CASES.get(os.path.basename(name.split("::")[0])[: -len(".py")])))
    compared = [case for cases in functions.values() for case in cases]
    for case in compared:
        if case not in chosen:
            case.add_marker("covered")
    slow = sum(item.get_closest_marker("slow") is not None for item in items)
    config.stash[LEFT_OUT] = (len(chosen), len(compared), slow) if config.option.markexpr == DEFAULT else None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, None)
    elif unknown_skips(session.config) and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def unknown_skips(config):
    """Why tests were skipped, as far as the file $FASTSEQ_KNOWN_SKIPS does not have it: a pattern in each line."""
    if "FASTSEQ_KNOWN_SKIPS" not in os.environ:
        return []
    with open(os.environ["FASTSEQ_KNOWN_SKIPS"], encoding="utf-8") as file:
        known = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    skipped = config.pluginmanager.getplugin("terminalreporter").stats.get("skipped", [])
    reasons = {report.longrepr[2].removeprefix("Skipped: ") for report in skipped}
    return sorted(reason for reason in reasons if not any(re.match(pattern, reason) for pattern in known))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out")


def pytest_terminal_summary(terminalreporter, config):
    if config.stash.get(LEFT_OUT, None):
        chosen, compared, slow = config.stash[LEFT_OUT]
        terminalreporter.write_line(
            f"{chosen:,} comparisons with Keras stood for {compared:,}, and {slow:,} slow tests were left out; "
            "pytest --all runs all."
        )
    for reason in unknown_skips(config):
        terminalreporter.write_line(f"SKIPPED for a reason that $FASTSEQ_KNOWN_SKIPS does not have: {reason}", red=True)


class Telling:
    """Tells a failure when it happens; its traceback comes at the end, as always."""

    def __init__(self, config):
        self.config = config

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report):
        if report.failed:
            reporter = self.config.pluginmanager.getplugin("terminalreporter")
            crash = getattr(report.longrepr, "reprcrash", None)
            message = crash.message.split("\n", 1)[0] if crash else ""
            reporter.write("\n" + f"FAILED {report.nodeid} - {message}"[:400] + "\n", red=True)


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Telling(config))
