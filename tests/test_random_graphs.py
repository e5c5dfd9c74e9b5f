"""Random graphs of operations between layers beside Keras 3.15 and tf_keras, which make them and save them.

`python tests/support/random_graphs.py --count 2000` runs as many as one likes, `--keras tf_keras` those of Keras 2.
"""

import warnings

import pytest
import random_check
import random_graphs


def _check(module, seed, folder):
    keras = pytest.importorskip(module)
    pytest.importorskip("tensorflow")
    program = random_graphs.write(seed, legacy=module == "tf_keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        faults = random_check.compare(keras, program, folder, train=seed % 4 == 0, graph=seed % 3 == 0)
    assert not faults, "\n".join([*map(str, faults), program.source()])


@pytest.mark.tensorflow
@pytest.mark.parametrize("seed", range(60))
def test_keras3(seed, tmp_path):
    _check("keras", seed, tmp_path)


@pytest.mark.tensorflow
@pytest.mark.parametrize("seed", range(40))
def test_keras2(seed, tmp_path):
    _check("tf_keras", seed, tmp_path)
