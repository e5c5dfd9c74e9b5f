"""Where a model is read from: a path, bytes or an open binary file; and what it is, by its first bytes.

Most files that are given to `load_model` and are none of Keras's are other things under the right name: a pointer of
Git LFS, a web page, a TensorFlow checkpoint. Each is told by what it is, and by what to do.
"""

import os
import stat

from fastseq.errors import FileFormatError

_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
# Enough for a tar's mark (at 257), a page's head and the first keys of a JSON object.
_HEAD = 4096
_SAVED_MODEL = (
    "it is {what}. fastseq reads .keras and .h5: with TensorFlow, tf_keras.models.load_model({folder}) and "
    "model.save('model.h5')"
)
_CHECKPOINT = (
    "it is {what}, which holds weights only, in TensorFlow's own format. With TensorFlow, build the same model in "
    "tf_keras, call model.load_weights({prefix!r}) and model.save('model.h5'), which fastseq reads"
)


class Source:
    """A file to read a model from.

    Args:
        given: path, bytes-like object, or a binary file object, of which everything is read, from its beginning where
            it can seek, and which stays open.

    Attributes: `path`, the name for messages; `data`, the bytes, or None where the path is to be opened; `kind`, "zip"
    or "hdf5".

    Raises:
        FileFormatError: it is neither; the message says what it is.
        TypeError: no path, no bytes and no file of bytes. OSError: as `open` raises it.
    """

    def __init__(self, given):
        self.data = None
        if isinstance(given, (bytes, bytearray, memoryview)):
            self.path, self.data = f"<{type(given).__name__}>", bytes(given)
        elif hasattr(given, "read"):
            self.path, self.data = _name_of(given), _content_of(given)
        else:
            self.path = _path_of(given)
        if self.data is None:
            _check_path(self.path)
            with open(self.path, "rb") as file:
                head = file.read(_HEAD)
        else:
            head = self.data[:_HEAD]
        if head.startswith(_ZIP):
            self.kind = "zip"
        elif head.startswith(_HDF5):
            self.kind = "hdf5"
        else:
            raise FileFormatError(_describe(head, self.path, in_memory=self.data is not None), path=self.path)

    @property
    def content(self):
        """What H5File takes: the bytes, or the path."""
        return self.path if self.data is None else self.data


def _name_of(file):
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and name else f"<{type(file).__name__}>"


def _content_of(file):
    seekable = getattr(file, "seekable", None)
    if seekable is not None and seekable():
        file.seek(0)
    data = file.read()
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"A model is read from a file of bytes, {file!r} gives {type(data).__name__}: open it with 'rb'."
        )
    return bytes(data)


def _path_of(given):
    try:
        return os.fsdecode(os.fspath(given))
    except TypeError:
        raise TypeError(
            f"A model is read from a path, from bytes or from an open binary file, got {type(given).__name__}."
        ) from None


def _mode(path):
    """What a path leads to, as os.stat says it, or None where there is nothing.

    os.path.isfile and its like take every OSError for that, and the TimeoutError of a signal's handler is one.
    """
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _check_path(path):
    """Raises FileFormatError for a path that is something else than a file, and says what it is."""
    mode = _mode(path)
    if mode is not None:
        if stat.S_ISDIR(mode):
            raise FileFormatError(_describe_folder(path), path=path)
        if not stat.S_ISREG(mode):
            # A pipe would wait for ever, and a device never ends.
            raise FileFormatError("it is not a regular file", path=path)
        prefix, ending = os.path.splitext(path)
        if ending == ".index" or ending.startswith(".data-"):
            raise FileFormatError(_checkpoint("a part of a TensorFlow checkpoint", prefix), path=path)
    elif _mode(f"{path}.index") is not None:
        raise FileFormatError(_checkpoint("a TensorFlow checkpoint", path), path=path)
    elif "://" in path:
        raise FileNotFoundError(2, "It is an address and not a file: download it, and load the file", path)


def _checkpoint(what, prefix):
    return _CHECKPOINT.format(what=what, prefix=prefix)


def _describe_folder(path):
    found = set(os.listdir(path))
    if {"saved_model.pb", "saved_model.pbtxt", "keras_metadata.pb"} & found:
        return _SAVED_MODEL.format(what="the folder of a SavedModel", folder=f"{path!r}")
    if {"config.json", "model.weights.h5"} <= found:
        return (
            "it is a folder with what stands in a .keras file: put config.json, metadata.json and model.weights.h5 "
            "into a zip without a folder in it, and load that"
        )
    for name in sorted(found):
        if name.endswith(".index"):
            return _checkpoint("the folder of a TensorFlow checkpoint", os.path.join(path, name[: -len(".index")]))
    return "it is a folder; .keras and .h5 files are read, a SavedModel is not"


def _describe(head, path, in_memory):
    """What the bytes at the beginning of a file say that it is, and what to do about it."""
    if not head:
        return "it is empty"
    if in_memory and len(head) < _HEAD and b"\0" not in head and os.path.isfile(os.fsdecode(head)):
        return "bytes are taken for a file's content, and these are a path: give os.fsdecode(path)"
    for start, words in _BEGINNINGS:
        if head.startswith(start):
            return words
    lower = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if lower.startswith((b"<!doctype html", b"<html", b"<head", b"<script")):
        return (
            "it is a web page (HTML): the download gave the page about the file, or one that asks to log in, in place "
            "of the file; download the file itself ('raw')"
        )
    if lower.startswith((b"<?xml", b"<error", b"<")):
        return "it is an XML document, as a server sends for an error or OpenVINO writes for a model, and no model file"
    if lower.startswith((b"{", b"[")):
        return _describe_json(head)
    if head.endswith(b"\0" * 8) and head[257:262] == b"ustar":
        return "it is a tar archive: unpack it first"
    return _describe_binary(head, path)


