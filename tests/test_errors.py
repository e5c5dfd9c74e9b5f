"""What errors say, and that they can be sent to other processes."""

from fastseq import errors


def test_file_format_error_names_what_is_known():
    error = errors.FileFormatError("weights are missing", path="a.keras", layer="lstm_1")
    assert (error.path, error.layer, error.reason) == ("a.keras", "lstm_1", "weights are missing")
    assert str(error) == "file 'a.keras', layer 'lstm_1': weights are missing"
    assert str(errors.FileFormatError("truncated")) == "truncated"
    assert isinstance(error, ValueError)
    assert issubclass(errors.UnsupportedError, ValueError)


def test_errors_survive_pickling():
    import pickle

    error = pickle.loads(pickle.dumps(errors.FileFormatError("bad", path="p", layer="l")))
    assert str(error) == "file 'p', layer 'l': bad"
