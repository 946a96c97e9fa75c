"""The house's rules, read from the source: who may import whom, and how long a module may be (architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BELOW = {
    "clinic": ("clinic",),
    "phone": ("phone", "clinic"),
    "agent_worker": ("agent_worker", "phone", "clinic"),
}
"""Package → the packages it may import."""
COMPOSITION_ROOTS = {
    "clinic/asgi.py",
    "clinic/celery.py",
    "clinic/settings.py",
    "clinic/urls.py",
    "clinic/wsgi.py",
}
LONGEST_MODULE = 400


@cache
def modules(*folders: str) -> tuple[Path, ...]:
    """Every module in these folders, relative to the root, migrations left out."""
    return tuple(
        path.relative_to(ROOT)
        for folder in folders or BELOW
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "migrations" not in path.parts
    )


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported in `tree`; `from a import b` counts as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def within(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def is_composition_root(path: Path) -> bool:
    return path.as_posix() in COMPOSITION_ROOTS or "management/commands" in path.as_posix()


def test_imports_point_one_way() -> None:
    assert not [
        f"{path}:{line} imports {name}"
        for path in modules()
        if not is_composition_root(path)
        for line, name in imports(tree_of(path))
        if within(name, BELOW) and not within(name, BELOW[path.parts[0]])
    ]


def test_imports_name_their_package_in_full() -> None:
    assert not [
        f"{path}:{line} imports {name}"
        for path in modules()
        for line, name in imports(tree_of(path))
        if name.startswith(".")
    ]


def test_only_the_worker_knows_sessions_and_rooms() -> None:
    sessions = ("livekit.agents", "livekit.rtc", "livekit.plugins")
    assert not [
        f"{path}:{line} imports {name}"
        for path in modules("clinic", "phone")
        for line, name in imports(tree_of(path))
        if within(name, sessions)
    ]


def test_only_one_package_asks_the_livekit_server() -> None:
    assert not [
        f"{path}:{line} imports {name}"
        for path in modules()
        if "livekit_api" not in path.parts
        for line, name in imports(tree_of(path))
        if within(name, ("livekit.api",))
    ]


def test_the_worker_leaves_queries_to_the_phone() -> None:
    assert not [
        f"{path}:{node.lineno}"
        for path in modules("agent_worker")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr in ("objects", "_default_manager", "_base_manager")
    ]


def test_the_worker_is_no_django_app() -> None:
    settings = (ROOT / "clinic" / "settings.py").read_text(encoding="utf-8")
    assert '"agent_worker"' not in settings
    assert not (ROOT / "agent_worker" / "apps.py").exists()


def test_imports_stand_at_the_top() -> None:
    assert not [
        f"{path}:{line} imports {name} within a function"
        for path in modules()
        for function in ast.walk(tree_of(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for line, name in imports(function)
    ]


def test_plan_and_hours_know_neither_database_nor_clock() -> None:
    for path in (Path("phone/plan.py"), Path("clinic/hours.py")):
        tree = tree_of(path)
        assert not [
            name for _, name in imports(tree) if within(name, ("django", "asyncio", "random", "time"))
        ]
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not attributes & {"now", "today", "utcnow", "monotonic", "objects"}


def test_modules_stay_short_enough_to_read() -> None:
    lengths = {
        path: len((ROOT / path).read_text(encoding="utf-8").splitlines())
        for path in modules(*BELOW, "benchmarks", "scripts")
    }
    assert not [f"{path} has {length} lines" for path, length in lengths.items() if length > LONGEST_MODULE]
