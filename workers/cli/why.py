"""Why SIRA recommends something, as lines for people."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def why(params: Mapping[str, Any]) -> Iterator[str]:
    """How sure SIRA was of an action with these params, by which model, and what weighed how much; nothing of any other."""
    if "sira_confidence" not in params:
        return
    explanation = params.get("sira_explanation")
    told = explanation if isinstance(explanation, dict) else {}
    by = f", by {told['model']}" if "model" in told else ""
    yield f"sure to {params['sira_confidence']}{by}"
    features = told.get("features")
    for feature in features if isinstance(features, list) else []:
        match feature:
            case {"name": name, "value": value, "weight": weight}:
                yield f"{name} {value}, weight {weight}"
            case _:
                yield json.dumps(feature, ensure_ascii=False)
    if explanation is not None and not told:
        yield json.dumps(explanation, ensure_ascii=False)
