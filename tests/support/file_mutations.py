"""Changes that tests/support/file_fuzzer.py makes to model files: of bytes, JSON, HDF5, zip and NumPy's arrays.

Each takes a `random.Random` and what it changes, and gives the changed bytes (or changes JSON data in place).
"""

import io
import json
import pathlib
import tempfile
import zipfile

import h5py
import numpy as np

NUMBERS = (0, 1, -1, 2, 3, 7, 255, 2**15, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
LEAVES = (
    None, True, False, 0, -1, 1, 3, 10**9, 10**12, 2**63, 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf"),
    -float("inf"), "", "x", "float32", "float16", "int32", "object", "os.system", "/etc/passwd", "../../x", "\0", "\\",
    "/", "ü" * 50, "x" * 5000, [], {}, [None], [[]], [None, 3], [1, 2, 3], [-1], [10**12],
    {"class_name": "Dense"}, "tanh", "relu",
    "hard_sigmoid",
    "mse", "glorot_uniform", "sum", "concat", "causal", "channels_first",
    {"class_name": "__numpy__", "config": {"value": [1, 2], "dtype": "object"}},
    {"class_name": "__tuple__", "items": [1, 2]}, {"class_name": "TensorShape", "items": [None, 3]},
    {"class_name": "__lambda__", "config": {"value": "4wEAAAA=", "defaults": None, "closure": None}},
    {"class_name": "function", "config": "system", "module": "os", "registered_name": "system"},
    {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "evil", "function": "x"}},
    {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "units": 2}, "registered_name": None},
    {"module": "antigravity", "class_name": "this", "config": {}, "registered_name": "idlelib>idle"},
    {"class_name": "__keras_tensor__", "config": {"shape": [None, 3], "dtype": "float32", "keras_history": ["x", 0]}},
)  # fmt: skip
NAMES = (
    "LSTM", "GRU", "SimpleRNN", "Dense", "Embedding", "Bidirectional", "TimeDistributed", "RNN", "Sequential", "Model",
    "Functional", "InputLayer", "Lambda", "Masking", "Dot", "Concatenate", "Reshape", "Flatten", "PReLU", "LSTMCell",
    "StackedRNNCells", "L2", "Adam", "MeanSquaredError", "GlorotUniform", "MaxNorm", "relu", "NotEqual", "eval",
)  # fmt: skip


# ---- bytes ---------------------------------------------------------------------------------------------------------


