"""The examples with which MongoDB's manual explains its operators give the documents that it says they give."""

from typing import Any

import pytest

from domain.criteria import parse

STOCK: dict[str, dict[str, Any]] = {
    "journal": {"dim_cm": [14, 21], "instock": [{"warehouse": "A", "qty": 5}, {"warehouse": "C", "qty": 15}]},
    "notebook": {"dim_cm": [14, 21], "instock": [{"warehouse": "C", "qty": 5}]},
    "paper": {"dim_cm": [14, 21], "instock": [{"warehouse": "A", "qty": 60}, {"warehouse": "B", "qty": 15}]},
    "planner": {"dim_cm": [22.85, 30], "instock": [{"warehouse": "A", "qty": 40}, {"warehouse": "B", "qty": 5}]},
    "postcard": {"dim_cm": [10, 15.25], "instock": [{"warehouse": "B", "qty": 15}, {"warehouse": "C", "qty": 35}]},
}
BAGS: dict[str, dict[str, Any]] = {
    "xyz": {
        "tags": ["school", "book", "bag", "headphone", "appliance"],
        "qty": [
            {"size": "S", "num": 10, "color": "blue"},
            {"size": "M", "num": 45, "color": "blue"},
            {"size": "L", "num": 100, "color": "green"},
        ],
    },
    "abc": {
        "tags": ["appliance", "school", "book"],
        "qty": [
            {"size": "6", "num": 100, "color": "green"},
            {"size": "6", "num": 50, "color": "blue"},
            {"size": "8", "num": 100, "color": "brown"},
        ],
    },
    "efg": {
        "tags": ["school", "book"],
        "qty": [
            {"size": "S", "num": 10, "color": "blue"},
            {"size": "M", "num": 100, "color": "blue"},
            {"size": "L", "num": 100, "color": "green"},
        ],
    },
    "ijk": {"tags": ["electronics", "school"], "qty": [{"size": "M", "num": 100, "color": "green"}]},
}
SURVEY: dict[str, dict[str, Any]] = {
    "1": {"results": [{"product": "abc", "score": 10}, {"product": "xyz", "score": 5}]},
    "2": {"results": [{"product": "abc", "score": 8}, {"product": "xyz", "score": 7}]},
    "3": {"results": [{"product": "abc", "score": 7}, {"product": "xyz", "score": 8}]},
    "4": {"results": [{"product": "abc", "score": 7}, {"product": "def", "score": 8}]},
}
SCORES: dict[str, dict[str, Any]] = {"1": {"results": [82, 85, 88]}, "2": {"results": [75, 88, 89]}}
RECORDS: dict[str, dict[str, Any]] = {
    "1": {"a": 5, "b": 5, "c": None},
    "2": {"a": 3, "b": None, "c": 8},
    "3": {"a": None, "b": 3, "c": 9},
    "4": {"a": 1, "b": 2, "c": 3},
    "5": {"a": 2, "c": 5},
    "6": {"a": 3, "b": 2},
    "7": {"a": 4},
    "8": {"b": 2, "c": 4},
    "9": {"b": 2},
    "10": {"c": 6},
}
SHELF: dict[str, dict[str, Any]] = {
    "Pens": {"quantity": 350, "tags": ["school", "office"]},
    "Erasers": {"quantity": 15, "tags": ["home", "school"]},
    "Maps": {"tags": ["office", "storage"]},
    "Books": {"quantity": 5, "tags": ["school", "storage", "home"]},
}
PRODUCTS: dict[str, dict[str, Any]] = {sku: {"sku": sku} for sku in ("abc123", "abc789", "xyz456", "xyz789", "Abc789")}


@pytest.mark.parametrize(
    ("collection", "criteria", "expected"),
    [
        (STOCK, {"dim_cm": {"$gt": 15, "$lt": 20}}, "journal notebook paper postcard"),
        (STOCK, {"dim_cm": {"$elemMatch": {"$gt": 22, "$lt": 30}}}, "planner"),
        (STOCK, {"dim_cm.1": {"$gt": 25}}, "planner"),
        (STOCK, {"dim_cm": {"$size": 2}}, "journal notebook paper planner postcard"),
        (STOCK, {"instock.qty": {"$lte": 20}}, "journal notebook paper planner postcard"),
        (STOCK, {"instock.0.qty": {"$lte": 20}}, "journal notebook postcard"),
        (STOCK, {"instock": {"$elemMatch": {"qty": 5, "warehouse": "A"}}}, "journal"),
        (STOCK, {"instock": {"$elemMatch": {"qty": {"$gt": 10, "$lte": 20}}}}, "journal paper postcard"),
        (STOCK, {"instock.qty": {"$gt": 10, "$lte": 20}}, "journal paper planner postcard"),
        (STOCK, {"instock.qty": 5, "instock.warehouse": "A"}, "journal planner"),
        (BAGS, {"tags": {"$all": ["appliance", "school", "book"]}}, "xyz abc"),
        (
            BAGS,
            {
                "qty": {
                    "$all": [
                        {"$elemMatch": {"size": "M", "num": {"$gt": 50}}},
                        {"$elemMatch": {"num": 100, "color": "green"}},
                    ]
                }
            },
            "efg ijk",
        ),
        (BAGS, {"qty.num": {"$all": [50]}}, "abc"),
        (SCORES, {"results": {"$elemMatch": {"$gte": 80, "$lt": 85}}}, "1"),
        (SURVEY, {"results": {"$elemMatch": {"product": "xyz", "score": {"$gte": 8}}}}, "3"),
        (SURVEY, {"results": {"$elemMatch": {"product": {"$ne": "xyz"}}}}, "1 2 3 4"),
        (SURVEY, {"results.product": {"$ne": "xyz"}}, "4"),
        (RECORDS, {"a": {"$exists": True}}, "1 2 3 4 5 6 7"),
        (RECORDS, {"b": {"$exists": False}}, "5 7 10"),
        (RECORDS, {"c": {"$exists": False}}, "6 7 9"),
        (RECORDS, {"c": None}, "1 6 7 9"),
        (SHELF, {"quantity": {"$in": [5, 15]}}, "Erasers Books"),
        (SHELF, {"tags": {"$in": ["home", "school"]}}, "Pens Erasers Books"),
        (SHELF, {"quantity": {"$nin": [5, 15]}}, "Pens Maps"),
        (SHELF, {"tags": {"$nin": ["school"]}}, "Maps"),
        (SHELF, {"quantity": {"$exists": True, "$nin": [5, 15]}}, "Pens"),
        (SHELF, {"quantity": {"$not": {"$gt": 15}}}, "Erasers Maps Books"),
        (SHELF, {"$or": [{"quantity": {"$lt": 10}}, {"tags": "office"}]}, "Pens Maps Books"),
        (SHELF, {"$nor": [{"quantity": {"$lt": 20}}, {"tags": "storage"}]}, "Pens"),
        (PRODUCTS, {"sku": {"$regex": "789$"}}, "abc789 xyz789 Abc789"),
        (PRODUCTS, {"sku": {"$regex": "^ABC", "$options": "i"}}, "abc123 abc789 Abc789"),
    ],
)
def test_an_example_of_the_manual_gives_what_it_says(
    collection: dict[str, dict[str, Any]], criteria: dict[str, Any], expected: str
) -> None:
    asked = parse(criteria)
    assert [name for name, document in collection.items() if asked.matches(document)] == expected.split()
