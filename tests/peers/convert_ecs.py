"""Runs in the environment `sigma`: Sigma rules, a JSON list on standard input, as Lucene queries by pySigma's pipeline `ecs_windows`."""

import json
import sys

from sigma.backends.elasticsearch import LuceneBackend  # type: ignore[import-not-found]
from sigma.collection import SigmaCollection  # type: ignore[import-not-found]
from sigma.pipelines.elasticsearch.windows import ecs_windows  # type: ignore[import-not-found]

backend = LuceneBackend(processing_pipeline=ecs_windows())
print(json.dumps({rule["title"]: backend.convert(SigmaCollection.from_dicts([rule]))[0] for rule in json.load(sys.stdin)}))
