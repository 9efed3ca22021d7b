"""YAML as it is read: which text is a number, which stays text, where everything stands."""

import pytest

from rl_surrogates.config.reader import read_text


@pytest.mark.parametrize(
    "text, value",
    [
        ("4", 4),
        ("-4", -4),
        ("500_000", 500_000),
        ("0", 0),
        ("1e-3", 1e-3),
        ("1e3", 1000.0),
        ("1E+3", 1000.0),
        ("+2.5e-4", 2.5e-4),
        (".5", 0.5),
        ("5.", 5.0),
        ("1_000.5", 1000.5),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("n", "n"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("0b1", "0b1"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("1__0", "1__0"),
        ("1_", "1_"),
        ("_1", "_1"),
        ("e3", "e3"),
        ("1e", "1e"),
        (".", "."),
        ("nan", "nan"),
        ("=", "="),
        ("'1e-3'", "1e-3"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("!!int '12'", 12),
        ("!!float 1", 1.0),
        ("[1, a, [2.5]]", [1, "a", [2.5]]),
        ("{a: 1, b: {c: no}}", {"a": 1, "b": {"c": "no"}}),
    ],
)
def test_text_means_what_it_looks_like(text, value):
    reading = read_text(f"key: {text}", "f")
    plain = reading.node.plain()["key"]
    assert reading.problems == ()
    assert plain == value
    assert type(plain) is type(value)


@pytest.mark.parametrize("text", ["!!int no", "!!float x", "!!bool no", "!!int 1.5"])
def test_a_tag_does_not_bend_a_value(text):
    (problem,) = read_text(f"key: {text}", "f").problems
    assert problem[:4] == ("f", 1, 6, "key")


def test_every_key_and_value_knows_its_place():
    node = read_text("a: 1\nlong:\n  - x\n  - {deep: é, last: 2}\n", "f").node
    inner = node.value["long"].value[1].value["last"]
    assert (node.value["a"].key_at[1:], node.value["a"].at[1:]) == ((1, 1), (1, 4))
    assert (inner.key_at[1:], inner.at[1:]) == ((4, 15), (4, 21))


def test_what_is_sound_is_kept_beside_what_is_not():
    reading = read_text("a: 1\na: 2\n3: x\nb: !x y\nc: {d: 4, d: 5}\n", "f")
    assert reading.node.plain() == {"a": 1, "c": {"d": 4}}
    assert [problem.line for problem in reading.problems] == [2, 3, 4, 5]


def test_an_anchor_may_be_used_a_few_times():
    assert read_text("a: &n 4\nb: *n\nc: [*n, *n]\n", "f").node.plain()["c"] == [4, 4]
