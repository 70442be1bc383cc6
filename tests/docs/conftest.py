"""The engines that some pages need."""

from tests.engines.conftest import slurm, whole_cluster

__all__ = ["slurm", "whole_cluster"]
