"""Telling a full stop that ends a sentence from one that is part of a word.

By lists of what people shorten, in the languages that do so most, and by form: initials, numbers.
Where two sentences could begin or one go on, it goes on.
"""

from __future__ import annotations

import re


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Nothing ends with these: what they are short for has something behind it, as a title its name.
# One with a capital here is none without it, being a word of some language.
_GO_ON = _listed("""
mr mrs ms messrs mx dr drs prof rev revd fr hon st ste mt ft pt gen adm col maj capt cmdr comdr
brig lt sgt cpl pvt gov sen rep pres supt insp Det atty amb treas mgr
vs viz cf al ibid op cit loc approx figs fig eq eqs eds vol vols transl repr ext tel
dept univ assn temp
hr frau herrn dipl ing bzw evtl ggf inkl exkl vgl sog ca zzgl abzgl gem lt hrsg geb gest bes
insb resp verh
m mm mme mmes mlle mlles Me mgr env éd av
sr sra sres srta dra dña ud uds vd núm pág págs fca
sig dott avv geom cfr pag
exmo exma
dhr mevr mw bijv blz nl mej
ул им св проф акад гл рис табл стр см тел пер наб
np tzn tj ul inż św prof např tzv mudr judr bkz doç yrd
डॉ प्रो श्री पं
""")
# These end a sentence now and then; only a word that begins one tells that they do.
_MAY_END = _listed("""
jr sr esq inc ltd Co corp llc plc bros etc Ed sec max min ave blvd rd sq bldg apt hwy
mrd mio tsd usw ff std str kap abb abs abschn jh jhd jhdt chr okt dez
ecc enz osv atd apod vb др пр тыс млн млрд руб коп гг вв
lb lbs oz yd yds hrs mins secs yr yrs wk cm km kg
""")
# A number or a numeral follows, or they are no abbreviations.
_BEFORE_NUMBERS = _listed("""
no nos nr p pp s art abs bd kap kl n num núm op vol ch chap sec par para pt ref app ex cap tit lib
jan feb febr mar mär apr jun jul aug sep sept oct okt nov dec dez ene abr ago dic janv févr juil
déc mon tue tues wed thu thur thurs fri sat sun tel fax ca
""")
# What begins sentences much more often than names.
_BEGINNINGS = _listed("""
the he she it we they you this that these those there but and when while after before however
then his her their its our if yet so also although
der die das er sie wir ich und aber ein eine dann diese dieser dieses
le la les il elle ils elles nous vous mais puis
el los las pero
""")
_ENGLISH_BEGINNINGS = _listed(
    "the he she it we they you this these those there but and when while however then"
)
_NUMERAL = re.compile(r"\d|[IVXLC]{2,}\b|[VX]\b")
_ROMAN = re.compile(r"[IVXLC]{2,}|[VX]")
# i.e., z.B, U.S, J.-C, any letter alone, and the plural of Spanish: EE. UU.
_LETTERS = re.compile(r"(?:[^\W\d_]\.-?)*[^\W\d_]|([A-Z])\1")
_DEGREE = re.compile(r"(?:[A-Z][a-z]{0,2}\.){1,3}[A-Z][a-z]?|[Ss]ig\.(?:ra|na)")
# Capitals, or a time of day: an end now and then.
_LETTERS_THAT_MAY_END = re.compile(r"(?:[A-Z]\.)+[A-Z]|[ap]\.m|[AP]\.M")
_WORD = re.compile(r"[^\W\d_]+")


def goes_on(word: str, following: str) -> bool:
    """Whether a full stop after `word` is part of it, and its sentence goes on.

    following: the text behind the stop, from its first letter or digit on
    """
    found = _WORD.match(following)
    beginning = found.group().casefold() if found and found.group()[0].isupper() else ""
    if (word.isdigit() and len(word) <= 2) or _ROMAN.fullmatch(word):
        # In German an ordinal, in a list its number.
        return following != "" and beginning not in _ENGLISH_BEGINNINGS
    if _in(_BEFORE_NUMBERS, word) and _NUMERAL.match(following):
        return True
    if word == "I":
        return False
    if _LETTERS_THAT_MAY_END.fullmatch(word):
        return beginning not in _ENGLISH_BEGINNINGS
    if _LETTERS.fullmatch(word) or _DEGREE.fullmatch(word) or _in(_GO_ON, word):
        return True
    return _in(_MAY_END, word) and beginning not in _BEGINNINGS


def _in(words: frozenset[str], word: str) -> bool:
    return word in words or word.casefold() in words
