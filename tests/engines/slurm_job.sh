#!/bin/bash
#SBATCH --job-name=training
#SBATCH --output='/shared/ID 100%%/logs/%A_%a.log'
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
#SBATCH --partition=gpu
#SBATCH --account='proj 1'
#SBATCH --time=1-00:00:00
#SBATCH --mem=64G
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=a100:4
#SBATCH --constraint='[rack1|rack2]'
#SBATCH --qos=long
#SBATCH --requeue
#SBATCH --exclusive
#SBATCH --mail-type=END

# Executes one chunk: the one of this task of the array, whose first chunk is the script's argument.
# Slurm sends SIGTERM to this process alone, so the worker takes its place.
chunk=$(( ${1:-0} + SLURM_ARRAY_TASK_ID ))
export PYDOIT_SC_REQUEUE=1
pydoit_sc_python=/opt/python
module load python
source .venv/bin/activate
cd -- /home/me || exit 1
exec pydoit-sc batch file:///shared/out/.pydoit_sc/submissions/ID/"$chunk".json
