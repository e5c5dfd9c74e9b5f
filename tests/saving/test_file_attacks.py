"""Known attacks on model loaders, each as a file made here. None may do anything but raise, soon and with a reason.

The advisories are about Keras's own loader, 2024 to 2026.
"""

import base64
import io
import json
import marshal
import os
import struct
import zipfile
import zlib

import h5py
import numpy as np
import pytest
from saving_files import (
    BIAS,
    KERNEL,
    dense,
    functional,
    h5_model,
    input_layer,
    keras_file,
    node,
    refuse,
    sequential,
    weights,
)

import fastseq
from fastseq.errors import UnsupportedError


@pytest.fixture
def canary(tmp_path):
    """A path that only code out of a model file would create."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


def shell(canary):
    return f"touch {canary}"


def custom(module, class_name, config, registered_name=None):
    return {"module": module, "class_name": class_name, "config": config, "registered_name": registered_name}


def code_of(canary):
    code = compile(f"lambda x: __import__('os').system({shell(canary)!r}) or x", "model", "eval").co_consts[0]
    return base64.b64encode(marshal.dumps(code)).decode()


def lambda_layer(canary, style):
    if style == "keras3":
        value = {"class_name": "__lambda__", "config": {"code": code_of(canary), "defaults": None, "closure": None}}
    else:
        value = [code_of(canary), None, None]
    config = {"name": "evil", "function": value, "function_type": "lambda", "arguments": {}}
    return {"module": "keras.layers", "class_name": "Lambda", "config": config, "registered_name": None}


def test_sound_files_load(tmp_path):
    """The files that the attacks start from are fine."""
    x = np.ones((1, 3), np.float32)
    expected = x @ KERNEL + BIAS
    graph = functional([(input_layer(), []), (dense(), [node(["input", 0, 0])])])
    for path in (
        keras_file(tmp_path / "a.keras"),
        keras_file(tmp_path / "b.keras", graph),
        keras_file(tmp_path / "c.keras", compression=zipfile.ZIP_DEFLATED),
        h5_model(tmp_path / "d.h5", sequential()),
        h5_model(tmp_path / "e.h5", graph),
    ):
        np.testing.assert_allclose(fastseq.load_model(path)(x), expected)


class TestCode:
    """Files that want something executed."""

    @pytest.mark.parametrize("style", ["keras3", "keras2"])
    def test_lambda_in_keras_file(self, tmp_path, canary, style):  # CVE-2024-3660
        model = sequential(input_layer(), lambda_layer(canary, style), dense())
        message = refuse(keras_file(tmp_path / "m.keras", model), "evil|Lambda|lambda")
        assert "fastseq.layers.Layer" in message

    @pytest.mark.parametrize("style", ["keras3", "keras2"])
    def test_a_lambda_with_a_function_of_the_users_runs_that_alone(self, tmp_path, canary, style):
        path = keras_file(tmp_path / "m.keras", sequential(input_layer(), lambda_layer(canary, style), dense()))
        model = fastseq.load_model(path, custom_objects={"evil": lambda x: x * 2})
        x = np.ones((1, 3), np.float32)
        np.testing.assert_allclose(model(x), 2 * x @ KERNEL + BIAS)
        assert not canary.exists()

    @pytest.mark.parametrize("style", ["keras3", "keras2"])
    def test_lambda_in_h5_attribute(self, tmp_path, canary, style):  # CVE-2025-9905
        model = sequential(input_layer(), lambda_layer(canary, style), dense())
        refuse(h5_model(tmp_path / "m.h5", model), "evil|Lambda|lambda")

    @pytest.mark.parametrize(
        "module, name",
        [("builtins", "eval"), ("os", "system"), ("subprocess", "Popen"), ("keras.src.utils", "get_file"),
         ("fastseq.saving", "load_model"), ("numpy", "load")],
    )  # fmt: skip
    def test_config_names_a_callable(self, tmp_path, canary, module, name):  # CVE-2025-1550
        function = custom(module, "function", name, name)
        for layer in (
            custom(module, name, {"args": [shell(canary)]}, name),
            dense(activation=function),
            dense(activation=custom(module, name, {"command": shell(canary)})),
            dense(kernel_initializer=function),
        ):
            refuse(keras_file(tmp_path / "m.keras", sequential(input_layer(), layer)), name)

    def test_keras_callables_as_gadgets(self, tmp_path, canary):  # CVE-2025-8747
        gadget = custom("keras.utils", "function", "get_file", "get_file")
        arguments = {"fname": str(canary), "origin": "http://localhost:9/evil", "extract": True}
        layer = custom("keras.layers", "Lambda", {"name": "evil", "function": gadget, "arguments": arguments})
        refuse(keras_file(tmp_path / "m.keras", sequential(input_layer(), layer)), "Lambda|lambda")
        call = node(["input", 0, 0], **{"command": custom("os", "system", {"command": shell(canary)})})
        graph = functional([(input_layer(), []), (dense(), [call])])
        refuse(keras_file(tmp_path / "m.keras", graph), "system|command")

    def test_file_switches_safe_mode_off(self, tmp_path, canary):  # CVE-2025-9906
        switch = custom("keras.config", "function", "enable_unsafe_deserialization", "enable_unsafe_deserialization")
        nested = custom("keras.saving", "load_model", {"filepath": str(tmp_path / "other.keras"), "safe_mode": False})
        for layer in (dense(activation=switch), nested, custom("keras.config", "enable_unsafe_deserialization", {})):
            model = sequential(input_layer(), layer, lambda_layer(canary, "keras3"))
            refuse(keras_file(tmp_path / "m.keras", model), "unsafe|load_model")

    @pytest.mark.parametrize("safe_mode", [False, None, 0, "off"])
    def test_there_is_no_unsafe_mode(self, tmp_path, canary, safe_mode):  # CVE-2026-12481
        path = keras_file(tmp_path / "m.keras", sequential(input_layer(), lambda_layer(canary, "keras3"), dense()))
        with pytest.raises(UnsupportedError, match="safe_mode"):
            fastseq.load_model(path, safe_mode=safe_mode)

    def test_saved_model_layer(self, tmp_path, canary):  # CVE-2026-1462
        config = {"name": "evil", "filepath": str(tmp_path), "call_endpoint": "serve"}
        model = sequential(input_layer(), custom("keras.layers", "TFSMLayer", config))
        refuse(keras_file(tmp_path / "m.keras", model), "TFSMLayer")

    @pytest.mark.parametrize("name", ["StringLookup", "IntegerLookup", "TextVectorization"])
    @pytest.mark.parametrize("place", ["/etc/passwd", "http://169.254.169.254/latest/meta-data", "gs://bucket/vocab"])
    def test_vocabulary_is_a_path(self, tmp_path, name, place):  # CVE-2025-12058
        config = {"name": "evil", "vocabulary": place, "output_mode": "int"}
        model = sequential(input_layer(), custom("keras.layers", name, config))
        message = refuse(keras_file(tmp_path / "m.keras", model), name)
        assert "root:" not in message

    def test_pickled_arrays_in_npz(self, tmp_path, canary):
        class Evil:
            def __reduce__(self):
                return os.system, (shell(canary),)

        memory = io.BytesIO()
        np.savez(memory, **{"layers/dense": np.array([Evil()], dtype=object)})
        path = tmp_path / "m.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(sequential()))
            archive.writestr("model.weights.npz", memory.getvalue())
        refuse(path, "pickle")


class TestZip:
    """Archives that want to be extracted, or to expand."""

    @pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "assets/../../../evil", "C:\\evil", "assets/link"])
    def test_path_traversal(self, tmp_path, name):  # CVE-2025-12060, CVE-2024-55459, keras #23101
        folder = tmp_path / "deep" / "er"
        folder.mkdir(parents=True)
        path = keras_file(folder / "m.keras", members=[(name, b"evil" * 10)])
        before = sorted(tmp_path.rglob("*"))
        fastseq.load_model(path)
        assert sorted(tmp_path.rglob("*")) == before

    def test_config_bomb(self, tmp_path):  # keras #23010
        path = keras_file(tmp_path / "m.keras", b" " * (200 << 20), compression=zipfile.ZIP_DEFLATED)
        assert path.stat().st_size < 1 << 20
        refuse(path, "config.json", largest=20 << 20)

    def test_metadata_and_weight_bombs(self, tmp_path):
        bomb = b"\0" * (100 << 20)
        refuse(keras_file(tmp_path / "m.keras", h5=bomb, compression=zipfile.ZIP_DEFLATED), "expands from")
        path = tmp_path / "n.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("metadata.json", bomb)
            archive.writestr("config.json", json.dumps(sequential()))
            archive.writestr("model.weights.h5", weights())
        refuse(path, "metadata.json")

    def test_member_that_lies_about_its_size(self, tmp_path):
        path = keras_file(tmp_path / "m.keras", b" " * (50 << 20), compression=zipfile.ZIP_DEFLATED)
        data = bytearray(path.read_bytes())
        entry = data.rindex(b"config.json") - 46
        assert data[entry : entry + 4] == b"PK\x01\x02"
        struct.pack_into("<I", data, entry + 24, 1000)
        path.write_bytes(data)
        refuse(path, "config.json|zip", largest=20 << 20)

    def test_npz_header_bomb(self, tmp_path):  # keras #23016
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)})
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w") as archive:
            archive.writestr("layers/dense.npy", header.getvalue())
        path = tmp_path / "m.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(sequential()))
            archive.writestr("model.weights.npz", memory.getvalue())
        refuse(path, "npz")

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    @pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
    def test_duplicate_members(self, tmp_path, name):
        refuse(keras_file(tmp_path / "m.keras", members=[(name, b"{}")]), f"two members named '{name}'")

    def test_encrypted_member(self, tmp_path):
        path = keras_file(tmp_path / "m.keras")
        data = bytearray(path.read_bytes())
        entry = data.rindex(b"config.json") - 46
        data[entry + 8] |= 1
        path.write_bytes(data)
        refuse(path, "encrypted")

    def test_absurd_directory(self, tmp_path):
        path = keras_file(tmp_path / "m.keras", members=[(f"assets/{index}", b"") for index in range(20_000)])
        refuse(path, "far larger")

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_other_compressions(self, tmp_path, method):
        refuse(keras_file(tmp_path / "m.keras", compression=method), "unknown method")


class TestHdf5:
    """Weights that are not where, or not as large as, they say."""

    def test_shape_bomb(self, tmp_path):  # CVE-2026-0897, CVE-2026-12570
        def fill(group):
            group.create_dataset("0", shape=(2**30, 2**30), dtype="f4", chunks=(1024, 1024), compression="gzip")
            group["1"] = BIAS

        path = keras_file(tmp_path / "m.keras", h5=weights(fill))
        refuse(path, r"layer 'dense': weight 'kernel': .*\(1073741824, 1073741824\), the model wants \(3, 2\)")

    def test_external_storage(self, tmp_path):  # CVE-2026-1669
        secret = tmp_path / "secret"
        secret.write_bytes(bytes(24))

        def fill(group):
            group.create_dataset("0", (3, 2), "f4", external=[(str(secret), 0, 24)])
            group["1"] = BIAS

        refuse(keras_file(tmp_path / "m.keras", h5=weights(fill)), "external")

    def test_virtual_dataset(self, tmp_path):  # keras #22976
        with h5py.File(tmp_path / "source.h5", "w") as file:
            file["secret"] = KERNEL

        def fill(group):
            layout = h5py.VirtualLayout((3, 2), "f4")
            layout[...] = h5py.VirtualSource(tmp_path / "source.h5", "secret", (3, 2))
            group.create_virtual_dataset("0", layout)
            group["1"] = BIAS

        refuse(keras_file(tmp_path / "m.keras", h5=weights(fill)), "virtual")

    @pytest.mark.parametrize("link", ["soft", "external"])
    @pytest.mark.parametrize("depth", ["layers", "layers/dense", "layers/dense/vars", "layers/dense/vars/0"])
    def test_links_at_every_step_of_a_path(self, tmp_path, link, depth):  # keras #22899
        with h5py.File(tmp_path / "other.h5", "w") as file:
            file["hidden/dense/vars/0"], file["hidden/dense/vars/1"] = KERNEL, BIAS
        memory = io.BytesIO()
        with h5py.File(memory, "w") as file:
            place = depth.replace("layers", "hidden", 1)
            if link == "soft":
                file["hidden/dense/vars/0"], file["hidden/dense/vars/1"] = KERNEL, BIAS
                file[depth] = h5py.SoftLink(f"/{place}")
            else:
                file[depth] = h5py.ExternalLink(str(tmp_path / "other.h5"), f"/{place}")
            if depth.endswith("0"):
                file["layers/dense/vars/1"] = BIAS
        refuse(keras_file(tmp_path / "m.keras", h5=memory.getvalue()), f"{link} link")

    @pytest.mark.parametrize("size", [1 << 20, 50 << 20])
    def test_compressed_chunk_that_expands(self, tmp_path, size):
        def fill(group):
            # One chunk, declared as 24 bytes, whose stored bytes expand to `size`.
            group.create_dataset("0", (3, 2), "f4", chunks=(3, 2), compression="gzip")
            group["0"].id.write_direct_chunk((0, 0), zlib.compress(bytes(size), 9))
            group["1"] = BIAS

        path = keras_file(tmp_path / "m.keras", h5=weights(fill))
        refuse(path, "chunk", largest=20 << 20)

    def test_padding_chunks_far_larger_than_the_data(self, tmp_path):
        def fill(group):
            data = group.create_dataset(
                "0", (3, 2), "f4", maxshape=(None, None), chunks=(8000, 8000), compression="gzip"
            )
            data[...] = KERNEL
            group["1"] = BIAS

        refuse(keras_file(tmp_path / "m.keras", h5=weights(fill)), "larger chunks")

    def test_unknown_filter(self, tmp_path):
        def fill(group):
            group.create_dataset("0", data=KERNEL, chunks=(3, 2), compression="lzf")
            group["1"] = BIAS

        refuse(keras_file(tmp_path / "m.keras", h5=weights(fill)), "filter 32000")

    @pytest.mark.parametrize("dtype", ["S4", h5py.string_dtype(), "c8", h5py.ref_dtype, "V8"], ids=str)
    def test_unknown_dtypes(self, tmp_path, dtype):
        def fill(group):
            group.create_dataset("0", shape=(3, 2), dtype=dtype)
            group["1"] = BIAS

        refuse(keras_file(tmp_path / "m.keras", h5=weights(fill)), "plain numbers")

    def test_group_that_holds_itself(self, tmp_path):
        def fill(group):
            group["0"], group["1"] = KERNEL, BIAS
            group["again"] = group

        refuse(keras_file(tmp_path / "m.keras", h5=weights(fill)), "3")

    @pytest.mark.parametrize("bomb", ["weight_names", "layer_names", "model_config"])
    def test_attribute_bombs(self, tmp_path, bomb):
        path = h5_model(tmp_path / "m.h5", sequential())
        with h5py.File(path, "r+") as file:
            group = {"weight_names": file["model_weights/dense"], "layer_names": file["model_weights"]}.get(bomb, file)
            del group.attrs[bomb]
            group.attrs[bomb] = "[" * 10**6 if bomb == "model_config" else [b"x" * 10] * 4000
        refuse(path, "nested|weights|list of layers")