def change_bytes(rng, data):
    data = bytearray(data)
    kind = rng.choice(("bits", "bits", "bytes", "word", "word", "cut", "zero", "remove", "insert", "repeat", "move"))
    at = rng.randrange(len(data)) if data else 0
    length = min(rng.choice((1, 2, 4, 8, 64, 512, 4096)), len(data) - at)
    if kind == "bits":
        for _ in range(rng.choice((1, 1, 1, 2, 8, 32))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "bytes":
        data[at : at + length] = rng.randbytes(length)
    elif kind == "word":
        size = rng.choice((1, 2, 4, 8))
        number = rng.choice((*NUMBERS, len(data), rng.randrange(len(data)))) % 2 ** (8 * size)
        data[at : at + size] = number.to_bytes(size, rng.choice(("little", "little", "big")))
    elif kind == "cut":
        del data[at:]
    elif kind == "zero":
        data[at : at + length] = bytes(length)
    elif kind == "remove":
        del data[at : at + length]
    elif kind == "insert":
        data[at:at] = rng.randbytes(length)
    elif kind == "repeat":
        data[at:at] = data[at : at + length]
    else:
        other = rng.randrange(len(data))
        data[at : at + length] = data[other : other + length]
    return bytes(data)


# ---- JSON ----------------------------------------------------------------------------------------------------------


def _places(data):
    """(container, key) of everything in JSON data."""
    found, todo = [], [data]
    while todo:
        item = todo.pop()
        keys = item.keys() if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        for key in keys:
            found.append((item, key))
            todo.append(item[key])
    return found


def change_json(rng, data):
    """Changes JSON data in place, once."""
    places = _places(data)
    if not places:
        return
    container, key = rng.choice(places)
    kind = rng.choice(("leaf", "leaf", "leaf", "number", "number", "name", "delete", "rename", "swap", "nest", "more"))
    if kind == "number":
        numbers = [(c, k) for c, k in places if isinstance(c[k], (int, float)) and not isinstance(c[k], bool)]
        container, key = rng.choice(numbers or places)
        container[key] = rng.choice((*NUMBERS, 0.5, 1e30, float("nan"), float("inf"), "3", [3]))
    elif kind == "name":
        names = [(c, k) for c, k in places if k in ("class_name", "registered_name", "module", "name", "activation")]
        container, key = rng.choice(names or places)
        container[key] = rng.choice((*NAMES, *(c[k] for c, k in names)))
    elif kind == "delete":
        del container[key]
    elif kind == "rename" and isinstance(container, dict):
        container[rng.choice(("x", "config", "name", "layers", "units", "cell", key[::-1]))] = container.pop(key)
    elif kind == "swap":
        other, place = rng.choice(places)
        container[key] = json.loads(json.dumps(other[place]))
    elif kind == "nest":
        for _ in range(rng.choice((1, 1, 5, 50, 150, 300))):
            container[key] = [container[key]] if rng.random() < 0.5 else {"config": container[key]}
    elif kind == "more" and isinstance(container, list):
        container.extend(json.loads(json.dumps(container[key])) for _ in range(rng.choice((1, 1, 3, 20))))
    else:
        container[key] = json.loads(json.dumps(rng.choice(LEAVES)))


def change_text(rng, text):
    """The bytes of JSON text after some changes of its data, or of its letters."""
    if rng.random() < 0.1:
        return change_bytes(rng, text)
    try:
        data = json.loads(text)
    except ValueError:
        return change_bytes(rng, text)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        change_json(rng, data)
    return json.dumps(data).encode()


# ---- HDF5 ----------------------------------------------------------------------------------------------------------


def change_hdf5(rng, data):
    """The bytes of an HDF5 file after one to three changes by h5py; those that h5py refuses are left out."""
    memory = io.BytesIO(data)
    with h5py.File(memory, "r+") as file:
        for _ in range(rng.choice((1, 1, 2, 3))):
            names = []
            file.visit(names.append)
            if not names:
                break
            try:
                rng.choice(_HDF5_CHANGES)(rng, file, rng.choice(names))
            except (KeyError, OSError, RuntimeError, TypeError, ValueError):
                pass
    return memory.getvalue()


def _dataset(rng, file, name):
    """Another dataset in the place of one: dtype, shape, storage or filters."""
    names = []
    file.visititems(lambda n, item: names.append(n) if isinstance(item, h5py.Dataset) else None)
    name = rng.choice(names)
    values = np.asarray(file[name][()])
    del file[name]
    kind = rng.choice(("dtype", "dtype", "shape", "shape", "filter", "filter", "chunks", "bomb", "elsewhere"))
    if kind == "dtype":
        dtype = rng.choice(
            ("f2", "f8", ">f4", "i1", "i4", "u8", "c8", "S4", "V2", "V8", "bool", "text", "record", "enum")
        )
        special = {"text": h5py.string_dtype(), "record": [("a", "f4")], "enum": h5py.enum_dtype({"a": 1})}
        file.create_dataset(name, shape=values.shape, dtype=special.get(dtype, dtype))
    elif kind == "shape":
        shape = list(values.shape)
        change = rng.choice(("turn", "flat", "more", "less", "axis", "none", "empty"))
        shape = {
            "turn": shape[::-1], "flat": [values.size], "more": [size + 1 for size in shape], "less": shape[1:],
            "axis": [*shape, 1], "none": [0, *shape], "empty": None,
        }[change]  # fmt: skip
        file[name] = h5py.Empty("f4") if shape is None else np.resize(values, shape)
    elif kind in ("filter", "chunks") and values.ndim:
        options = rng.choice((
            {"compression": "gzip"}, {"compression": "lzf"}, {"shuffle": True, "compression": "gzip"},
            {"fletcher32": True}, {"scaleoffset": 3}, {"maxshape": (None,) * values.ndim},
        ))  # fmt: skip
        chunks = tuple(rng.choice((1, 2, 5, max(size, 1))) for size in values.shape)
        file.create_dataset(name, data=values, chunks=chunks if kind == "chunks" else True, **options)
        if rng.random() < 0.3:
            file[name].id.write_direct_chunk((0,) * values.ndim, rng.randbytes(rng.choice((0, 5, 100))))
    elif kind == "bomb":
        shape = rng.choice(((2**40,), (2**31, 2**31), (10**6, 10**4), (2**20, 2**12, 2**12)))
        file.create_dataset(name, shape=shape, dtype="f4", chunks=(1 << 10,) * len(shape), compression="gzip")
    elif rng.random() < 0.5:
        file.create_dataset(name, values.shape, "f4", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])
    else:
        # Without the time of the day, which create_virtual_dataset leaves in it.
        space, options = h5py.h5s.create_simple(values.shape), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        options.set_obj_track_times(False)
        options.set_virtual(space, b"/etc/hostname", b"x", space)
        h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F32LE, space, options)


