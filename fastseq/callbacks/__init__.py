"""Callbacks with Keras's names, arguments and behaviour. https://keras.io/api/callbacks/"""

from fastseq.callbacks.backup_and_restore import BackupAndRestore
from fastseq.callbacks.base import Callback, CallbackList, History, TerminateOnNaN
from fastseq.callbacks.csv_logger import CSVLogger
from fastseq.callbacks.learning_rate_scheduler import LearningRateScheduler
from fastseq.callbacks.model_checkpoint import ModelCheckpoint
from fastseq.callbacks.monitor import EarlyStopping, ReduceLROnPlateau
from fastseq.configs.lazy_names import own_face, publish

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
publish(globals())
__getattr__, __dir__ = own_face(globals())
