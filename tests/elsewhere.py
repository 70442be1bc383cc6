"""Where modules are tested that have no test file of their own name: tests/test_house.py keeps it.

Most of them are best asked through what calls them: a command, a worker, every kind of store. Modules without a
function, types and tables, need no test. By test file, in the order of the folders: the modules of pydoit_sc/.
"""

from __future__ import annotations

ELSEWHERE = {
    "api/test_batch.py": "api.html api.values",
    "api/test_execution.py": "api.run engines.leash",
    "batchfile/test_bad_input.py": (
        "batchfile.check batchfile.document batchfile.fields batchfile.places batchfile.remote batchfile.report "
        "batchfile.stages batchfile.storage batchfile.tables"
    ),
    "batchfile/test_jsonschema.py": "commands.schema",
    "batchfile/test_matrix.py": "batchfile.axes batchfile.meant batchfile.timeaxis batchfile.values",
    "batchfile/test_passwords.py": "passwords",
    "batchfile/test_placeholders.py": "batchfile.template batchfile.varied",
    "batchfile/test_read.py": "batchfile.build",
    "batchfile/test_rows.py": "batchfile.csvfile",
    "commands/test_accept.py": "commands.asking store.accepted",
    "commands/test_batch_word.py": "project",
    "commands/test_debug.py": "worker.foreground",
    "commands/test_failures.py": "failing outcomes.failed show.kinds",
    "commands/test_fetch.py": "outcomes.fetching outcomes.files show.fetching",
    "commands/test_help.py": "commands.usage",
    "commands/test_history.py": "outcomes.history",
    "commands/test_hurried.py": "commands.base commands.parsing numbers tasks.errors",
    "commands/test_logs.py": "store.asking tasks.passing worker.showing",
    "commands/test_plan.py": "engines.expect",
    "commands/test_reproduce.py": "reproduction",
    "commands/test_results.py": "chosenresults outcomes.results outcomes.resulttable show.rows",
    "commands/test_selecting.py": "commands.submit",
    "commands/test_status.py": "commands.watch show.standings standing",
    "commands/test_steer.py": "submissions.cancel submissions.ended",
    "commands/test_stock.py": "tasks.changing tasks.listing tasks.program",
    "commands/test_tabcompletion.py": "commands.completion commands.gather commands.offers",
    "engines/test_conformance.py": "commands.cancel commands.submissions engines.supervisor submissions.submit",
    "engines/test_dask.py": "engines.dask_access engines.dask_cluster engines.dask_jobs engines.dask_task",
    "engines/test_kubernetes.py": "engines.kubectl",
    "engines/test_local.py": "engines.detach",
    "engines/test_registry.py": "installed",
    "outcomes/test_flatten.py": "show.frames",
    "report/test_browser.py": "report.failures report.html report.listing report.slowest",
    "report/test_sections.py": (
        "report.efficiency report.heat report.levels report.overview report.page report.reported report.spread "
        "report.timeline report.workers"
    ),
    "saturn/test_apply.py": "commands.apply commands.job_logs",
    "saturn/test_sc.py": "commands.clone commands.get commands.start saturn.clone",
    "saturn/test_seed.py": "commands.stop",
    "saturn/test_split.py": "commands.options saturn.job saturn.policy",
    "saturn/test_token.py": "saturn.errors",
    "store/test_aws.py": "store.awsclient store.cloud",
    "store/test_conformance.py": "store.base store.clearing store.history store.notes",
    "store/test_documents.py": "store.stamps",
    "store/test_leases.py": "store.workers worker.announcer",
    "store/test_objects_interleavings.py": "store.claims store.objects store.publication",
    "store/test_posix.py": "linux store.disk store.looking store.places store.reading store.replacing store.ways",
    "submissions/test_handover.py": "engines.base engines.stops submissions.draft",
    "sync/test_code.py": "sync.fetch",
    "tasks/test_loader.py": "tasks.dependency tasks.tasks",
    "tasks/test_runner.py": "tasks.executing tasks.nodes",
    "test_doctests.py": "outcomes.counts plurals",
    "test_hooks.py": "submissions.finish tasks.reckoning",
    "test_plan.py": "batch ledger verdicts",
    "worker/test_executor.py": "worker.results",
    "worker/test_health.py": "worker.heldback",
    "worker/test_misbehaving.py": "worker.salvage",
    "worker/test_runs.py": "worker.process",
    "worker/test_starter.py": "native",
    "worker/test_stops.py": "worker.guardian worker.sessions",
    "worker/test_together.py": "store.holds",
}
