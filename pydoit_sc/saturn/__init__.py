"""Saturn Cloud's API, recipes and start scripts."""

from __future__ import annotations

from pydoit_sc.saturn.client import SaturnClient
from pydoit_sc.saturn.errors import SaturnError
from pydoit_sc.saturn.models import Org, Pod, Recipe, Size
from pydoit_sc.saturn.settings import Settings
from pydoit_sc.saturn.transport import Policy

__all__ = ["Org", "Pod", "Policy", "Recipe", "SaturnClient", "SaturnError", "Settings", "Size"]
