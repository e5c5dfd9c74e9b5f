"""What holds each engine to one instruction set: environment variables, and in words how far they reach.

What they reach was checked by rates: a product of 1024 x 1024 matrices and an LSTM (128, 50, 512, 512) on a core whose
peak is 288 GFLOP/s with AVX-512 and 144 with AVX2. PyTorch's LSTM went from 250 to 121, OpenVINO's from 265 to 122,
TensorFlow's product from 263 to 132; JAX's only once oneDNN is held too and its YNNPACK products are off, to 116.
TensorFlow's XLA products were held by the same, but its LSTM (64, 100, 256, 256) ran at 180, above the AVX2 peak.
"""

_ONEDNN = {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"}
_XLA = {**_ONEDNN, "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}
_JAX = {**_ONEDNN, "XLA_FLAGS": "--xla_cpu_max_isa=AVX2 --xla_cpu_experimental_ynn_fusion_type="}

# engine -> (environment variables, what they do not reach)
HELD = {
    "avx2": {
        "fastseq": ({"FASTSEQ_FORCE_ISA": "avx2", "OPENBLAS_CORETYPE": "Haswell"}, ""),
        "TensorFlow": (_ONEDNN, ""),
        "Keras predict": (_ONEDNN, ""),
        "TensorFlow XLA": (_XLA, "its loops over time run above the AVX2 peak all the same, so it is no peer here"),
        "JAX": (_JAX, ""),
        "PyTorch": ({**_ONEDNN, "ATEN_CPU_CAPABILITY": "avx2"}, ""),
        "ONNX Runtime": ({}, "has no switch: it runs with all the machine has"),
        "OpenVINO": (_ONEDNN, "its matrix products outside recurrent layers have no switch"),
        "LiteRT": ({}, "has no switch: it runs with all the machine has"),
    },
    "": {},
}
PEAK_FLAGS = {"": ["-march=native"], "avx2": ["-mavx2", "-mfma", "-mno-avx512f"]}


def environment(isa, engine):
    """The variables to set for an engine; none where `isa` is empty."""
    return HELD[isa].get(engine, ({}, ""))[0]


# Engines whose variables do not hold what the table measures.
_NOT_HELD_ALL_THE_SAME = {"avx2": ("TensorFlow XLA",)}


def not_held(isa, engines):
    """Those of `engines` that nothing holds to `isa`."""
    free = _NOT_HELD_ALL_THE_SAME.get(isa, ())
    return [name for name in engines if isa and (name in free or not environment(isa, name))]


def described(isa, engines):
    """Markdown lines: what each of `engines` was held by."""
    lines = []
    for name in engines:
        variables, rest = HELD[isa][name]
        told = ", ".join(f"`{key}={value}`" for key, value in variables.items())
        lines.append(f"- {name}: {told}{'; ' if told and rest else ''}{rest}")
    return lines
