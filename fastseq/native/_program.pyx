"""What a program runs on: its segments of native steps, the Python steps between them, workspaces, and one run.

program.py makes programs out of what layers traced; _call.pyx finds the one that a call wants.
"""

cimport cython
cimport numpy as cnp
from cpython.tuple cimport PyTuple_GET_SIZE
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastseq.native._native cimport (
    FS_INTERRUPTED, Segment, Workspace, fs_failure, fs_step, interruption, isa_now, threads_now, work_of
)

from fastseq.native._kept cimport note_all

cnp.import_array()

cdef int64_t LARGE_ARENA = 4 << 20
cdef int64_t ARENA = -1, CONSTANT = -2


@cython.auto_pickle(False)
cdef class NativeProgram:
    """What of a program runs: segments, the arrays it takes and gives, and workspaces that are free.

    A subclass has `_failure(segment, step, position, value)`.
    """

    def __cinit__(self):
        self.segments = []
        self.spares = []

    def __dealloc__(self):
        free(self.specs)
        free(self.dims)

    def _prepare(self, list segments, list python_steps, int64_t arena_size, list arrays, int input_count, list keeps):
        """arrays: (shape, type number) of the inputs and then of the results; the others: see _call.pxd."""
        cdef cnp.npy_intp *dims
        cdef int i = 0, ndim
        self.specs = <Spec *> calloc(max(1, len(arrays)), sizeof(Spec))
        self.dims = dims = <cnp.npy_intp *> calloc(1 + sum([len(shape) for shape, _ in arrays]), sizeof(cnp.npy_intp))
        if self.specs == NULL or dims == NULL:
            raise MemoryError()
        for shape, type_number in arrays:
            ndim = 0
            self.specs[i].type_number = type_number
            self.specs[i].dims = dims
            for size in shape:
                dims[ndim] = size
                ndim += 1
            self.specs[i].ndim = ndim
            dims += ndim
            i += 1
            if i > input_count and 0 not in shape:
                self.computes = True
        self.segments, self.keeps = segments, keeps or None
        self.python_steps = python_steps if any(python_steps) else None
        self.arena_size = arena_size
        self.input_count = input_count
        self.output_count = len(arrays) - input_count
        self.isa = isa_now()

    def work(self):
        """About how many multiply-adds a run's native steps are."""
        cdef Segment segment
        cdef fs_step step
        cdef int64_t i
        cdef double total = 0
        for segment in self.segments:
            for i in range(0 if segment is None else segment.step_count):
                step = segment.steps[i]
                step.args = segment.arguments + segment.starts[i]
                total += work_of(&step)
        return total

    # ---- one run -------------------------------------------------------------------------------------------------------

    cdef object new_result(self, int number):
        cdef Spec *spec = self.specs + self.input_count + number
        return cnp.PyArray_SimpleNew(spec.ndim, spec.dims, spec.type_number)

    cdef Workspace take(self):
        # No other thread gets between these lines: the GIL is held and nothing in them gives it up.
        cdef Workspace workspace = self.spare
        if workspace is not None:
            self.spare = None
            return workspace
        if self.spares:
            return self.spares.pop()
        return Workspace(self.arena_size, self.segments, self.input_count + self.output_count)

    cdef int give_back(self, Workspace workspace) except -1:
        if self.spare is None:
            self.spare = workspace
        elif self.arena_size <= LARGE_ARENA:
            # A large one is kept once, whatever number of threads ran at the same time.
            self.spares.append(workspace)
        return 0

    cdef int bind(self, Workspace workspace, int number, value) except -1:
        """The run reads or writes array `number` at the memory of `value`, which has to be what was planned for."""
        cdef Spec *spec = self.specs + number
        cdef bint fits = cnp.PyArray_Check(value)
        cdef cnp.ndarray array
        if fits:
            array = value
            fits = is_like(array, spec) and (
                cnp.PyArray_ISCARRAY_RO(array) if number < self.input_count else cnp.PyArray_ISCARRAY(array))
        if not fits:
            kind = f"input {number}" if number < self.input_count else f"result {number - self.input_count}"
            got = f"{value.dtype} {value.shape}" if cnp.PyArray_Check(value) else f"a {type(value).__name__}"
            raise ValueError(
                f"A program's {kind} is an aligned C-contiguous array, writable where it is a result, of "
                f"{cnp.PyArray_DescrFromType(spec.type_number)} {tuple([spec.dims[i] for i in range(spec.ndim)])}; "
                f"got {got}.")
        workspace.data[number] = cnp.PyArray_BYTES(array)
        return 0

    cdef int execute(self, tuple inputs, tuple results) except -1:
        cdef Workspace workspace
        cdef int i, number, threads = threads_now()
        if PyTuple_GET_SIZE(inputs) != self.input_count or PyTuple_GET_SIZE(results) != self.output_count:
            raise ValueError(
                f"A program of {self.input_count} inputs and {self.output_count} results got {len(inputs)} and "
                f"{len(results)}.")
        workspace = self.take()
        try:
            for i in range(self.input_count):
                self.bind(workspace, i, inputs[i])
            for i in range(self.output_count):
                number = self.input_count + i
                self.bind(workspace, number, results[i])
            if self.computes:
                if self.keeps is not None:
                    note_all(self.keeps)
                self.run_segments(workspace, threads)
        finally:
            self.give_back(workspace)
        return 0

    cdef int run_segments(self, Workspace workspace, int threads) except -1:
        cdef fs_failure failure
        cdef Py_ssize_t index
        cdef int status
        for index in range(len(self.segments)):
            if self.segments[index] is None:
                (<PythonStep> self.python_steps[index]).run(workspace)
                continue
            status = workspace.run(<Segment> self.segments[index], index, threads, &failure)
            if status:
                raise self.error_of(status, index, &failure)
        return 0

    def run(self, inputs, results=None):
        """Runs on `inputs` and returns the results, a list of new arrays, or `results` itself where it is given.

        inputs, results: sequences (tuples cost least) of aligned C-contiguous arrays of the program's shapes and
        dtypes; results must not share memory with inputs. With both given, nothing is allocated once a run has ended.
        Raises ValueError for other arrays, and what a layer says of values it does not take (ids out of range).
        """
        cdef tuple given = inputs if type(inputs) is tuple else tuple(inputs)
        cdef tuple wanted
        if results is None:
            results = [self.new_result(i) for i in range(self.output_count)]
        wanted = results if type(results) is tuple else tuple(results)
        self.execute(given, wanted)
        return results

    cdef object call_plain(self, cnp.ndarray x, cnp.ndarray mask):
        """`run` for what `PlainPrograms.keep` let in, with arrays known to fit. Of one that keeps states: in a scope."""
        cdef int i, first = self.input_count, threads = threads_now()
        cdef Workspace workspace
        cdef list several = None
        found = None
        if self.form is None and self.with_masks is None:
            found = self.new_result(0)
        else:
            several = [self.new_result(i) for i in range(self.output_count)]
        workspace = self.take()
        workspace.data[0] = cnp.PyArray_BYTES(x)
        if mask is not None:
            workspace.data[1] = cnp.PyArray_BYTES(mask)
        if several is None:
            workspace.data[first] = cnp.PyArray_BYTES(<cnp.ndarray> found)
        else:
            for i in range(self.output_count):
                workspace.data[first + i] = cnp.PyArray_BYTES(<cnp.ndarray> several[i])
        try:
            self.run_segments(workspace, threads)
        finally:
            self.give_back(workspace)
        if several is None:
            return found
        if self.with_masks is not None:
            several = self.carry_masks(several)
        return several if self.form is list else tuple(several) if self.form is tuple else several[0]

    cdef list carry_masks(self, list arrays):
        """The arrays of a call's results, with the masks that stand behind them on those that have one."""
        cdef Py_ssize_t i, behind = len(self.with_masks)
        cdef list found = []
        for i in range(len(self.with_masks)):
            if self.with_masks[i]:
                found.append(self.put_mask(arrays[i], arrays[behind]))
                behind += 1
            else:
                found.append(arrays[i])
        return found

    def run_plain(self, x, mask):
        """`call_plain`, for what stands around a call whose program has Python steps."""
        return self.call_plain(x, mask)

    cdef object error_of(self, int status, Py_ssize_t segment, fs_failure *failure):
        """The exception for a run of a segment that did not end with FS_DONE."""
        if status == FS_INTERRUPTED:
            return interruption()
        return self._failure(segment, failure.step, failure.position, failure.value)


