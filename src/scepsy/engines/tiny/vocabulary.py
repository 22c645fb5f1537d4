"""A byte-level vocabulary of a few hundred tokens, and a chat template for it (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

SPECIAL = ("<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
"""The last tokens of the vocabulary; the first of them ends an answer."""

CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

_MERGED = """
_t _a he _i re _the _o _s er in at le on _b en _c _f es or ed _is al _an _d _m _p an _w _to _in ar
_n ct ing it ion st _be _re _of et _and ent ro as am ho _l ut ot ll _th _e ce ur _u um se ul _it _st
_by ile de pe im _are ic _or iv The _for is ad co ue _de pt res _g ect _co urn _as ay _that un ly ir
lo _ar ri ck _v her ab _h If ult ill ument ple _us _file if gument bj ra ame _A bject ter ass _at
turn _The _argument fa ow ch _not _return _object _k il ation _can ive able _on _ex one _will _con
_se qu ers hen ata _le _ho fault _mo to mp ex rom _str ith ction _pro _val ge _so ds ype _man ime
ist _su _if _N pp ort _with _has ment ess ated ain ther ate _un _many all _If ig _wh lass ption pec
os th _from _byt _no _sho ror ine est ded av _num _y _F ding ak _tw uld ext _al ver pecif _used ie
_ne _numb _default _T _per _r red pen _en _P ays _None _W ust ress _H _C etho and em der _value _di
_other unction rue aram _data iz ath ary nt _when _specif the int ich ff eter _this _string not uple
_how _do led ctor _number _metho _function _bytes _ra name _two ise ide _list ase ack art _which
_should _O us ari _read _min _ch du _type _time _must _kn la con _lit _call li age _int _S oth ition
ach _cont stan so put lock ast _class _How ute act Ret _I ream ptional ong fter file Return _one
_litres mat ize ative _set _B wn _ad erm data _term _res _pos _pass _param _method _comp _ro ence
ars _who mple che _stream _long rent lds ep cess alse _path _lo _fo _any _j col _new his error
coding _same _all id hat _name _may _ac utes rror rit ke iff ied cept ble ames Error _ma ues tocol
rector out ne irst fo air OR _tim _each _arguments _he uff orm ins ip gs ens _tuple _returned _open
_cm _att yth urs ug aves ank _whole _use _side _me _giv ways ree ener _knaves _its _inter _always _U
ve rib _out _clo ython ix ht ator ating _first _bo _What ull time quence ick class ces _vari _tak
_dec _dir _diff read per esc ap _than _sock _rep _pick _def _both mplement ey cent als ally _values
_true _te _z wise sg pro no line lf ks default _iter _director _cal _but _Python set pport ol mm lit
ies ample _position _percent _given _cre _L str me ld ines ail _yo _step _km vi ale _whe _parameter
_optional _mode _line _attrib _D resent ign cl EN _tr _sy _over _names
""".split()  # noqa: SIM905 - a list of quoted words reads worse
"""Pieces of English and Python, in the order in which byte-pair encoding learnt them from the
passages of the example programs. _ stands for a blank.
"""

WORD = 4.0
"""Standard deviation of the logits of words, so that answers are mostly words."""

LETTER = 1.0
"""Standard deviation of the logits of single letters and digits, so that a choice constrained to a
schema varies. Other bytes have 0 and appear in answers only by chance.
"""


def likelihood(token: str) -> float:
    """The factor on a token's row in the output head of random weights."""
    if len(token) > 1:
        return WORD
    return LETTER if token.isascii() and token.isalnum() else 0.0


def vocabulary() -> tuple[list[str], list[str]]:
    """The tokens (bytes, pieces, special tokens) and the merges that make the pieces."""
    tokens = [_printable(byte) for byte in range(256)]
    ranks: dict[tuple[str, str], int] = {}
    for piece in _MERGED:
        left, right = _split(piece.replace("_", _printable(ord(" "))), ranks)
        ranks[left, right] = len(ranks)
        tokens.append(left + right)
    return tokens + list(SPECIAL), [f"{left} {right}" for left, right in ranks]


def _split(piece: str, ranks: Mapping[tuple[str, str], int]) -> list[str]:
    """The two parts into which the merges so far split a piece. The next merge joins them."""
    parts = list(piece)
    while known := [pair for pair in pairwise(parts) if pair in ranks]:
        at = list(pairwise(parts)).index(min(known, key=ranks.__getitem__))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _printable(byte: int) -> str:
    """The character for a byte in GPT-2's alphabet, where bytes that do not print are moved behind
    those that do.
    """
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    if byte in shown:
        return chr(byte)
    return chr(256 + sum(other not in shown for other in range(byte)))
