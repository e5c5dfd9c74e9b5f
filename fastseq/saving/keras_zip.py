"""Reads the `.keras` zip: three members by fixed name, with their sizes checked before anything expands.

Members are read in memory, but for large weights that are stored as they are, which Keras does: those are read in
place, so that loading takes no second copy of them. Nothing is extracted to disk and assets are ignored: no layer of
fastseq has any.
"""

import io
import os
import struct
import zlib

from fastseq.configs import limits
from fastseq.errors import FileFormatError
from fastseq.saving import sources, zip_members
from fastseq.saving.hdf5 import H5File

# Weights of fewer bytes are read at once: HDF5's many small reads cost less in memory.
_IN_PLACE = 1 << 20
CONFIG, METADATA, WEIGHTS, WEIGHTS_NPZ = "config.json", "metadata.json", "model.weights.h5", "model.weights.npz"


class Archive(limits.Opened):
    """An open zip whose members are read in memory, each by its name.

    path: the file, or with its bytes as `data` its name for messages, or None. Raises FileFormatError when it is no
    zip, is truncated, or its directory is absurdly large.
    """

    _what = "zip"
    _directory_bytes = limits.ZIP_DIRECTORY_BYTES
    _once = ()

    def __init__(self, path, data=None):
        self.path = None if path is None else os.fspath(path)
        self._raw = open(self.path, "rb") if data is None else io.BytesIO(data)
        try:
            handle = limits.Metered(self._raw, self.path)
            handle.allow(limits.HEADER_READS, self._directory_bytes)
            self._handle = handle
            self._members = {}
            for member in self._try("", lambda: zip_members.read_directory(handle)):
                if member.name in self._members and (not self._once or member.name in self._once):
                    raise FileFormatError(f"it has two members named '{member.name}'", path=self.path)
                self._members[member.name] = member
        except BaseException:
            self._raw.close()
            raise

    def _try(self, where, action):
        """`action()`, whose errors of format say where: in a member, or "" for the directory."""
        try:
            return action()
        except (FileFormatError, struct.error, UnicodeDecodeError, zlib.error) as error:
            reason = error.reason if isinstance(error, FileFormatError) else str(error)[:200]
            what = f"its member '{where}' is damaged" if where else f"it is not a readable {self._what} file"
            raise FileFormatError(f"{what}: {reason}", path=self.path) from error

    def read(self, name, limit=None):
        """A member's bytes, None where there is no such member. limit: most bytes it may have."""
        member = self._member(name, limit)
        return None if member is None else self._try(name, lambda: zip_members.read(self._handle, member))

    def read_in_place(self, name, least):
        """As `read`; of a member that is stored in at least `least` bytes a limits.Section, good while this is open."""
        member = self._member(name)
        if member is None or member.method != zip_members.STORED or member.size < least:
            return self.read(name)
        return self._try(name, lambda: zip_members.section(self._handle, member))

    def _member(self, name, limit=None):
        """The Member of that name, which can be read and whose sizes are sane; None where there is none."""
        member = self._members.get(name)
        if member is None:
            return None
        if not member.readable or member.method not in (zip_members.STORED, zip_members.DEFLATED):
            raise FileFormatError(f"its member '{name}' is encrypted or packed by an unknown method", self.path)
        size, stored = member.size, member.stored
        if limit is not None and size > limit:
            raise FileFormatError(f"its member '{name}' says it has {size} bytes, the limit is {limit}", self.path)
        if stored > self._handle.size:
            raise FileFormatError(f"it is truncated: member '{name}' should take {stored} bytes of it", self.path)
        if size > limits.ZIP_RATIO_FLOOR and size > limits.ZIP_RATIO * stored:
            raise FileFormatError(
                f"its member '{name}' says it expands from {stored} to {size} bytes; that is refused", self.path
            )
        if member.method == zip_members.STORED and size != stored:
            raise FileFormatError(f"its member '{name}' is stored in {stored} bytes and says it has {size}", self.path)
        return member


class KerasArchive(Archive):
    """An open `.keras` file."""

    _what = ".keras (zip)"
    _once = (CONFIG, METADATA, WEIGHTS, WEIGHTS_NPZ)

    def config(self):
        """The model's config, a dict."""
        text = self.read(CONFIG, limits.CONFIG_BYTES)
        if text is None:
            kind = sources.describe_zip(self._members)
            raise FileFormatError(f"it has no member '{CONFIG}', so it is not a Keras model{kind}", self.path)
        config = limits.parse_json(text, CONFIG, self.path)
        if not isinstance(config, dict):
            raise FileFormatError(f"its {CONFIG} is not a JSON object", self.path)
        return config

    def metadata(self):
        """Keras's version and the date, a dict; empty where the file does not say."""
        text = self.read(METADATA, limits.METADATA_BYTES)
        data = {} if text is None else limits.parse_json(text, METADATA, self.path)
        return data if isinstance(data, dict) else {}

    def weights(self):
        """The weights, an H5File, good while this is open. Raises FileFormatError where there are none."""
        data = self.read_in_place(WEIGHTS, _IN_PLACE)
        if data is None and WEIGHTS_NPZ in self._members:
            # Keras's npz holds a dict per layer, and NumPy can store a dict only as a pickle, which is code.
            raise FileFormatError(
                f"its weights are pickles ('{WEIGHTS_NPZ}'), which are not read; save it with HDF5 weights", self.path
            )
        if data is None:
            raise FileFormatError(f"it has no member '{WEIGHTS}'", self.path)
        return H5File(data, path=self.path)
