"""Makes corpus.jsonl: passages from the docstrings of Python's standard library, a line each.

    python3.11 examples/data/make_corpus.py

Modules whose source names another copyright holder than the Python Software Foundation are left
out, so that one licence (LICENSE.PSF) covers the corpus.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

MODULES = """
abc argparse array ast asyncio base64 bisect builtins calendar cmath codecs collections
collections.abc concurrent.futures configparser contextlib copy csv dataclasses datetime difflib
dis email.message enum filecmp fileinput fnmatch fractions functools gettext glob graphlib gzip
heapq hmac html http.client importlib inspect io ipaddress itertools json keyword linecache locale
lzma mailbox math mimetypes numbers operator os os.path pathlib pickle pprint queue random re
reprlib sched secrets selectors shelve shutil signal socket sqlite3 ssl stat statistics string
struct subprocess tarfile tempfile textwrap threading time timeit tokenize types typing unicodedata
urllib.parse urllib.request warnings weakref zipfile zlib zoneinfo
"""
SHORTEST, LONGEST = 400, 1500
PER_MODULE = 6


def main() -> None:
    folder = Path(__file__).parent
    passages = [passage for name in MODULES.split() for passage in passages_of(name)]
    lines = [json.dumps(passage, ensure_ascii=False) + "\n" for passage in passages]
    (folder / "corpus.jsonl").write_text("".join(lines), encoding="utf-8")
    print(f"{len(passages)} passages, {sum(map(len, lines))} characters")


def passages_of(name: str) -> list[dict[str, str]]:
    """The longest docstrings of a module that are neither too short nor too long for a passage."""
    texts = {tidy(text): title for title, text in docstrings(name, importlib.import_module(name))}
    fitting = [text for text in texts if SHORTEST <= len(text) <= LONGEST]
    longest = sorted(fitting, key=len, reverse=True)[:PER_MODULE]
    return [{"title": texts[text], "text": text} for text in longest]


def docstrings(name: str, module: ModuleType) -> Iterator[tuple[str, str]]:
    for key, value in sorted(vars(module).items()):
        if key.startswith("_") or not callable(value) or not belongs(value, name):
            continue
        yield f"{name}.{key}", inspect.getdoc(value) or ""
        if inspect.isclass(value):
            for method, function in sorted(vars(value).items()):
                if not method.startswith("_") and inspect.isroutine(function):
                    yield f"{name}.{key}.{method}", inspect.getdoc(function) or ""


def belongs(value: object, name: str) -> bool:
    """Whether a thing is of this module, not imported into it, and the foundation's."""
    home = getattr(value, "__module__", None) or name
    ours = {name, f"_{name}", "posixpath" if name == "os.path" else "posix" if name == "os" else ""}
    return (home in ours or home.startswith(f"{name}.")) and is_psf(home)


@cache
def is_psf(name: str) -> bool:
    """Whether no one else's copyright stands in the source. C modules are the foundation's."""
    try:
        source = inspect.getsource(importlib.import_module(name))
    except (OSError, TypeError):
        return True
    claims = re.findall(r"^.*copyright.*$", source, re.IGNORECASE | re.MULTILINE)
    return all("Python Software Foundation" in claim for claim in claims)


def tidy(text: str) -> str:
    return re.sub(r"[ \t]+\n", "\n", text).strip()


if __name__ == "__main__":
    main()
