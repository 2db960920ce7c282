"""Choices by tags: InsTag's sampling against an independent reading of the paper, MIG against its authors' sampler."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from selrun.compiler.values import Count, Expression
from selrun.stdlib.select.information import membership, most_informative, propagation
from selrun.stdlib.select.mig import Mig
from selrun.stdlib.select.tags import complexity_first
from selrun.stdlib.tag.associated import Counted, rules
from selrun.stdlib.tag.normalized import one_form

from .claim import Compared, claim, golden


def instag() -> Any:
    return json.loads(golden("instag.json").read_text())


@claim("diversify tags", source="golden/instag.json")
def complexity_first_sampling() -> Compared:
    read = instag()
    ours, theirs = [], []
    for name in ("small", "random"):
        tags = [frozenset(row) for row in read["input"][f"{name}_tags"]]
        cases = read["fields"][f"sampling_{name}"]
        ours += [complexity_first(tags, case["N"]).order for case in cases]
        theirs += [case["selected"] for case in cases]
    return Compared(ours, theirs)


@claim("diversify mig", source="golden/mig.json")
def mig() -> Compared:
    read = json.loads(golden("mig.json").read_text())
    given, runs = read["input"], read["fields"]["runs"]
    ours = [by_information(given, read["settings"]["num"], **run["settings"]) for run in runs]
    return Compared(ours, [run["selected"] for run in runs])


def by_information(given: Any, wanted: int, *, norm: bool, **settings: Any) -> list[int]:
    column = {
        n: Expression.model_validate({"tree": None, "text": n, "columns": {n}}) for n in ("tags", "score")
    }
    op = Mig(keep=Count(rows=wanted), labels=column["tags"], by=column["score"], norm=norm)
    shared = membership(given["labels"], given["vocab"], np.array(given["score"]), norm=norm)
    spread = propagation(csr_array(np.array(given["weighted_adjacency"])), settings.get("prop_weight", 1.0))
    return most_informative(csr_array(shared @ spread), wanted, op.worth).order


@claim("tag normalized: one form", source="golden/instag.json")
def rule_aggregation() -> Compared:
    cases = instag()["fields"]["rule_aggregation"]
    return Compared([one_form(case["raw"]) for case in cases], [case["rule"] for case in cases])


@claim("tag normalized: tags that come together", source="golden/instag.json")
def association() -> Compared:
    read = instag()
    rows = [Counted(frozenset(row["tags"]), row["count"]) for row in read["input"]["transactions"]]
    support, confidence = read["settings"]["min_support_count"], read["settings"]["min_confidence"]
    found = rules(rows, support, confidence, longest=2)
    ours = [[*r.tags, r.other, r.support, r.confidence] for r in found]
    return Compared(ours, [list(rule.values()) for rule in read["fields"]["pair_rules"]])
