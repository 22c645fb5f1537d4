"""Writes the flags of the installed SGLang's own parser beside this file; needs torch, no GPU.

Run with a Python that has SGLang: `python tests/engines/record_sglang_flags.py`.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path

from sglang.srt.server_args import ServerArgs  # pyright: ignore

parser = argparse.ArgumentParser()
ServerArgs.add_cli_args(parser)
flags = {
    name: {
        "takes_value": action.nargs != 0,
        "choices": sorted(map(str, action.choices)) if action.choices else None,
    }
    for action in parser._actions
    for name in action.option_strings
    if name.startswith("--")
}
path = Path(__file__).parent / "assets" / f"sglang-{version('sglang')}.flags.json"
lines = (f"{json.dumps(name)}: {json.dumps(flags[name])}" for name in sorted(flags))
path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
