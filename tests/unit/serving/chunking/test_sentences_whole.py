"""What looks like the end of a sentence and is none: sentences that stay whole, and neighbours."""

from __future__ import annotations

import pytest

from streamproc.serving.chunking.sentences import sentences


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


WHOLE = [
    # abbreviations: titles, names of places, institutions
    "From here we can see Mt. Fuji.",
    "The Dept. Of Energy and Gen. Lee met Adm. Nelson.",
    "Alpha Inc. CEO Ann Lee resigned.",
    "The parties are Alpha Inc. (“the Buyer”) and Beta Ltd. (“the Seller”).",
    "Mr. Smith lives in the U.S. Government house.",
    "Ann Lee, Ph.D. Candidate, and John Roe, M.D. Anderson, came.",
    # Latin, units, dates, numbers
    "Lee et al. [2004] measured it.",
    "She played Op. 27 by heart, and Vol. II of it on Jan. 5.",
    "Das Boot fasst max. 10 Personen, ca. 3 Std. Fahrt.",
    "Die Firma macht 3 Mrd. Euro Umsatz, z. B. Importe, u. a. Äpfel.",
    "Rufen Sie uns unter Tel. 030 1234 an, oder Nr. 7, Abs. 3.",
    "Am 3. Oktober 1990 kam Ludwig XIV. König von Frankreich.",
    # other languages
    "Ce soir M. Dupont et Mme. Curie, av. J.-C. Martin, sont là.",
    "El Sr. García vive con la Sra. López, pág. 3, EE. UU. Norte.",
    "Il Dott. Rossi e la Sig.ra Bianchi, cfr. Dante.",
    "Он живёт на ул. Ленина в г. Москва, т. е. Россия.",
    "Dhr. Jansen en mevr. De Vries, d.w.z. Anna, zijn hier.",
    # ellipses
    "I waited ... then I saw . . . well, what I saw was . . . nothing at all.",
    "Well... I do not know.",
    "He shared the city with himself. . . .",
    "Ja… aber nein.",
    # quotations, and who said them
    '"这是对的。"他说。',
    "「行くの！」と彼は言った。",
    "Il a dit : « Bonjour ! » et il est parti.",
    '"What?" Mary Ann said.',
    '"Stop!" He cried.',
    "„Nein!“ sagte er, »Nein!« rief sie.",
    "„Nein!“ Anna rief laut.",
    "¡No! — dijo ella.",
    # parentheses
    "He came (it was late. He knew.) and left.",
    "He came (really?) Anna left.",
    "他来了（很晚。真的。）然后走了。",
]


@pytest.mark.parametrize("text", WHOLE)
def test_a_sentence_is_not_cut_inside(text: str) -> None:
    assert cut(text) == [text]


@pytest.mark.parametrize(
    "expected",
    [
        ["He has left.", "She stays."],
        ["He works at Alpha Inc.", "The firm grows."],
        ["They met at 5 p.m.", "It rained."],
        ["He left the U.S.", "He came back."],
        ["Äpfel, Birnen usw.", "Die Firma wächst."],
        ["« Oui. »", "Elle sourit."],
        ["„Nein!“", "Dann ging er."],
        ["(Really. Yes.)", "Then he left."],
        ["She saw me.", "Then she left."],
        ["Ich helfe dir.", "Dann gehe ich."],
        ["Jeg vet det.", "Da går vi."],
        ["He said no.", "Then he left."],
        ["She is 25.", "He is 30."],
        ["Wait...", "What?"],
        ["He went . . .", "Where?"],
    ],
)
def test_two_sentences_are_two(expected: list[str]) -> None:
    assert cut(" ".join(expected)) == expected


@pytest.mark.parametrize(
    "expected",
    [
        ["他说：“好。”", "然后走了。"],
        ["「好。」", "真的吗？"],
        ["（你好。）", "他走了。"],
    ],
)
def test_sentences_without_spaces_are_two(expected: list[str]) -> None:
    assert cut("".join(expected)) == expected


def test_a_parenthesis_that_never_closes_holds_nothing_back() -> None:
    assert cut("It (was late. He knew. ") == ["It (was late.", "He knew."]
    far = "x " * 300
    assert cut(f"It (was late. He knew. {far})")[0] == "It (was late."
