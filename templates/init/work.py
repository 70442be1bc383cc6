"""The work of one run: replace it by your own."""

import argparse
import json
import os
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--day", required=True)
parser.add_argument("--model", required=True)
args = parser.parse_args()

score = int(args.day[-2:]) * ord(args.model[0]) % 7
print(f"{args.day} with model {args.model}, on rank {os.environ['SATURN_RUN_LOCAL_RANK']}: score {score}")
# `pydoit-sc results` makes a table of what all runs put into files there.
Path(os.environ["SATURN_RUN_LOCAL_RESULTS_DIR"], "score.json").write_text(json.dumps({"score": score}) + "\n")