def _link(rng, file, name):
    other = rng.choice(list(file.attrs.keys()) + list(file.keys()) or ["x"])
    kind = rng.choice(("delete", "rename", "soft", "external", "hard", "loop", "windows", "twice"))
    if kind == "delete":
        del file[name]
    elif kind == "rename":
        file.move(name, f"{name.rpartition('/')[0]}/{rng.choice(('0', '7', 'vars', 'x', 'ü', '..', ' '))}")
    elif kind == "windows":
        file.move(name, name.replace("/", "\\", rng.choice((1, 9))))
    elif kind == "twice":
        file[name.replace("/", "\\")] = file[name]
    elif kind == "hard":
        item = file[other]
        del file[name]
        file[name] = item
    elif kind == "loop":
        file[f"{name}/vars"] = file[rng.choice((other, "/"))]
    else:
        del file[name]
        file[name] = h5py.SoftLink(f"/{other}") if kind == "soft" else h5py.ExternalLink("/etc/hostname", "/x")


def _attribute(rng, file, name):
    owners = [file]
    file.visititems(lambda n, item: owners.append(item) if len(item.attrs) else None)
    owner = rng.choice(owners)
    if not len(owner.attrs):
        return
    key = rng.choice(list(owner.attrs))
    kind = rng.choice(("delete", "value", "value", "names", "rename", "many"))
    value = owner.attrs[key]
    if kind == "rename":
        owner.attrs[rng.choice((f"{key}0", "layer_names", "weight_names", "dtype", "x"))] = value
    del owner.attrs[key]
    if kind == "value":
        owner.attrs[key] = rng.choice(
            (0, -1, 1.5, "2.4.0", "9.9", b"x", "", [1, 2], ["a", "b"], h5py.Empty("f4"), "{}")
        )
    elif kind == "names" and isinstance(value, np.ndarray) and value.size:
        names = [bytes(item) if isinstance(item, bytes) else str(item).encode() for item in value.tolist()]
        names[rng.randrange(len(names))] = rng.choice((*names, b"x", b"", b"..", b"a/b", b"/", b"\xff", b"\\"))
        owner.attrs[key] = rng.choice((names, names[::-1], names[:-1] or [b"x"], names * 2))
    elif kind == "many":
        owner.attrs[key] = [b"x" * 10] * rng.choice((1, 100, 4000))


def _group(rng, file, name):
    kind = rng.choice(("member", "replace", "many", "copy"))
    if kind == "member":
        file[f"{name}/{rng.choice(('0', '1', '9', 'vars', 'x'))}"] = np.ones(rng.choice((1, 3, 1000)), "f")
    elif kind == "replace":
        del file[name]
        file.create_group(name)
    elif kind == "many":
        for number in range(rng.choice((10, 300))):
            file[f"{name}/{number + 20}"] = np.float32(1)
    else:
        file.copy(name, f"{name}_1")


_HDF5_CHANGES = (_dataset, _dataset, _dataset, _link, _link, _attribute, _attribute, _group)


def change_config_of_hdf5(rng, data):
    """Of an older full-model file: its config, or how it was compiled."""
    memory = io.BytesIO(data)
    with h5py.File(memory, "r+") as file:
        keys = [key for key in ("model_config", "model_config", "training_config") if key in file.attrs]
        if keys:
            key = rng.choice(keys)
            text = file.attrs[key]
            text = change_text(rng, text if isinstance(text, bytes) else text.encode())
            try:
                file.attrs[key] = text
            except (OSError, RuntimeError, ValueError):
                pass
    return memory.getvalue()


