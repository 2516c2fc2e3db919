"""workers → db → domain and never back; the domain is pure; SQL stays in db."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LAYERS = {"domain": {"domain"}, "db": {"db", "domain"}, "workers": {"workers", "db", "domain"}}
OURS = {"domain", "db", "workers", "tests", "tools", "bench"}
IMPURE = {
    "asyncio",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "subprocess",
    "threading",
    "time",
    "urllib",
}
_SQL = re.compile(
    r"\b(select\b.+\bfrom|insert\s+into|update\b.+\bset|delete\s+from|create\s+table)\b", re.IGNORECASE | re.DOTALL
)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def texts(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docstrings:
            yield node.value


@pytest.mark.parametrize("package", LAYERS)
def test_a_layer_knows_only_itself_and_those_below(package: str) -> None:
    found = {(path.name, name) for path in modules(package) for name in imported(path)}
    assert len(found) > 10
    wrong = {
        (file, name) for file, name in found if (root := name.split(".")[0]) in OURS and root not in LAYERS[package]
    }
    assert not wrong


def test_the_domain_stands_on_the_standard_library_and_three_pure_packages() -> None:
    allowed = {"domain", "pydantic", "rfc8785", "jsonschema_rs"} | (set(sys.stdlib_module_names) - IMPURE)
    found = {(path.name, name) for path in modules("domain") for name in imported(path)}
    assert not {(file, name) for file, name in found if name.split(".")[0] not in allowed}


def test_the_domain_reads_no_clock_and_draws_nothing_at_random() -> None:
    """Names, because `datetime` and `uuid` are needed for their values."""
    forbidden = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "input", "random"}
    for path in modules("domain"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                assert called not in forbidden, f"{path.name}:{node.lineno} calls {called}"


@pytest.mark.parametrize("package", ["domain", "workers"])
def test_sql_is_written_in_db_only(package: str) -> None:
    found = [(path.name, text) for path in modules(package) for text in texts(path) if _SQL.search(text)]
    assert not found


def test_sql_is_recognised_where_it_is() -> None:
    assert any(_SQL.search(text) for path in modules("db") for text in texts(path))


def test_db_leaves_committing_to_its_callers() -> None:
    for path in modules("db"):
        called = [node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        assert not {"commit", "rollback"} & set(called), path.name
