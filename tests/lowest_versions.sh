#!/bin/sh
# Runs tests with the lowest versions of NumPy, h5py and tqdm that pyproject.toml allows, without Keras: that the
# bounds are true. From the root of the repository:
#
#     tests/lowest_versions.sh                     with the extensions as they are built in the tree
#     tests/lowest_versions.sh dist/fastseq_cpu-*.whl  with a wheel
#     PYTHON=python3.10 FOLDER=/tmp/lowest tests/lowest_versions.sh dist/fastseq_cpu-*.whl
#
# A minute or two. The environment stays in $FOLDER, and is used again. Wheels of the oldest versions are there for
# Python 3.10 to 3.12.
set -e
PYTHON=${PYTHON:-python3}
FOLDER=${FOLDER:-build/lowest}
ROOT=$(pwd)

pins() {
    "$PYTHON" - <<'PINS'
import re
text = open("fastseq/requirements.py").read()
for name, lowest in re.findall(r'"(\w+)": "([\d.]+)"', text):
    print(f"{name}=={lowest}.0")
PINS
}

[ -x "$FOLDER/bin/python" ] || "$PYTHON" -m venv "$FOLDER"
"$FOLDER/bin/python" -m pip install -q $(pins) "hypothesis>=6.100" "pytest>=8"
PLACE=$("$FOLDER/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
rm -f "$PLACE/fastseq-tree.pth"
if [ -n "$1" ]; then
    "$FOLDER/bin/python" -m pip install -q --no-deps --force-reinstall "$1"
else
    echo "$ROOT" >"$PLACE/fastseq-tree.pth"
fi

# Tests find fastseq by the environment, not by the folder that they are started in.
BIN=$(cd "$FOLDER/bin" && pwd)
cd tests
"$BIN/python" - <<'SHOW'
import fastseq, h5py, numpy, tqdm
for module in (numpy, h5py, tqdm, fastseq):
    print(f"{module.__name__} {module.__version__} {module.__file__}")
SHOW
TESTS=""
for name in requirements runtime saving_hdf5 saving_files saving_sources saving_training saving_config zip_members \
    backups cli dense dot einsum_dense embedding gru lstm rnn \
    merging program predict streaming streaming_states fit optimizers losses metrics initializers decoding; do
    file=$(find . -name "test_$name.py")
    TESTS="$TESTS ${file:?there is no test_$name.py}"
done
exec "$BIN/python" -m pytest -q -p no:cacheprovider -m "not tensorflow" $TESTS
