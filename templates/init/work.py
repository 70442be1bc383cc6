"""The work of one run: replace it by your own."""

import argparse
import json
import os
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--day", required=True)
parser.add_argument("--model", required=True)
args = parser.parse_args()

print(f"{args.day} with model {args.model}, on rank {os.environ['SATURN_RUN_LOCAL_RANK']}")
result = {"day": args.day, "model": args.model, "score": len(args.day) + ord(args.model[0])}
Path(os.environ["SATURN_RUN_LOCAL_RESULTS_DIR"], "score.json").write_text(json.dumps(result))
