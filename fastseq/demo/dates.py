"""Dates in many spellings, and the ISO form each stands for.

The demo's data comes from here and from nowhere else: a text such as ``"Wed, 3 March 2021"`` is drawn with NumPy's
seeded Generator, together with its answer ``"2021-03-03"``. Every text has one reading only. Purely numeric spellings
that do not start with the year are therefore used only where the day is above 12 or equals the month, and years lie in
1950 to 2049, so that ``'21`` is 2021 and ``'84`` is 1984. A weekday, where one is named, is the right one.

The texts are split once and for all: `is_unseen` hashes the text without its case and surplus spaces, and one text in
ten is never trained on. Two spellings that come out alike for a date ("5 May 2021" with the long and the short month
name) have the same hash, so nothing leaks from one side to the other.
"""

import datetime
import zlib

import numpy as np

#: Every character that a text may hold; a character's id is its index here plus one, and id 0 is padding.
ALPHABET = " ',-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: Every character of an answer, again from id 1; id 0 is the start sign that opens the decoder's input.
ISO_ALPHABET = "-0123456789"
ISO_LENGTH = 10
MAX_LENGTH = 64
FIRST_DATE, LAST_DATE = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)

_MONTHS = "January February March April May June July August September October November December".split()
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_ROMAN = "I II III IV V VI VII VIII IX X XI XII".split()
_UNITS = "first second third fourth fifth sixth seventh eighth ninth".split()
_TEENS = (
    "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
_DAY_WORDS = _UNITS + _TEENS + ["twenty-" + unit for unit in _UNITS] + ["thirtieth", "thirty-first"]

#: One reading whatever the date is.
SPELLINGS = (
    "{y}-{mm}-{dd}", "{y}/{mm}/{dd}", "{y}.{mm}.{dd}", "{y} {mm} {dd}", "{y}{mm}{dd}", "{y}/{m}/{d}",
    "{y}-{mon}-{dd}", "{y} {month} {d}", "{y}, {month} {nth}", "{month} {y}, the {nth}",
    "{d} {month} {y}", "{d} {mon} {y}", "{dd} {mon} {y}", "{d}. {month} {y}", "{d} {mon}. {y}", "{d} {month}, {y}",
    "{d}-{mon}-{y}", "{dd}-{mon}-{y}", "{d}/{mon}/{y}", "{dd}{mon}{y}", "{d}.{roman}.{y}", "{d} {mon} '{yy}",
    "{mon} {d}, {y}", "{month} {d}, {y}", "{mon}. {d}, {y}", "{month} {d} {y}", "{mon}-{dd}-{y}", "{mon}/{d}/{y}",
    "{month} {nth}, {y}", "{mon} {nth}, '{yy}", "{month} {nth} '{yy}", "{nth} {month} {y}", "{nth} {mon} '{yy}",
    "{nth} of {month}, {y}", "the {nth} of {month} {y}", "the {word} of {month} {y}", "the {word} of {month}, '{yy}",
    "{word} of {month} {y}", "{month} the {word}, {y}", "{word} {month} {y}", "{month} {word} {y}",
    "{wday}, {d} {month} {y}", "{wday} {d} {mon} {y}", "{wd} {d} {mon} {y}", "{wd}, {dd} {mon} {y}",
    "{wday}, {month} {d}, {y}", "{wday}, {month} {nth}, {y}", "{wd}, {mon} {d}, '{yy}", "{wd}. {mon}. {d}, {y}",
    "{wday}, the {nth} of {month}, {y}", "{wday} the {word} of {month}, {y}",
)  # fmt: skip
#: One reading only where the day cannot be taken for the month.
NUMERIC_SPELLINGS = (
    "{d}/{m}/{y}", "{m}/{d}/{y}", "{dd}/{mm}/{y}", "{mm}/{dd}/{y}", "{dd}.{mm}.{y}", "{d}.{m}.{y}", "{dd}-{mm}-{y}",
    "{mm}-{dd}-{y}",
)  # fmt: skip


def _ordinal(number):
    last = 0 if 11 <= number <= 13 else number % 10
    return str(number) + {1: "st", 2: "nd", 3: "rd"}.get(last, "th")


def spell(date, spelling):
    """The text of one `datetime.date` in one of `SPELLINGS` or `NUMERIC_SPELLINGS`."""
    month, weekday = _MONTHS[date.month - 1], _WEEKDAYS[date.weekday()]
    return spelling.format(
        y=date.year, yy=f"{date.year % 100:02d}", m=date.month, mm=f"{date.month:02d}", d=date.day,
        dd=f"{date.day:02d}", mon=month[:3], month=month, wd=weekday[:3], wday=weekday, nth=_ordinal(date.day),
        word=_DAY_WORDS[date.day - 1], roman=_ROMAN[date.month - 1],
    )  # fmt: skip


def is_unseen(text):
    """True for the tenth of all texts that training never sees, whatever their case and spacing."""
    return zlib.crc32(" ".join(text.lower().split()).encode()) % 10 == 0


def _widen(text, rng):
    """Up to two more spaces at every gap and at both ends."""
    words = text.split(" ")
    extra = rng.integers(0, 3, len(words) + 1)
    gaps = [" " * (1 + int(n)) for n in extra[1:-1]]
    body = words[0] + "".join(gap + word for gap, word in zip(gaps, words[1:], strict=True))
    return (" " * int(extra[0]) + body + " " * int(extra[-1]))[:MAX_LENGTH]


def samples(count, seed, unseen=False):
    """`count` texts and their answers, drawn with `np.random.default_rng(seed)`.

    Returns two lists of `str`. With ``unseen=False`` all texts come from the nine tenths used in training, with
    ``unseen=True`` all come from the tenth that training never sees.
    """
    rng = np.random.default_rng(seed)
    every = SPELLINGS + NUMERIC_SPELLINGS
    texts, answers = [], []
    while len(texts) < count:
        block = max(256, count - len(texts))
        ordinals = rng.integers(FIRST_DATE.toordinal(), LAST_DATE.toordinal() + 1, block)
        choices = rng.integers(0, len(every), block)
        cases, spacings = rng.random(block), rng.random(block)
        for ordinal, choice, case, spacing in zip(ordinals, choices, cases, spacings, strict=True):
            date = datetime.date.fromordinal(int(ordinal))
            if choice >= len(SPELLINGS) and date.day <= 12 and date.day != date.month:
                continue
            text = spell(date, every[choice])
            if is_unseen(text) is not unseen:
                continue
            if case < 0.3:
                text = text.lower() if case < 0.2 else text.upper()
            if spacing < 0.15:
                text = _widen(text, rng)
            texts.append(text)
            answers.append(date.isoformat())
    return texts[:count], answers[:count]


def encode(texts, length=None):
    """Texts to ids, int32 of shape ``(len(texts), T)``, padded with 0 on the right.

    T is `length`, or the longest text's length. Raises `ValueError` for a text that is empty, longer than T or
    `MAX_LENGTH`, or holds a character outside `ALPHABET`.
    """
    longest = max(map(len, texts), default=0)
    length = longest if length is None else length
    if longest > min(length, MAX_LENGTH):
        raise ValueError(f"a text of {longest} characters is longer than {min(length, MAX_LENGTH)}")
    ids = np.zeros((len(texts), length), np.int32)
    for row, text in enumerate(texts):
        if not text.strip():
            raise ValueError("an empty text holds no date")
        for column, character in enumerate(text):
            found = ALPHABET.find(character)
            if found < 0:
                raise ValueError(f"the character {character!r} in {text!r} is not one of {ALPHABET!r}")
            ids[row, column] = found + 1
    return ids


def encode_answers(answers):
    """ISO dates to ids, int32 of shape ``(len(answers), 10)``."""
    ids = [[ISO_ALPHABET.index(character) + 1 for character in answer] for answer in answers]
    return np.array(ids, np.int32).reshape(-1, ISO_LENGTH)


def decoder_inputs(answer_ids):
    """The decoder's teacher-forced input ``(B, 10)``: the answer one step later, after the start sign 0."""
    return np.concatenate([np.zeros_like(answer_ids[:, :1]), answer_ids[:, :-1]], axis=1)


def decode(ids):
    """Ids ``(B, 10)`` back to strings; the start sign, should a model answer with it, shows as ``?``."""
    return ["".join("?" if i == 0 else ISO_ALPHABET[i - 1] for i in row) for row in np.asarray(ids)]
