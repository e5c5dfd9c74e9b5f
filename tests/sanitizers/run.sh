#!/usr/bin/env bash
# Builds the package once more, in a folder of its own, and runs what matters on that build:
#
#   run.sh asan      addresses and undefined behaviour: the tests of kernels, layers, threads, streams, decoding, training
#   run.sh ubsan     undefined behaviour alone, the same tests (without a runtime that has to be loaded first)
#   run.sh tsan      data races: threads_stress.py, all parts (calls, streams, pools, decoding, training), on the scalar
#                    kernels, of which every access is seen, and on the fastest ones
#   run.sh stress    hangs: threads_stress.py where threads sleep at random before they meet and what a meeting costs is
#                    measured every 0.1 ms, for a minute (--seconds 60)
#   run.sh serial    a build as by a compiler without OpenMP, on one thread: the tests of kernels, streams and training
#
# Needs gcc with its sanitizer runtimes (Debian: gcc and libc6-dev, which bring libasan8, libubsan1, libtsan2), a Python
# environment in which fastseq is installed for development ($PYTHON, .venv/bin/python) with Cython, setuptools and
# pytest, and about 1 GB. Ends with 77 where the compiler cannot build it. The build stays in $BUILD
# (${TMPDIR:-/tmp}/fastseq-<mode>) and is made again where sources changed. More arguments go to pytest, or to
# threads_stress.py.
#
# On two cores: the build takes 1 to 5 minutes, asan 3 and ubsan 1 with `-n 2` (pytest-xdist), tsan 3, stress a minute.
# Nothing is suppressed: in tsan the core makes its threads itself (FS_PTHREADS, src_c/threads/parallel.c), as OpenMP's
# runtime is not built for it.
set -euo pipefail
mode=${1:?asan, ubsan, tsan or stress}
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
build=${BUILD:-${TMPDIR:-/tmp}/fastseq-$mode}
case $mode in
asan) kinds=address,undefined runtimes="libasan.so libubsan.so" ;;
ubsan) kinds=undefined runtimes="" ;;
tsan) kinds=thread runtimes=libtsan.so ;;
stress) kinds=stress runtimes="" ;;
serial) kinds=serial runtimes="" ;;
*)
    echo "unknown: $mode" >&2
    exit 2
    ;;
esac

preload=""
for runtime in $runtimes; do
    file=$(${CC:-gcc} -print-file-name="$runtime")
    [ -e "$file" ] || {
        echo "${CC:-gcc} has no $runtime (Debian: apt-get install gcc libc6-dev); nothing was run."
        exit 77
    }
    preload="$preload $(readlink -f "$file")"
done
if [ $mode != serial ] && ! echo 'int main(void) { return 0; }' | ${CC:-gcc} -fopenmp ${runtimes:+-fsanitize=$kinds} -x c - -o /dev/null; then
    echo "${CC:-gcc} cannot build for $mode; nothing was run."
    exit 77
fi

# With their times, so that only what changed is built again. Without *.so: they would look as if they were up to date.
mkdir -p "$build"
tar c -C "$root" --exclude='*.so' --exclude='__pycache__' setup.py pyproject.toml README.md fastseq src_c | tar x -C "$build"
echo "+ building for $mode in $build"
(cd "$build" && FASTSEQ_TEST_BUILD=$kinds "$python" setup.py -q build_ext --inplace) >"$build/build.log" 2>&1 ||
    {
        tail -n 30 "$build/build.log"
        exit 1
    }

# Python leaks at its end, and its own allocator would hide what is freed.
export PYTHONPATH=$build PYTHONMALLOC=malloc PYTHONFAULTHANDLER=1
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=exitcode=66:history_size=7
test_files() {
    for name in "$@"; do
        find "$root/tests" -name "test_$name.py" | grep . || echo "$root/tests/there is no test_$name.py"
    done
}
cd "$build" # not $root: Python looks for fastseq where it is started
case $mode in
stress)
    "$python" "$root/tests/sanitizers/threads_stress.py" --seconds 60 "$@"
    ;;
tsan)
    for isa in scalar ""; do
        echo "+ FASTSEQ_FORCE_ISA=$isa"
        FASTSEQ_FORCE_ISA=$isa LD_PRELOAD=$preload "$python" "$root/tests/sanitizers/threads_stress.py" --seconds 60 \
            --patience 300 "$@"
    done
    ;;
serial)
    "$python" -c "import fastseq as f; assert not f.native._native.has_openmp()"
    mapfile -t tests < <(test_files lstm gru dense choice program streaming whole_steps)
    "$python" -m pytest --rootdir "$root" -c "$root/pyproject.toml" -p no:cacheprovider -q -m "not tensorflow" \
        "${tests[@]}" "$@"
    ;;
*)
    mapfile -t tests < <(test_files lstm gru simple_rnn dense embedding cells masking bidirectional backward_ops \
        recurrent_backward recurrent_general_backward choice program runtime threads training_threads training_turns \
        streaming streaming_states streaming_inputs every_layer every_layer_trains decoding decoding_windows whole_steps \
        loss_steps losses optimizers chains fusing indexing shapes sorting linear_algebra reductions elementwise \
        control_flow ctc loops row_cuts segments numerical functions_of_functions traced_cells traced_calls value_and_grad)
    # Left out: what measures memory, limits it, or is built for another sanitizer.
    LD_PRELOAD=$preload "$python" -m pytest --rootdir "$root" -c "$root/pyproject.toml" -p no:cacheprovider -q \
        -m "not tensorflow" -k "not import_is_light and not memory_for_few_threads and not no_data_race" \
        "${tests[@]}" "$@"
    ;;
esac
