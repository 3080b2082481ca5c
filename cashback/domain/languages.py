"""Members' sentences. `tr` and `trn` are gettext's two questions: one sentence, or one of two by a count.

A sentence is written in English with named placeholders, so that a catalogue may order them as its language needs.
"""


def tr(sentence: str, **values: object) -> str:
    """Return a member's sentence with its values."""
    return sentence.format(**values)


def trn(one: str, many: str, count: int, **values: object) -> str:
    """Return a sentence for a count, which is its placeholder `{count}`."""
    return (one if count == 1 else many).format(count=f"{count:,}", **values)


def mark(sentence: str) -> str:
    """Return the sentence itself: it is looked up in a catalogue where it is shown."""
    return sentence
