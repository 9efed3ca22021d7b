"""How long are files and functions, how deep do they nest? Printed: a hint, no failure."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "rl_surrogates"
FILE_LINES, FUNCTION_LINES, NESTED, POSITIONAL = 300, 40, 2, 7
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def too_large(source, name="source"):
    """One line per size that is over the house rules."""
    lines = source.count("\n")
    found = [f"{name}: {lines} lines"] if lines > FILE_LINES else []
    return found + _in_body(ast.parse(source), name, depth=0)


def _in_body(node, name, depth):
    found = []
    for child in ast.iter_child_nodes(node):
        inner = depth + isinstance(child, FUNCTIONS)
        if isinstance(child, FUNCTIONS):
            where = f"{name}:{child.lineno}: {child.name}"
            if (length := _lines(child)) > FUNCTION_LINES:
                found.append(f"{where} has {length} lines")
            if inner > NESTED:
                found.append(f"{where} is nested {inner} deep")
            if (count := len(child.args.posonlyargs + child.args.args)) > POSITIONAL:
                found.append(f"{where} takes {count} positional parameters")
        found += _in_body(child, name, inner)
    return found


def _lines(function):
    """Lines of a function, its docstring apart."""
    first = function.body[0]
    is_docstring = ast.get_docstring(function, clean=False) is not None
    docstring = first.end_lineno - first.lineno + 1 if is_docstring else 0
    return function.end_lineno - function.lineno + 1 - docstring


def test_sizes_over_the_house_rules_are_printed(capsys):
    found = [
        line
        for path in sorted(PACKAGE.rglob("*.py"))
        for line in too_large(path.read_text("utf-8"), str(path.relative_to(PACKAGE.parent)))
    ]
    with capsys.disabled():
        for line in found:
            print(f"\nsize: {line}", end="")


def test_the_measure_sees_what_is_too_large():
    nested = "def a():\n def b():\n  def c():\n   pass\n"
    assert too_large(nested) == ["source:3: c is nested 3 deep"]
    long = "def a():\n" + '    """One.\n\n    Two.\n    """\n' + "    x = 1\n" * 40
    assert too_large(long) == ["source:1: a has 41 lines"]
    assert too_large("x = 1\n" * 301) == ["source: 301 lines"]
    assert too_large("def a(b, c, d, e, f, g, h, i): pass\n") == [
        "source:1: a takes 8 positional parameters"
    ]
