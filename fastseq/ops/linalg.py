"""``keras.ops.linalg``: what fastseq has of it. https://keras.io/api/ops/linalg/"""

from fastseq.configs.lazy_names import Some, face
from fastseq.ops import REASONS

__getattr__, __dir__ = face(__name__, Some("fastseq.ops", "jvp norm"), reasons=REASONS)
