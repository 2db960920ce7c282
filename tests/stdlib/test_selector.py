"""InstructionGPT-4's parts: components, the selector and its places for clusters; distances from a centre."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from answers import column, given
from pydantic import ValidationError
from safetensors.torch import save_file
from selrun.compiler.values import Count, Share
from selrun.errors import DataError, ModelError
from selrun.stdlib.embed.pca import Pca
from selrun.stdlib.score.attention import network, scores
from selrun.stdlib.score.centrality import Centrality
from selrun.stdlib.score.selector import Selector
from selrun.stdlib.select.cluster_quota import ClusterQuota

ROWS, FEATURES = 12, 8
X = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype(np.float32)


def vectors(values: np.ndarray | list[list[float] | None]) -> pl.Series:
    return pl.Series(
        [None if row is None else list(map(float, row)) for row in values], dtype=pl.List(pl.Float32)
    )


# pca


def test_components_are_those_of_the_covariance():
    reduced = np.array(Pca(keep=Count(rows=2), by=column("v")).reduce(given(v=vectors(X))).to_list())
    centred = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    np.testing.assert_allclose(np.abs(reduced), np.abs(centred @ axes[:, [-1, -2]]), atol=1e-5)


def test_a_share_keeps_the_fewest_components_with_so_much_variance():
    line = np.outer(np.arange(6.0), [3, 4]) + np.array([[0, 0.01]] * 3 + [[0.01, 0]] * 3)
    for share, components in (("0.95", 1), ("1", 2)):
        op = Pca(keep=Share(fraction=Decimal(share)), by=column("v"))
        assert len(op.reduce(given(v=vectors(line)))[0]) == components


def test_rows_without_a_finite_vector_have_no_components():
    given_rows = vectors([*X[:4].tolist(), None, [float("nan")] * FEATURES])
    reduced = Pca(keep=Count(rows=1), by=column("v")).reduce(given(v=given_rows))
    assert reduced.is_null().to_list() == [False] * 4 + [True] * 2


def test_equal_vectors_have_no_direction_and_no_warning(recwarn: pytest.WarningsRecorder):
    reduced = Pca(keep=Share(fraction=Decimal("0.95")), by=column("v")).reduce(
        given(v=vectors([[1.0, 2.0]] * 3))
    )
    assert reduced.to_list() == [[0.0]] * 3
    assert len(recwarn) == 0


@pytest.mark.parametrize("keep", [Count(rows=FEATURES + 1), Count(rows=4)])
def test_there_are_no_more_components_than_numbers_or_rows(keep: Count):
    with pytest.raises(DataError, match="E570"):
        Pca(keep=keep, by=column("v")).reduce(given(v=vectors(X[:3] if keep.rows == 4 else X)))


# selector


def by_hand(
    weights: dict[str, torch.Tensor], rows: np.ndarray, layers: int = 2, heads: int = 4
) -> np.ndarray:
    """The network on rows that all attend to each other, in float64 numpy."""
    w = {name: tensor.detach().double().numpy() for name, tensor in weights.items()}
    x = rows.astype(np.float64)
    width = x.shape[1] // heads
    for at in range(layers):
        own = f"multihead_attns.{at}."
        q, k, v = np.split(x @ w[own + "in_proj_weight"].T + w[own + "in_proj_bias"], 3, axis=1)
        parts = []
        for head in range(heads):
            cut = slice(head * width, (head + 1) * width)
            logits = np.exp(q[:, cut] @ k[:, cut].T / np.sqrt(width))
            parts.append(logits / logits.sum(axis=1, keepdims=True) @ v[:, cut])
        x = x + np.concatenate(parts, axis=1) @ w[own + "out_proj.weight"].T + w[own + "out_proj.bias"]
        x = x @ w[f"linears.{at}.weight"].T + w[f"linears.{at}.bias"]
    return (x @ w["linear.weight"].T + w["linear.bias"])[:, 0]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    path = tmp_path / "selector.safetensors"
    save_file({f"module.{name}": tensor for name, tensor in network(FEATURES).state_dict().items()}, path)
    return path


def selector(**fields: Any) -> Selector:
    return Selector(features=(column("v"),), **fields)


def stored(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return {name.removeprefix("module."): tensor for name, tensor in load_file(path).items()}


def test_all_rows_attend_to_each_other_as_published(weights: Path):
    found = selector(weights=str(weights), faithful=True).reduce(given(v=vectors(X)))
    np.testing.assert_allclose(found.to_numpy(), by_hand(stored(weights), X), atol=1e-5)


def test_by_default_a_score_is_the_rows_own(weights: Path):
    op = selector(weights=str(weights))
    every = op.reduce(given(v=vectors(X))).to_list()
    assert op.reduce(given(v=vectors(X[:3]))).to_list() == pytest.approx(every[:3], abs=1e-6)
    alone = [by_hand(stored(weights), row[None])[0] for row in X]
    assert every == pytest.approx(alone, abs=1e-5)


def test_numbers_and_vectors_stand_side_by_side(weights: Path):
    parts = {"a": vectors(X[:, :5]), "b": X[:, 5].tolist(), "c": vectors(X[:, 6:])}
    op = Selector(features=tuple(column(name) for name in parts), weights=str(weights))
    whole = selector(weights=str(weights)).reduce(given(v=vectors(X)))
    assert op.reduce(given(**parts)).to_list() == pytest.approx(whole.to_list(), abs=1e-6)


def test_a_row_without_a_feature_has_no_score_and_is_not_attended_to(weights: Path):
    rows = [*X[:4].tolist(), None]
    found = selector(weights=str(weights), faithful=True).reduce(given(v=vectors(rows)))
    assert found.to_list()[:4] == pytest.approx(by_hand(stored(weights), X[:4]).tolist(), abs=1e-5)
    assert found[4] is None


@pytest.mark.parametrize("faithful", [False, True])
def test_it_learns_the_labels_of_subsets(faithful: bool):
    subset = [i % 3 for i in range(ROWS)]
    label = [[1.0, 5.0, 3.0][part] for part in subset]
    rows = X + np.array(label, dtype=np.float32)[:, None]
    op = selector(label=column("label"), subset=column("subset"), epochs=200, faithful=faithful)
    found = op.reduce(given(v=vectors(rows), label=label, subset=subset)).to_numpy()
    means = [found[np.array(subset) == part].mean() for part in range(3)]
    assert means == pytest.approx([1, 5, 3], abs=0.5)


def test_learning_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(1)
    expected = torch.rand(2).tolist()
    torch.manual_seed(1)
    op = selector(label=column("label"), subset=column("label"), epochs=1)
    op.reduce(given(v=vectors(X), label=[float(i % 2) for i in range(ROWS)]))
    assert torch.rand(2).tolist() == expected


def test_one_seed_gives_one_selector():
    known = given(v=vectors(X), label=[float(i % 2) for i in range(ROWS)])
    ops = [selector(label=column("label"), subset=column("label"), epochs=2, seed=seed) for seed in (0, 0, 1)]
    first, again, other = (op.reduce(known).to_list() for op in ops)
    assert first == again != other


@pytest.mark.parametrize(
    ("label", "subset", "faithful", "fact"),
    [
        ([1.0] * ROWS, ["a"] * ROWS, False, "there are 1 subsets with a label"),
        ([None] * ROWS, ["a"] * ROWS, False, "there are 0 subsets with a label"),
        (list(range(ROWS)), ["a", "b"] * 6, False, "the subset a has 6 labels"),
        ([1.0] * 5 + [2.0] * 7, ["a"] * 5 + ["b"] * 7, True, "5 to 7 rows"),
    ],
)
def test_what_cannot_be_learned_from_is_an_error(label: list, subset: list, faithful: bool, fact: str):
    op = selector(label=column("label"), subset=column("subset"), faithful=faithful)
    with pytest.raises(DataError, match=f"E573.*{fact}"):
        op.reduce(given(v=vectors(X), label=pl.Series(label, dtype=pl.Float64), subset=subset))


def test_weights_have_to_be_of_as_many_features(weights: Path):
    with pytest.raises(
        ModelError, match=r"E571.*not of a selector of 4 features: `multihead_attns.0.in_proj"
    ):
        selector(weights=str(weights)).reduce(given(v=vectors(X[:, :4])))


def test_weights_have_to_be_there_and_safetensors(tmp_path: Path):
    with pytest.raises(ModelError, match=r"E571.*there are no weights"):
        selector(weights=str(tmp_path / "absent")).reduce(given(v=vectors(X)))
    (tmp_path / "pickled.pt").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ModelError, match=r"E571.*no safetensors file"):
        selector(weights=str(tmp_path / "pickled.pt")).reduce(given(v=vectors(X)))


def test_a_text_is_no_feature_and_no_label(weights: Path):
    with pytest.raises(DataError, match=r"E572.*the feature `v` holds texts"):
        selector(weights=str(weights)).reduce(given(v=["a", "b"]))
    op = selector(label=column("label"), subset=column("label"))
    with pytest.raises(DataError, match=r"E573.*`label` holds String"):
        op.reduce(given(v=vectors(X), label=["a", "b"] * 6))


@pytest.mark.parametrize("rows", [X[:, :6].tolist(), [None] * 3])
def test_features_have_to_fit_the_heads_and_be_there(rows: list, weights: Path):
    with pytest.raises(DataError, match=r"E572"):
        selector(weights=str(weights)).reduce(given(v=vectors(rows)))


@pytest.mark.parametrize(
    "fields", [{}, {"label": column("l")}, {"weights": "w", "label": column("l"), "subset": column("s")}]
)
def test_weights_come_from_a_file_or_from_labels(fields: dict[str, Any]):
    with pytest.raises(ValidationError, match="needs either `weights`, or both"):
        selector(**fields)


def test_the_networks_scores_are_of_rows_together_and_apart():
    with torch.no_grad():
        torch.manual_seed(0)
        one = network(FEATURES)
        batch = torch.from_numpy(X).reshape(4, 3, FEATURES)
        together = scores(one, batch)
    for place in range(3):
        expected = by_hand(one.state_dict(), batch[:, place].numpy())
        np.testing.assert_allclose(together[:, place].numpy(), expected, atol=1e-5)


# cluster_quota


def quota(keep: int, score: list, cluster: list, *, faithful: bool = False, better: str = "high"):
    op = ClusterQuota(keep=Count(rows=keep), by=column("s", better), per="c", faithful=faithful)
    return op.pick(given(s=pl.Series(score, dtype=pl.Float64), c=cluster))


def test_every_cluster_has_places_in_proportion_and_at_least_one():
    cluster = ["a"] * 6 + ["b"] * 3 + ["c"]
    picked = quota(5, [1, 2, 3, 4, 5, 6, 9, 8, 7, 0], cluster)
    assert picked.notes["quotas"] == [
        {"cluster": "a", "size": 6, "places": 3},
        {"cluster": "b", "size": 3, "places": 1},
        {"cluster": "c", "size": 1, "places": 1},
    ]
    assert picked.order.to_list() == [6, 5, 4, 3, 9]
    assert picked.reasons[0] == "rank 6 in cluster a, which had 3 places"
    assert picked.reasons[7] == "rank 2 in cluster b, which had 1 place"


def test_single_places_that_are_too_many_go_to_the_best():
    picked = quota(2, [1, 2, 3], ["a", "b", "c"])
    assert picked.order.to_list() == [2, 1]
    assert picked.reasons[0] == "place 1 of its cluster, but worse than the 2 chosen"


def test_places_that_rounding_leaves_go_to_the_best_of_the_others():
    score, cluster = [5, 4, 3, 9, 8, 7], ["a"] * 3 + ["b"] * 3
    assert quota(3, score, cluster).order.to_list() == [3, 4, 0]
    assert quota(3, score, cluster, faithful=True).order.to_list() == [0, 3]


def test_low_scores_can_be_the_best():
    assert quota(2, [3, 1, 2, 9], ["a", "a", "b", "b"], better="low").order.to_list() == [1, 2]


def test_rows_without_a_number_or_cluster_go_with_a_reason():
    picked = quota(2, [1, None, 3, float("nan")], ["a", "a", None, "a"])
    assert picked.order.to_list() == [0]
    reasons = [None, "no number to order by", "in no cluster", "no number to order by"]
    assert picked.reasons.to_list() == reasons


def as_published(keep: int, score: list[float], cluster: list[int]) -> list[int]:
    """The script's rule, row by row."""
    joined = []
    for name in dict.fromkeys(cluster):
        members = [row for row, own in enumerate(cluster) if own == name]
        members.sort(key=lambda row: -int(score[row]))
        joined += members[: max(1, int(keep * 51 // 50 * len(members) / len(score)))]
    return sorted(sorted(joined, key=lambda row: -int(score[row]))[:keep])


@pytest.mark.parametrize("seed", range(20))
def test_faithful_places_are_those_of_the_script(seed: int):
    draw = np.random.default_rng(seed)
    score = draw.normal(0, 3, 60).round(2).tolist()
    cluster = draw.integers(0, 7, 60).tolist()
    keep = int(draw.integers(3, 30))
    picked = quota(keep, score, cluster, faithful=True)
    assert picked.order.to_list() == as_published(keep, score, cluster)


def test_clusters_are_single_values():
    with pytest.raises(DataError, match="E526"):
        quota(1, [1, 2], [["a"], ["b"]])


def test_no_number_at_all_is_an_error():
    with pytest.raises(DataError, match="E524"):
        quota(2, [None, None], ["a", "b"])


# centrality


def test_distances_are_from_the_mean_of_the_group():
    known = given(v=vectors([[0, 0], [2, 0], [5, 5], None]), c=["a", "a", None, "a"])
    op = Centrality(by=column("v"), per="c")
    assert op.reduce(known).to_list() == [1.0, 1.0, None, None]


def test_without_groups_all_rows_are_one():
    op = Centrality(by=column("v"))
    assert op.reduce(given(v=vectors([[0, 0], [4, 0], [2, 3]]))).round(4).to_list() == [2.2361, 2.2361, 2.0]


def test_a_group_named_like_a_pattern_is_one_column():
    op = Centrality(by=column("v"), per="^c$")
    known = given(**{"v": vectors([[0, 0], [2, 0]]), "^c$": ["a", "a"]})
    assert op.reduce(known).to_list() == [1.0, 1.0]
