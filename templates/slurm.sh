#!/bin/bash
$directives

# Executes one chunk: the one of this task of the array, whose first chunk is the script's argument.
# Slurm sends SIGTERM to this process alone, so the worker takes its place.
chunk=$$(( $${1:-0} + SLURM_ARRAY_TASK_ID ))
export PYDOIT_SC_REQUEUE=1
$setup
exec $worker $words/"$$chunk".json
