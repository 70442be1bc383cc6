"""Answers as models: what is read, and the words for what is not there."""

from __future__ import annotations

from typing import Any

import pytest

from pydoit_sc.saturn import models
from pydoit_sc.saturn.errors import AnswerError, SaturnError
from pydoit_sc.saturn.models import checked_recipe, read, resource_id, resource_type


def test_types() -> None:
    assert [resource_type(word) for word in ("job", "Jobs", "WORKSPACE")] == ["job", "job", "workspace"]
    with pytest.raises(SaturnError, match="unknown resource type `jbo`; did you mean `job`"):
        resource_type("jbo")


@pytest.mark.parametrize(
    ("model", "answer", "said"),
    [
        (models.User, None, "expected an object with `username`, found nothing"),
        (models.User, [], "expected an object with `username`, found list"),
        (models.User, {}, "expected a text under `username`, found nothing"),
        (models.User, {"username": None}, "expected a text under `username`, found nothing"),
        (models.User, {"username": 5}, "expected a text under `username`, found int"),
        (models.Orgs, {"orgs": {}}, "expected a list under `orgs`, found dict"),
        (models.Orgs, {"orgs": [{"name": "a"}, {}]}, "expected a text under `orgs.1.name`, found nothing"),
        (models.Orgs, {"orgs": [5]}, "expected an object under `orgs.0`, found int"),
        (models.Choices, {"sizes": {"s": {"name": "s", "cores": "2"}}, "disk_space": [], "auto_shutoff": []},
         "expected a number under `sizes.s.cores`, found str"),
        (models.PodDetails, {"labels": 1}, "expected an object under `labels`, found int"),
        (models.Log, {"logs": [{}]}, "expected a text under `logs`, found list"),
        (models.History, {"pods": [{"name": "x"}]}, "expected a text under `pods.0.pod_name`, found nothing"),
    ],
)  # fmt: skip
def test_what_is_missing_or_of_another_kind(model: type[models.Answer], answer: Any, said: str) -> None:
    with pytest.raises(AnswerError) as caught:
        read(model, answer, "the call")
    assert str(caught.value) == f"the call: {said}"
    assert caught.value.__context__ is None  # pydantic's error holds the answer


def test_null_is_a_missing_key_and_other_keys_are_ignored() -> None:
    org = read(models.Org, {"name": "a", "is_primary": None, "new": 1}, "x")
    assert (org.name, org.is_primary) == ("a", False)
    size = read(models.Size, {"name": "s", "cores": 2, "gpu": None, "memory": "4GiB", "cost": None}, "x")
    assert size.model_dump() == {"name": "s", "cores": 2, "gpu": 0, "memory": "4GiB", "cost": None}


def test_recipes_keep_all_their_keys() -> None:
    recipe = {"new": 1, "type": "job", "spec": {"name": "j", "new": None}, "state": {"id": "7", "x": None}}
    assert checked_recipe(recipe, "x") == recipe
    assert list(checked_recipe(recipe, "x")) == list(recipe)
    assert resource_id(recipe) == "7"
    with pytest.raises(
        AnswerError, match=r"^the recipe of `j`, state: expected a text under `id`, found nothing"
    ):
        resource_id({"type": "job", "spec": {"name": "j"}})
    with pytest.raises(AnswerError, match=r"^x: expected an object under `spec`, found list"):
        checked_recipe({"type": "job", "spec": []}, "x")


def test_logs_come_whole_or_in_parts() -> None:
    assert read(models.Log, {"logs": "a\nb"}, "x").logs == "a\nb"
    assert read(models.Log, {"logs": [{"content": "a"}, {"content": "b"}]}, "x").logs == "a\nb"
    assert read(models.Log, {"logs": []}, "x").logs == ""


def test_the_containers_whose_logs_are_shown() -> None:
    def names(*containers: tuple[str, str], waiting: bool = False) -> list[str]:
        found = [{"name": name, "status": status} for name, status in containers]
        answer = {"labels": {}, "container_summaries": found, "init_container_summaries": [{"name": "init"}]}
        return [one.name for one in read(models.PodDetails, answer, "x").main_containers()]

    assert names(("side", "running"), ("main", "running")) == ["main"]
    assert names(("side", "running"), ("other", "waiting")) == ["side", "other"]
    assert names(("side", "running"), ("main", "waiting")) == ["init"]
    assert names() == ["init"]
