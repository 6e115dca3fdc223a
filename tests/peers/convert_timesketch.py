"""Runs in the environment `sigma-timesketch`: Sigma rules, a JSON list on standard input, as the queries of Timesketch's analyzer.

Timesketch's own function and configuration; only its database model, which the function does not use, is stood in for.
"""

import json
import sys
import types
from pathlib import Path

import yaml

model = types.ModuleType("timesketch.models.sigma")
model.SigmaRule = object  # type: ignore[attr-defined]
sys.modules["timesketch.models"] = types.ModuleType("timesketch.models")
sys.modules["timesketch.models.sigma"] = model

from timesketch.lib.sigma_util import parse_sigma_rule_by_text  # type: ignore[import-not-found] # noqa: E402

CONFIGURATION = str(Path(sys.prefix) / "share" / "timesketch" / "sigma_config.yaml")
rules = json.load(sys.stdin)
print(json.dumps({rule["title"]: parse_sigma_rule_by_text(yaml.safe_dump(rule), CONFIGURATION)["search_query"] for rule in rules}))
