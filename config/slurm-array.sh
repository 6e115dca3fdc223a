#!/bin/sh
# One host of CASE.yaml per task of a SLURM array: sbatch --array=1-100 slurm-array.sh CASE.yaml
# The number of hosts is what `defender-exporter batch CASE.yaml --dry-run` says. When all tasks have ended, merge what they left:
#   sbatch --dependency=afterany:JOB --wrap "defender-exporter batch CASE.yaml --merge"
#SBATCH --cpus-per-task=1 --mem=1G --requeue
exec defender-exporter batch "$1" --only "$SLURM_ARRAY_TASK_ID" --resume --progress none
