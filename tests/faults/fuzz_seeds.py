"""The sound files that fuzzing starts from, by kind and by the end of their names."""

from __future__ import annotations

import json

BATCHFILE = """\
[batch]
name = "weather"
remote_output_path = "file:///tmp/out"
nprocs = 4
scale = 2
batch_size = 12
env = { OMP_NUM_THREADS = "1" }
timeout = "2h"
max_failures = "5 %"
scratch = "/local/disk"
durable = false
storage_options = { anon = true }

[runs.month]
cmd = "python summarize.py --start {month.start} --end {month.last} {model} {seed:03d} {row.city}"
name = "{month.start:%Y-%m}/{model}_{seed}_{row.city}"
file_dep = ["summarize.py", "data/*.csv"]
timeout = "10m"
grace = 1.5
retries = 2
retry_on = [75, 137]
env = { TZ = "UTC" }

[runs.month.matrix]
month = { from = 2012-01-01, to = 2012-03-31, every = "1 month", span = "2 months" }
model = ["a", "b"]
seed = { range = [0, 30, 10] }
row = { csv = "rows.csv" }
include = [{ model = "c", seed = 7, month = 2012-01-01, row = { city = "Bern" } }]
exclude = [{ model = "b", seed = 10 }]

[runs.hours]
cmd = 'echo "$HOME" {h.start:%H:%M} {f.stem} {x!s}'
[runs.hours.matrix]
h = { from = 2024-02-29T22:00:00+01:00, to = 2024-03-01T03:00:00+01:00, every = "90 minutes" }
f = { glob = "*.csv" }
x = { range = [0.1, 0.4, 0.1] }

[runs.plot]
cmd = '''
awk '{print $1}' "$X" \\
  # a comment
'''
after = ["month", "hours"]

[saturn]
recipe = "recipe.yaml"
name = "job"
instance_type = "large"
sync = [".:/work"]
exclude = ["*.tmp"]
worker_install = "pip install pydoit-sc"
"""

LISTED = """\
[batch]
remote_output_path = "out"
runs_from = "jobs.json"
retries = 1
"""

PLAIN = """\
[batch]
remote_output_path = "file:///tmp/out"

[[runs]]
cmd = "true"
name = "a/b"
[[runs]]
cmd = "false"
timeout = "1h 30m"
file_dep = ["rows.csv"]
"""

RUNS = [
    {"cmd": "true", "remote_output_path": "file:///tmp/out/a"},
    {"cmd": "false", "name": "b/c", "env": {"A": "1"}, "timeout": "1.5 h", "retries": 1, "retry_on": [1, 2]},
    {"cmd": "echo é 😀", "name": "x.y", "file_dep": ["rows.csv"], "grace": 3},
]
LIST = {"nprocs": 3, "remote_output_path": "file:///tmp/out", "runs": RUNS}

YAML_LIST = """\
# runs
nprocs: 2
remote_output_path: file:///tmp/out
common: &common
  retries: 2
runs:
  - &first
    cmd: echo 1
    name: a
  - <<: *first
    name: b
    timeout: 10m
  - cmd: |
      echo one
      echo two
    env: {A: "x", B: 'y'}
"""

CSV_LIST = 'cmd,name,timeout,retries\necho 1,a,10m,1\n"echo ""x"", y",b/c,,2\n"two\nlines",d,1h,\n'

COMMANDS = """\
# commands

python3 work.py --input data/1.csv --output out/1.json
FOO=1 python3 "x y.py" --é
[ -e x ] && { echo 1; }
python3 work.py --input data/1.csv --output out/1.json
awk '{print $1}' <x >y
"""

SC_CHUNK = {
    "runs": [
        {
            "remote_output_path": f"file:///tmp/out/{n}",
            "cmd": f"echo {n}",
            "local_results_dir": f"/tmp/pydoit-sc-results/{n}/",
            "status_code": None,
            "status": None,
        }
        for n in range(3)
    ],
    "remote_output_path": "file:///tmp/out",
    "nprocs": 2,
}
CHUNK = {
    **SC_CHUNK,
    "pydoit_sc": {
        "submission": "20240101-000000-abcdef",
        "always": False,
        "durable": True,
        "scratch": "/local/disk",
        "storage_options": {"client_kwargs": {"region_name": "eu-1"}},
        "settings": [
            {
                "env": {"A": "1"},
                "timeout": 60.0,
                "grace": 10.0,
                "retries": 1,
                "retry_on": [75],
            },
            {"env": {}, "timeout": None, "grace": 0.0, "retries": 0, "retry_on": None},
        ],
        "runs": {
            f"file:///tmp/out/{n}": {"task": f"runs:{n}", "fingerprint": "00-0-0-0", "settings": n % 2}
            for n in range(3)
        },
    },
}

RECIPE = """\
schema_version: 2025.01.01
type: job
spec:
  name: job
  owner: org/user
  description: ""
  image: community/saturn-python:2023.09.01
  instance_type: large
  environment_variables: {A: "1", B: 'yes'}
  working_directory: /home/jovyan/workspace
  start_script: |
    #!/bin/bash
    ### BEGIN SATURN_CLIENT GENERATED CODE
    echo old
    ### END SATURN_CLIENT GENERATED CODE
    pip install x
  token_scope: job:all
  git_repositories:
  - url: git@github.com:a/b.git
    on_restart: preserve changes
  secrets: []
  start_dind: false
  command: null
  scale: 1
  schedule: '0 0 * * *'
state:
  id: 0123
  status: stopped
"""
RECIPE_JSON = {
    "type": "job",
    "spec": {"name": "job", "instance_type": "large", "start_script": None, "scale": 2, "command": "x"},
}

#: kind → (end of the name, content)
SEEDS: dict[str, list[tuple[str, str]]] = {
    "batchfile": [(".toml", BATCHFILE), (".toml", LISTED), (".toml", PLAIN)],
    "list": [
        (".json", json.dumps(LIST, indent=1)),
        (".jsonl", "".join(json.dumps(run) + "\n" for run in RUNS)),
        (".yaml", YAML_LIST),
        (".csv", CSV_LIST),
    ],
    "commands": [
        (".txt", COMMANDS),
        ("", COMMANDS.replace("\n", "\r\n")),
        (".json", json.dumps(COMMANDS.split("\n")[2:5])),
        (".yaml", "runs:\n- echo 1\n- FOO=1 python3 'x y.py'\n- cmd: echo 2\n"),
    ],
    "chunk": [(".json", json.dumps(CHUNK, indent=1)), (".json", json.dumps(SC_CHUNK))],
    "recipe": [(".yaml", RECIPE), (".json", json.dumps(RECIPE_JSON))],
}

#: What the files above name, in the same folder.
BESIDE = {
    "rows.csv": "city,size\nBern,1\nZürich,2\n",
    "jobs.json": json.dumps([{"cmd": "true", "name": "one"}, {"cmd": "true"}]),
    "summarize.py": "",
    "recipe.yaml": RECIPE,
}