@cython.auto_pickle(False)
cdef class PythonStep:
    """One call of `function(*arrays)`, with the GIL. Immutable; any thread may run it on a workspace of its own.

    The function gets copies: what it keeps must not change under it with the next run.
    name: of the layer, for errors; flatten: makes the list of arrays of what the function returns; inputs, outputs: (where,
    shape, type number) of each array, where as `_native.Segment` takes it: an array (a constant), or (number or -1, offset).
    """

    def __cinit__(self, name, function, flatten, list inputs, list outputs):
        cdef cnp.npy_intp *dims
        cdef Place *place
        cdef cnp.ndarray constant
        self.name, self.function, self.flatten = name, function, flatten
        self.input_count, self.output_count, self.constants = len(inputs), len(outputs), []
        self.places = place = <Place *> calloc(1 + len(inputs) + len(outputs), sizeof(Place))
        sizes = [len(shape) for _, shape, _ in inputs + outputs]
        self.dims = dims = <cnp.npy_intp *> calloc(1 + sum(sizes), sizeof(cnp.npy_intp))
        if place == NULL or dims == NULL:
            raise MemoryError()
        for where, shape, type_number in inputs + outputs:
            if isinstance(where, tuple):
                place.which, place.offset = where
            else:
                constant = where
                self.constants.append(constant)
                place.which, place.offset = CONSTANT, <int64_t> cnp.PyArray_BYTES(constant)
            place.spec.type_number, place.spec.ndim, place.spec.dims = type_number, len(shape), dims
            place.nbytes = cnp.PyArray_DescrFromType(type_number).itemsize
            for size in shape:
                dims[0] = size
                place.nbytes *= dims[0]
                dims += 1
            place += 1

    def __dealloc__(self):
        free(self.places)
        free(self.dims)

    cdef char *address(self, Place *place, Workspace workspace) noexcept:
        if place.which == CONSTANT:
            return <char *> place.offset
        return (workspace.base if place.which == ARENA else workspace.data[place.which]) + place.offset

    cdef int run(self, Workspace workspace) except -1:
        cdef Place *place = self.places
        cdef cnp.ndarray array
        cdef list arrays = []
        cdef int i
        for i in range(self.input_count):
            array = cnp.PyArray_SimpleNew(place.spec.ndim, place.spec.dims, place.spec.type_number)
            memcpy(cnp.PyArray_BYTES(array), self.address(place, workspace), place.nbytes)
            arrays.append(array)
            place += 1
        found = self.function(*arrays)
        if (self.output_count == 1 and cnp.PyArray_CheckExact(found) and is_like(<cnp.ndarray> found, &place.spec)
                and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> found)):
            memcpy(self.address(place, workspace), cnp.PyArray_BYTES(<cnp.ndarray> found), place.nbytes)
            return 0
        return self.write(found, workspace)

    cdef int write(self, found, Workspace workspace) except -1:
        """Writes results of whatever structure, dtype and order; raises ValueError for another number or shape of them."""
        cdef Place *place = self.places + self.input_count
        cdef Spec *spec
        cdef list results = self.flatten(found)
        cdef int i, axis
        if len(results) != self.output_count:
            raise ValueError(
                f"Layer '{self.name}': call() returned {len(results)} arrays, on zeros there were {self.output_count}.")
        for i in range(self.output_count):
            spec = &place[i].spec
            wanted = tuple([spec.dims[axis] for axis in range(spec.ndim)])
            if results[i].shape != wanted:
                raise ValueError(
                    f"Layer '{self.name}': call() returned shape {results[i].shape}, on zeros it was {wanted}.")
        for i in range(self.output_count):
            spec = &place[i].spec
            # An array of the memory itself, which ends with this line.
            cnp.PyArray_SimpleNewFromData(
                spec.ndim, spec.dims, spec.type_number, self.address(place + i, workspace))[...] = results[i]
        return 0