def in_newer_format(data):
    """The same file as h5py writes it with libver="latest": other superblock, groups, headers and chunk trees."""
    # By h5py's lower level, which alone leaves the time of the day out of the root group.
    access, creation = h5py.h5p.create(h5py.h5p.FILE_ACCESS), h5py.h5p.create(h5py.h5p.FILE_CREATE)
    access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
    creation.set_obj_track_times(False)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "m.h5")
        identifier = h5py.h5f.create(bytes(path), h5py.h5f.ACC_TRUNC, creation, access)
        with h5py.File(io.BytesIO(data)) as source, h5py.File(identifier) as file:
            for key, value in source.attrs.items():
                file.attrs[key] = value
            for key in source:
                source.copy(key, file)
        return path.read_bytes()


# ---- zip and NumPy -------------------------------------------------------------------------------------------------


def members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(found, method=zipfile.ZIP_STORED):
    """The bytes of a zip of (name, bytes) pairs, always the same ones."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as archive:
        for name, data in found:
            info = zipfile.ZipInfo(name, (2021, 1, 1, 0, 0, 0))
            info.compress_type = method
            archive.writestr(info, data)
    return memory.getvalue()


# Offset and size of the fields behind the marks of a local header, a directory's entry and the directory's end.
_FIELDS = {
    b"PK\x03\x04": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\x01\x02": ((6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (38, 4), (42, 4)),
    b"PK\x05\x06": ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}


def change_zip(rng, data):
    """The bytes of a zip with another header field, or with members that are other, gone, twice or packed otherwise."""
    found = list(members(data).items())
    kind = rng.choice(("field", "field", "field", "name", "gone", "twice", "packed", "swap", "more", "around"))
    at = rng.randrange(len(found))
    name, content = found[at]
    if kind == "field":
        data = bytearray(data)
        mark = rng.choice(list(_FIELDS))
        places = [i for i in range(len(data) - 3) if data[i : i + 4] == mark]
        offset, size = rng.choice(_FIELDS[mark])
        place = rng.choice(places) + offset
        before = int.from_bytes(data[place : place + size], "little")
        number = rng.choice((0, 1, 8, 9, 12, 14, 0xFFFF, 0xFFFFFFFF, before + 1, before - 1, before * 2, before ^ 1))
        data[place : place + size] = (number % 2 ** (8 * size)).to_bytes(size, "little")
        return bytes(data)
    if kind == "name":
        found[at] = (
            rng.choice(("x", "../x", "/etc/x", name.upper(), f"a/{name}", f"a\\{name}", "ü", "x" * 999)),
            content,
        )
    elif kind == "gone":
        del found[at]
    elif kind == "twice":
        found.append((name, rng.choice((content, b"", change_bytes(rng, content)))))
    elif kind == "swap":
        found[at] = (name, rng.choice(found)[1])
    elif kind == "more":
        found += [(f"assets/{number}", b"x" * rng.choice((0, 9, 9999))) for number in range(rng.choice((1, 50)))]
    elif kind == "around":
        whole = pack(found)
        return rng.choice((rng.randbytes(99) + whole, whole + rng.randbytes(99), whole + whole, pack([(name, whole)])))
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    return pack(found, rng.choice(methods) if kind == "packed" else zipfile.ZIP_STORED)


def change_member(rng, data, name, change):
    """The bytes of a zip in which the member `name` went through `change(rng, bytes)`."""
    return pack([(key, change(rng, value) if key == name else value) for key, value in members(data).items()])


def change_array(rng, data):
    """The bytes of an .npy file with another header, dtype, shape or values."""
    end = 10 + int.from_bytes(data[8:10], "little")
    kind = rng.choice(("header", "header", "bytes", "array", "array", "text"))
    if kind == "header":
        return data[:10] + change_bytes(rng, data[10:end]).ljust(end - 10)[: end - 10] + data[end:]
    if kind == "bytes":
        return change_bytes(rng, data)
    array = np.load(io.BytesIO(data))
    if kind == "text" and array.dtype.kind == "U":
        array = np.array(change_text(rng, str(array).encode()).decode("latin-1"))
    else:
        dtype = rng.choice(("f4", "f8", "i1", "u8", "U1", "S1", "bool", "c8", "M8[s]", "V3"))
        shape = rng.choice((array.shape, array.shape[::-1], (), (0,), (1,), (3, 3), (*array.shape, 1)))
        array = np.zeros(shape, dtype) if rng.random() < 0.5 or array.size == 0 else np.resize(array, shape)
    memory = io.BytesIO()
    np.save(memory, array)
    return memory.getvalue()
