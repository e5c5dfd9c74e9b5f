"""The short way from a call to its kernels: what a program runs on, and which one a plain array wants, without Python.

A call `layer(x)` of one plain array costs 0.15 us beside its kernels here; the way through Python frames costs 3.
It is taken where nothing is left to decide: `plain_call` says when, and everything else goes to `_call_any`.
"""

cimport cython
cimport numpy as cnp
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_SIZE
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

from fastseq.native._native cimport FS_INTERRUPTED, Segment, Workspace, fs_failure, interruption, isa_now, threads_now, training_said

from fastseq.native._kept cimport Scope, begin, end, fail, leave, note_all

cnp.import_array()

cdef int64_t LARGE_ARENA = 4 << 20


@cython.auto_pickle(False)
cdef class NativeProgram:
    """What of a program runs: segments, the arrays it takes and gives, and workspaces that are free.

    A subclass has `plan`, `_run_python(step, arena, arrays)` and `_failure(segment, step, position, value)`.
    """

    def __cinit__(self):
        self.segments = []
        self.spares = []

    def __dealloc__(self):
        free(self.specs)
        free(self.dims)

    def _prepare(self, list segments, int64_t arena_size, list arrays, int input_count, list keeps):
        """arrays: (shape, type number) of the inputs and then of the results; keeps: see _call.pxd."""
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
        self.arena_size = arena_size
        self.input_count = input_count
        self.output_count = len(arrays) - input_count
        self.isa = isa_now()

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
            fits = _fits(array, spec) and (
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
        cdef fs_failure failure
        cdef Py_ssize_t index
        cdef int i, number, status, threads = threads_now()
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
                for index in range(len(self.segments)):
                    if self.segments[index] is None:
                        self._run_python(self.plan[index], workspace.arena, inputs + results)
                        continue
                    status = workspace.run(<Segment> self.segments[index], index, threads, &failure)
                    if status:
                        raise self.error_of(status, index, &failure)
        finally:
            self.give_back(workspace)
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

    cdef object call_plain(self, cnp.ndarray x):
        """`run` for what `PlainPrograms.keep` let in, with `x` known to fit. Of one that keeps states: in a scope."""
        cdef fs_failure failure
        cdef int i, threads = threads_now()
        cdef Workspace workspace
        cdef int status
        cdef list several = None
        if self.form is None:
            found = self.new_result(0)
        else:
            found = several = [self.new_result(i) for i in range(self.output_count)]
        workspace = self.take()
        workspace.data[0] = cnp.PyArray_BYTES(x)
        if several is None:
            workspace.data[1] = cnp.PyArray_BYTES(<cnp.ndarray> found)
        else:
            for i in range(self.output_count):
                workspace.data[1 + i] = cnp.PyArray_BYTES(<cnp.ndarray> several[i])
        status = workspace.run(<Segment> self.segments[0], 0, threads, &failure)
        self.give_back(workspace)
        if status:
            raise self.error_of(status, 0, &failure)
        return tuple(several) if self.form is tuple else found

    cdef object error_of(self, int status, Py_ssize_t segment, fs_failure *failure):
        """The exception for a run of a segment that did not end with FS_DONE."""
        if status == FS_INTERRUPTED:
            return interruption()
        return self._failure(segment, failure.step, failure.position, failure.value)


cdef inline bint _fits(cnp.ndarray array, Spec *spec) noexcept:
    cdef cnp.npy_intp *dims = cnp.PyArray_DIMS(array)
    cdef int i, ndim = spec.ndim
    if cnp.PyArray_NDIM(array) != ndim:
        return False
    for i in range(ndim):
        if dims[i] != spec.dims[i]:
            return False
    # NumPy has two numbers for int32 where `long` has 32 bits.
    return (cnp.PyArray_TYPE(array) == spec.type_number
            or cnp.PyArray_EquivTypenums(cnp.PyArray_TYPE(array), spec.type_number))


@cython.auto_pickle(False)
cdef class CacheEntry:
    """A program, and how its results become what a call returns."""

    def __init__(self, program, structure, with_masks):
        self.program, self.structure, self.with_masks = program, structure, with_masks


@cython.auto_pickle(False)
cdef class PlainPrograms:
    """A layer's programs by what they depend on, and those that its call with one plain array finds by its shape.

    No lock: the GIL is held in each of these methods, from its first line to its last.
    """

    def __cinit__(self):
        self.kept, self.entries = [], {}

    def forget(self):
        """Forgets all of them."""
        self.epoch += 1
        self.kept, self.entries = [], {}

    def drop_plain(self):
        """Forgets which of them plain calls find; the programs stay."""
        self.kept = []

    def __len__(self):
        return len(self.entries)

    def all_entries(self):
        return list(self.entries.values())

    def find_entry(self, key):
        """The CacheEntry of `key`, or None."""
        cdef CacheEntry entry = self.entries.get(key)
        if entry is not None:
            self.clock += 1
            entry.used = self.clock
        return entry

    def add_entry(self, key, CacheEntry entry, int64_t epoch, Py_ssize_t most):
        """Takes what was made at `epoch`; of more than `most` the one that was not used for longest goes."""
        if epoch != self.epoch:
            return  # a weight changed meanwhile: right for this call, not for later ones
        self.clock += 1
        entry.used = self.clock
        self.entries[key] = entry
        while len(self.entries) > most:
            self.drop_oldest()

    cdef int drop_oldest(self) except -1:
        cdef CacheEntry entry
        cdef int64_t used, oldest = self.clock + 1
        found = program = None
        for key, entry in self.entries.items():
            used = entry.used
            if entry.program is not None:
                used = max(used, (<NativeProgram> entry.program).used)
            if used < oldest:
                oldest, found, program = used, key, entry.program
        del self.entries[found]
        self.kept = [other for other in self.kept if other is not program]
        return 0

    def keep(self, key, CacheEntry entry, form):
        """A later plain call of the shape and instruction set of an entry's program runs it.

        form: None where the call returns an array, list or tuple where it returns one of all results.
        """
        cdef NativeProgram program = entry.program
        if (len(program.segments) == 1 and program.segments[0] is not None and program.computes
                and program.input_count == 1 and self.entries.get(key) is entry
                and not any([other is program for other in self.kept])):
            program.form = form
            self.kept.append(program)

    cdef NativeProgram find(self, cnp.ndarray x):
        cdef list kept = self.kept
        cdef NativeProgram program
        cdef Py_ssize_t i
        cdef const char *isa = isa_now()
        for i in range(len(kept)):
            program = <NativeProgram> kept[i]
            if program.isa == isa and _fits(x, program.specs):
                if i:
                    kept[i] = kept[0]
                    kept[0] = program
                self.clock += 1
                program.used = self.clock
                return program
        return None


cdef object plain_call(self, args, PyObject *kwargs):
    """`__call__` of every layer."""
    cdef NativeProgram program = None
    # A subclass of ndarray may carry a mask. Inside a call() that was told `training`, that is an argument too.
    if (PyTuple_GET_SIZE(args) == 1 and (kwargs == NULL or not <dict> kwargs) and cnp.PyArray_CheckExact(args[0])
            and not training_said()):
        programs = getattr(self, "_programs", None)
        if isinstance(programs, PlainPrograms) and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> args[0]):
            program = (<PlainPrograms> programs).find(<cnp.ndarray> args[0])
            if program is not None and program.keeps is None:
                return program.call_plain(<cnp.ndarray> args[0])
    return call_in_scope(self, program, args, kwargs)


