"""Stems of English words: Porter's algorithm (1980), as NLTK's default stemmer extends it.

Each step is a list of suffixes; the first that a word has decides, whether its condition holds or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Condition = Callable[[str], bool]
Rule = tuple[str, str, Condition]
"""A suffix, what takes its place, and the condition on what stands before it."""

IRREGULAR = {
    "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "innings": "inning", "outings": "outing",
    "cannings": "canning",
    **{word: word for word in ("sky", "news", "inning", "outing", "canning", "howe", "proceed", "exceed", "succeed")},
}  # fmt: skip


def stemmed(word: str) -> str:
    """The stem of a word."""
    word = word.lower()
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) <= 2:
        return word
    for step in STEPS:
        word = step(word)
    return word


def letters(word: str) -> str:
    """`c` for each consonant and `v` for each vowel; y is a vowel behind a consonant."""
    kinds = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and kinds[-1:] == "c")
        kinds += "v" if vowel else "c"
    return kinds


def measure(stem: str) -> int:
    """How often consonants follow vowels."""
    return letters(stem).count("vc")


def some(stem: str) -> bool:
    return measure(stem) > 0


def several(stem: str) -> bool:
    return measure(stem) > 1


def has_vowel(stem: str) -> bool:
    return "v" in letters(stem)


def is_short(stem: str) -> bool:
    """Whether it ends like `hop`, or is like `us`."""
    kinds = letters(stem)
    return (kinds[-3:] == "cvc" and stem[-1] not in "wxy") or kinds == "vc"


def is_doubled(word: str) -> bool:
    return len(word) > 1 and word[-1] == word[-2] and letters(word)[-1] == "c"


def always(stem: str) -> bool:
    return True


def replaced(word: str, rules: Sequence[Rule]) -> str:
    """The word after the first rule whose suffix it has."""
    for suffix, other, condition in rules:
        if word.endswith(suffix):
            stem = word.removesuffix(suffix)
            return stem + other if condition(stem) else word
    return word


def plural(word: str) -> str:
    if word.endswith("ies") and len(word) == 4:
        return word[:-1]
    return replaced(word, PLURALS)


def past(word: str) -> str:
    """Without `ed` and `ing`, made whole again."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if some(word[:-3]) else word
    for suffix in ("ed", "ing"):
        if word.endswith(suffix) and has_vowel(word.removesuffix(suffix)):
            return whole(word.removesuffix(suffix))
    return word


def whole(stem: str) -> str:
    if stem.endswith(("at", "bl", "iz")):
        return stem + "e"
    if is_doubled(stem):
        return stem if stem[-1] in "lsz" else stem[:-1]
    return stem + "e" if measure(stem) == 1 and is_short(stem) else stem


def final_y(word: str) -> str:
    return replaced(word, (("y", "i", lambda stem: len(stem) > 1 and letters(stem)[-1] == "c"),))


def double_suffix(word: str) -> str:
    if word.endswith("alli") and some(word[:-4]):
        return double_suffix(word[:-2])
    return replaced(word, DOUBLE)


def suffix_of_nouns(word: str) -> str:
    return replaced(word, NOUNS)


def last_suffix(word: str) -> str:
    return replaced(word, LAST)


def final_e(word: str) -> str:
    def may_go(stem: str) -> bool:
        return several(stem) or (measure(stem) == 1 and not is_short(stem))

    return replaced(word, (("e", "", may_go),))


def final_l(word: str) -> str:
    return word[:-1] if word.endswith("ll") and several(word[:-1]) else word


def rules(pairs: str, condition: Condition) -> list[Rule]:
    """Rules written `suffix:other`, all on one condition."""
    split = (pair.partition(":") for pair in pairs.split())
    return [(suffix, other, condition) for suffix, _, other in split]


PLURALS = rules("sses:ss ies:i ss:ss s:", always)
DOUBLE = [
    *rules(
        "ational:ate tional:tion enci:ence anci:ance izer:ize bli:ble alli:al entli:ent eli:e ousli:ous", some
    ),
    *rules("ization:ize ation:ate ator:ate alism:al iveness:ive fulness:ful ousness:ous aliti:al", some),
    *rules("iviti:ive biliti:ble fulli:ful", some),
    ("logi", "log", lambda stem: some(stem + "l")),
]
NOUNS = rules("icate:ic ative: alize:al iciti:ic ical:ic ful: ness:", some)
LAST = [
    *rules("al: ance: ence: er: ic: able: ible: ant: ement: ment: ent:", several),
    ("ion", "", lambda stem: several(stem) and stem[-1] in "st"),
    *rules("ou: ism: ate: iti: ous: ive: ize:", several),
]
STEPS = (plural, past, final_y, double_suffix, suffix_of_nouns, last_suffix, final_e, final_l)
