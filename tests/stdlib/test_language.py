"""Languages told apart by an optional package."""

from __future__ import annotations

import sys

import pytest
from answers import given
from selrun.errors import DataError
from selrun.stdlib.score.language import Language, Languages, identifier

ROWS = given(
    response=["Where is the nearest station, please?", "Wo ist bitte der nächste Bahnhof?", "", None]
)


@pytest.fixture
def package() -> None:
    pytest.importorskip("py3langid", reason="the extra `language` is not installed")


@pytest.mark.usefixtures("package")
def test_rows_are_labelled_with_their_language():
    assert Languages().reduce(ROWS).to_list() == ["en", "de", None, None]


@pytest.mark.usefixtures("package")
def test_the_score_is_the_probability_of_the_language_named():
    english, german, *empty = Language(code="en").reduce(ROWS)
    assert english > 0.9
    assert german < 0.1
    assert empty == [None, None]


@pytest.mark.usefixtures("package")
def test_an_unknown_language_is_named_with_the_known_ones():
    with pytest.raises(DataError, match=r"E546.*`english` is no language"):
        Language(code="english").reduce(ROWS)


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    identifier.cache_clear()
    with pytest.raises(DataError, match=r"E545.*not installed"):
        Languages().reduce(ROWS)