cdef object call_in_scope(self, NativeProgram program, args, PyObject *kwargs):
    """A call that leaves what layers keep between calls as it was where it raises."""
    cdef Scope scope
    begin(&scope)
    try:
        if program is not None:
            note_all(program.keeps)
            found = program.call_plain(<cnp.ndarray> args[0])
        elif kwargs == NULL:
            found = self._call_any(*args)
        else:
            found = self._call_any(*args, **<dict> kwargs)
        end(&scope)
    except:
        fail(&scope)
        raise
    finally:
        leave(&scope)
    return found


cdef extern from *:
    """
    /* A class with nothing but a call. Not a cdef class: that has a __new__ and a layout of its own, and then a mixin or
       a dict could not stand before it among the bases of a class; its __call__ would make an empty dict each time. */
    static PyObject *fs_class_with_call(ternaryfunc call)
    {
        PyType_Slot slots[] = {
            {Py_tp_call, (void *) call},
            {Py_tp_doc, "Base of every layer: its call, which goes to `_call_any` where it does not run at once."},
            {0, NULL},
        };
        PyType_Spec spec = {"fastseq.native._call.PlainCall", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
        return PyType_FromSpec(&spec);
    }
    """
    ctypedef object (*ternaryfunc)(object, object, PyObject *)
    object fs_class_with_call(ternaryfunc call)


PlainCall = fs_class_with_call(plain_call)
