"""What the scripts beside this one wrote -> docs/evaluation/peer_planners.json, for E3's table.

python experiments/peer_planners/collect.py [--out DIR]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = ("ours", "muxserve", "alpaserve", "aiconfigurator")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "peer_planners")
    out: Path = parser.parse_args().out
    rows = [row for name in FILES for row in json.loads((out / f"{name}.json").read_text())]
    text = ",\n".join(json.dumps(row) for row in rows)
    (ROOT / "docs" / "evaluation" / "peer_planners.json").write_text(f"[\n{text}\n]\n")
