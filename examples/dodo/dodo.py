"""A batch among tasks of one's own: `visits` makes what its runs read, `report` reads what they have put out.

    doit                        all of it: visits, then a run for each city, two at once, then report
    doit                        again: nothing executes
    doit city:Oslo              one run, and the task before it
    pydoit-sc list --all        the runs, once cities.csv is there

`visits` makes cities.csv, too, which says what runs there are. So doit reads batchfile.toml only after that task.

doit.cfg names pydoit-sc's `run`, which executes runs side by side. Without it doit's own executes them one by one.
"""

from pathlib import Path

from doit import create_after

from pydoit_sc.tasks.tasks import batch_stages, batch_tasks

DOIT_CONFIG = {"backend": "json", "dep_file": ".doit.json"}


def task_visits():
    """Make the batch's input, and the cities that it has runs for."""
    return {
        "actions": [
            "sort data.csv > visits.txt",
            "(echo name; cut -d , -f 1 visits.txt | uniq) > cities.csv",
        ],
        "file_dep": ["data.csv"],
        "targets": ["visits.txt", "cities.csv"],
    }


@create_after(executed="visits", creates=batch_stages("batchfile.toml"))
def task_batch():
    """The runs of batchfile.toml: `doit city`, `doit city:Oslo`, `doit total`."""
    yield from batch_tasks("batchfile.toml", task_dep=["visits"])


def write_report():
    total = Path("output/total/stdout").read_text()
    Path("report.txt").write_text(f"{total.strip()} visits\n")


def task_report():
    """Write the batch's total into a sentence."""
    return {
        "actions": [write_report],
        "file_dep": ["output/total/stdout"],
        "task_dep": ["total"],
        "targets": ["report.txt"],
    }