_NO_HDF5 = (
    "it was an HDF5 file before something changed its line ends, as a transfer in text mode or git's autocrlf does: "
    "transfer it again, as binary"
)
_PACKED = "it is a file packed by {}: unpack it first"
_BEGINNINGS = (
    (b"PK\x05\x06", "it is an empty zip"),
    (
        b"version https://git-lfs.github.com/spec/",
        "it is a pointer of Git LFS and not the file itself: run `git lfs pull` where it was cloned, or download the "
        "file itself",
    ),
    (b"\x89HDF", _NO_HDF5),
    (b"\xef\xbf\xbdHDF", _NO_HDF5),
    (b"\x1f\x8b", _PACKED.format("gzip")),
    (b"BZh", _PACKED.format("bzip2")),
    (b"\xfd7zXZ\x00", _PACKED.format("xz")),
    (b"\x28\xb5\x2f\xfd", _PACKED.format("zstd")),
    (b"7z\xbc\xaf\x27\x1c", _PACKED.format("7-Zip")),
    (b"Rar!", _PACKED.format("RAR")),
    (
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
        "it is a file of PyTorch (torch.save), which is pickles, and those are code: they are not read",
    ),
    *(
        (
            bytes([0x80, protocol]),
            "it is a pickle. Those are code and are not read: unpickle it where you trust it, with the library that "
            "made it, and call model.save('model.keras') there",
        )
        for protocol in (2, 3, 4, 5)
    ),
    (b"\x93NUMPY", "it is a NumPy array (.npy): build the model, and give its weights to model.set_weights()"),
    (b"GGUF", "it is a GGUF file, which holds the weights of a language model and no Keras model"),
    (
        b"model_checkpoint_path:",
        _CHECKPOINT.format(what="the list of a folder's TensorFlow checkpoints", prefix="<the path it names>"),
    ),
)


def _describe_json(head):
    if b'"modelTopology"' in head or b'"weightsManifest"' in head:
        return (
            "it is a model of TensorFlow.js: convert it with `tensorflowjs_converter --input_format tfjs_layers_model "
            "--output_format keras`"
        )
    if b'"weight_map"' in head:
        return "it is the index of weights that Keras wrote in parts (max_shard_size): save them as one .weights.h5"
    if b'"nbformat"' in head or b'"cells"' in head[:200]:
        return "it is a Jupyter notebook, and no model file"
    if b'"class_name"' in head:
        return (
            "it is a model's config (JSON), without weights: make the model with "
            "fastseq.models.model_from_json(text), and read its weights with load_weights()"
        )
    return "it is JSON, and neither a .keras (zip) nor an HDF5 file"


def _describe_binary(head, path):
    name = os.path.basename(path).lower()
    if head[4:8] == b"TFL3":
        return "it is a TensorFlow Lite model; the Keras model that it was converted from is what fastseq reads"
    if name.endswith(".pb") or head.startswith(b"\x08\x01\x12"):
        return _SAVED_MODEL.format(what="a graph of TensorFlow, as in a SavedModel", folder="its folder")
    # The version of ONNX's format, then its producer or the graph.
    if name.endswith(".onnx") or (
        head[:1] == b"\x08" and 2 < head[1] < 32 and head[2:3] in (b"\x12", b"\x1a", b"\x3a")
    ):
        return "it is an ONNX model; the Keras model that it was converted from is what fastseq reads"
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100 << 20:
        return "it is a safetensors file, which holds weights and no model: give them to model.set_weights()"
    if any(head[at : at + 8] == _HDF5 for at in (512, 1024, 2048)):
        return "it is HDF5 behind other bytes (a user block, as MATLAB writes), which Keras does not write"
    reason = "it is neither a .keras (zip) nor an HDF5 file"
    text = head[:60]
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in text):
        return f"{reason}: it is text, and begins with {text.decode().strip()!r}"
    return reason


def describe_zip(names):
    """What a zip without a model's config is, by the names of its members; to follow "so it is not a Keras model"."""
    names = list(names)
    if any(name.endswith(("/data.pkl", "constants.pkl")) for name in names):
        return "; it is a file of PyTorch, which is pickles, and those are code: they are not read"
    if any(name.rpartition("/")[2] == "saved_model.pb" for name in names):
        return "; " + _SAVED_MODEL.format(what="a SavedModel in a zip", folder="the unpacked folder")
    if names and all(name.endswith(".npy") for name in names):
        return "; it is NumPy's arrays (.npz): build the model, and give its weights to model.set_weights()"
    for name in sorted(names):
        if name.replace("\\", "/").endswith("/config.json"):
            return f"; it has '{name[:200]}': zip the files of a model without a folder around them"
        if name.endswith((".keras", ".h5", ".hdf5")):
            return f"; it has '{name[:200]}': unpack it, and load that"
    return f"; it has {', '.join(repr(name[:60]) for name in names[:5])}"
