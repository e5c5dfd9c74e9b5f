"""The short way from a call to its kernels: which program a call wants, found without Python.

A call `layer(x)` of one plain array costs 0.15 us beside its kernels here; the way through Python frames costs 3, with
training= or mask= 13. It is taken where nothing is left to decide: `read_way` says when, and everything else goes to
`_call_any`.
"""

cimport cython
cimport numpy as cnp
from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport int64_t

from fastseq.native._native cimport isa_now, training_said

from fastseq.native._kept cimport Scope, begin, end, fail, leave, note_all, traces
from fastseq.native._program cimport NativeProgram, is_like

cnp.import_array()


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

    def keep(self, key, CacheEntry entry, int way, form, put_mask):
        """A later call in that way, with arrays of the shapes of an entry's program, runs it on its instruction set.

        form: None where the call returns an array, list or tuple where it returns one of all results; put_mask: as
        NativeProgram has it.
        """
        cdef NativeProgram program = entry.program
        if (not program.computes or program.input_count != (2 if has_mask(way) else 1)
                or self.entries.get(key) is not entry):
            return
        if not any([other is program for other in self.kept]):
            program.ways, program.form = 0, form
            program.with_masks, program.put_mask = entry.with_masks, put_mask
            self.kept.append(program)
        program.ways |= (<int64_t> 1) << way

    cdef NativeProgram find(self, int way, cnp.ndarray x, cnp.ndarray mask):
        cdef list kept = self.kept
        cdef NativeProgram program
        cdef Py_ssize_t i
        cdef const char *isa = isa_now()
        for i in range(len(kept)):
            program = <NativeProgram> kept[i]
            if (program.ways >> way & 1 and program.isa == isa and is_like(x, program.specs)
                    and (mask is None or is_like(mask, program.specs + 1))):
                if i:
                    kept[i] = kept[0]
                    kept[0] = program
                self.clock += 1
                program.used = self.clock
                return program
        return None


# ---- calls ---------------------------------------------------------------------------------------------------------------

# Beside the shapes of its arrays, all that a program depends on which was made for a call of one array: the number of its
# way is said + 3 * (training + 4 * mask). said: what the Python layer was told whose call() it stands in (0: nothing, 1:
# False, 2: True); training: the argument (0: not given, 1: None, 2: False, 3: True); mask: (0: not given, 1: None, 2: an
# array).

cdef inline bint has_mask(int way) noexcept:
    return way >= 24


cdef int read_way(self, tuple args, PyObject *kwargs, PyObject **x, PyObject **mask) except -2:
    """The way of a call with one plain array and no other arguments than `training` and a plain `mask`; -1 of another.

    A subclass of ndarray may carry a mask, and is none. x, mask: where the arrays go, borrowed; NULL without a mask.
    """
    cdef int training = 0, masks = 0
    cdef Py_ssize_t position = 0
    cdef PyObject *key
    cdef PyObject *value
    x[0] = mask[0] = NULL
    if PyTuple_GET_SIZE(args) > 1:
        return -1
    if PyTuple_GET_SIZE(args) == 1:
        x[0] = <PyObject *> PyTuple_GET_ITEM(args, 0)
    if kwargs != NULL:
        while PyDict_Next(<dict> kwargs, &position, &key, &value):
            name = <object> key
            if name == "training":
                training = 1 if <object> value is None else 2 if <object> value is False else 3
                if training == 3 and <object> value is not True:
                    return -1
            elif name == "mask":
                masks = 1
                if <object> value is not None:
                    masks, mask[0] = 2, value
            elif x[0] == NULL and name == getattr(self, "_plain_argument", None):
                x[0] = value
            else:
                return -1
    if x[0] == NULL or not is_plain(x[0]) or mask[0] != NULL and not is_plain(mask[0]):
        return -1
    return training_said() + 3 * (training + 4 * masks)


cdef inline bint is_plain(PyObject *value) noexcept:
    return cnp.PyArray_CheckExact(<object> value) and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> value)


def way_of(layer, tuple args, dict kwargs):
    """(way, x, mask or None) of a call as `read_way` has it, Nones of another: what `keep` is to be told."""
    cdef PyObject *x
    cdef PyObject *mask
    cdef int way = read_way(layer, args, <PyObject *> kwargs, &x, &mask)
    if way < 0:
        return None, None, None
    return way, <object> x, None if mask == NULL else <object> mask


cdef object plain_call(self, args, PyObject *kwargs):
    """`__call__` of every layer."""
    cdef NativeProgram program = None
    cdef PyObject *first
    cdef PyObject *second
    cdef cnp.ndarray x, mask = None
    cdef int way = read_way(self, args, kwargs, &first, &second)
    if way >= 0 and traces == 0:  # where this thread traces, the call of a layer on an array belongs to the trace
        programs = getattr(self, "_programs", None)
        if isinstance(programs, PlainPrograms):
            x = <cnp.ndarray> first
            if second != NULL:
                mask = <cnp.ndarray> second
            program = (<PlainPrograms> programs).find(way, x, mask)
            if program is not None:
                if program.keeps is None and program.python_steps is None:
                    return program.call_plain(x, mask)
                return found_in_scope(self, programs, program, x, mask)
    return call_in_scope(self, args, kwargs)


cdef object found_in_scope(self, programs, NativeProgram program, cnp.ndarray x, cnp.ndarray mask):
    """The call of a program that keeps states, which stay as they were where it raises, or has steps in Python."""
    cdef Scope scope
    begin(&scope)
    try:
        if program.keeps is not None:
            note_all(program.keeps)
        if program.python_steps is None:
            found = program.call_plain(x, mask)
        else:
            found = programs.run_with_python(self, program, x, mask)
        end(&scope)
    except:
        fail(&scope)
        raise
    finally:
        leave(&scope)
    return found


cdef object call_in_scope(self, args, PyObject *kwargs):
    """A call that leaves what layers keep between calls as it was where it raises."""
    cdef Scope scope
    begin(&scope)
    try:
        if kwargs == NULL:
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
