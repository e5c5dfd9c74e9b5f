"""The model behind `fastseq demo`: dates in many spellings to ISO form.

`dates` draws the texts, `train` trains the model (`fastseq train-demo`), `curve` draws its loss, `reader` runs it on
fastseq, or on Keras beside it. ``dates.keras`` is an ordinary Keras file; ``dates.json`` says how it was made and what
it scored.
"""

from pathlib import Path

MODEL_PATH = Path(__file__).with_name("dates.keras")
ABOUT_PATH = Path(__file__).with_name("dates.json")
