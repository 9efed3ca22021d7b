"""Broken files of one run: every error at once, each at its line and column, nothing done."""

import os
import time

import pytest

from rl_surrogates.config import ConfigError, load_config, reader

# name: (text, [(line, column, field, part of the message)]): all problems, in order, and no others
MALFORMED = {
    # syntax
    "unclosed_bracket": (
        "env: {name: CartPole-v1\nnum_envs: 4\n",
        [(2, 9, "(document)", "expected")],
    ),
    "unclosed_quote": ("env: {name: 'CartPole\n", [(2, 1, "(document)", "quoted scalar")]),
    "tab_indent": ("ascent:\n\tnum_epochs: 4\n", [(2, 1, "(document)", "a tab")]),
    "bad_indent": ("env:\n   name: a\n  x: b\n", [(3, 3, "(document)", "expected")]),
    "two_colons": ("num_envs: 4: 5\n", [(1, 12, "(document)", "mapping values")]),
    "two_documents": ("num_envs: 4\n---\nnum_envs: 8\n", [(2, 1, "(document)", "one document")]),
    "undefined_alias": ("num_envs: *n\n", [(1, 11, "(document)", "undefined alias 'n'")]),
    "newer_yaml": ("%YAML 3.0\n---\na: 1\n", [(1, 1, "(document)", "version")]),
    "control_character": ("num_envs: \x07\n", [(1, 11, "(document)", "U+0007")]),
    # not a mapping
    "empty": ("", [(1, 1, "(document)", "an empty file")]),
    "comment_only": ("# nothing\n", [(1, 1, "(document)", "an empty file")]),
    "list": ("- num_envs\n", [(1, 1, "(document)", "expected a mapping, got a list")]),
    "scalar": ("hello\n", [(1, 1, "(document)", "expected a mapping, got a single value")]),
    # keys
    "duplicate_key": (
        "num_envs: 4\nnum_steps: 64\nnum_envs: 8\n",
        [(3, 1, "num_envs", "duplicate key, first given in line 1")],
    ),
    "duplicate_inner_key": (
        "ascent: {num_epochs: 1, num_epochs: 2}\n",
        [(1, 25, "ascent.num_epochs", "duplicate key, first given in line 1")],
    ),
    "number_as_key": ("4: num_envs\n", [(1, 1, "(document)", "a key must be text, got 4")]),
    "list_as_key": ("? [a]\n: 1\n", [(1, 3, "(document)", "a key must be text")]),
    "unknown_key": ("num_evns: 4\n", [(1, 1, "num_evns", "did you mean num_envs?")]),
    "unknown_inner_key": (
        "ascent: {num_epoch: 4}\n",
        [(1, 10, "ascent.num_epoch", "did you mean num_epochs?")],
    ),
    "key_of_another_variant": (
        "value_loss: {name: squared_error, epsilon: 0.2}\n",
        [(1, 35, "value_loss.epsilon", "the keys are name, coef")],
    ),
    "misplaced_key": ("gamma: 0.9\n", [(1, 1, "gamma", "did you mean advantage.gamma?")]),
    "dotted_key": ("ascent.num_epochs: 4\n", [(1, 1, "ascent.num_epochs", "{num_epochs: ...}")]),
    "merge_key": ("env: &e {name: CartPole-v1}\n<<: *e\n", [(2, 1, "<<", "unknown key")]),
    "a_question": ("parameters: {}\n", [(1, 1, "parameters", "is a question, not a run")]),
    # types
    "quoted_number": ('num_envs: "4"\n', [(1, 11, "num_envs", "got '4'; remove the quotes")]),
    "float_for_int": ("num_envs: 4.0\n", [(1, 11, "num_envs", "got 4.0; write 4")]),
    "exponent_for_int": ("total_timesteps: 1e5\n", [(1, 18, "total_timesteps", "write 100000")]),
    "bool_for_int": ("num_envs: true\n", [(1, 11, "num_envs", "whole number, got true")]),
    "text_for_number": ("ent_coef: tiny\n", [(1, 11, "ent_coef", "a number, got 'tiny'")]),
    "nothing_for_number": ("num_envs:\n", [(1, 10, "num_envs", "whole number, got nothing")]),
    "octal": ("num_envs: 010\n", [(1, 11, "num_envs", "got '010'")]),
    "hexadecimal": ("num_envs: 0x10\n", [(1, 11, "num_envs", "got '0x10'")]),
    "sexagesimal": ("num_steps: 2:08\n", [(1, 12, "num_steps", "got '2:08'")]),
    "bare_nan": ("ent_coef: nan\n", [(1, 11, "ent_coef", "a number, got 'nan'")]),
    "number_for_text": ("env: {name: 5}\n", [(1, 13, "env.name", "text, got 5; put it in quotes")]),
    "no_for_a_name": ("ascent: {anneal: no}\n", [(1, 18, "ascent.anneal", "unknown name 'no'")]),
    "false_for_a_name": ("ascent: {anneal: false}\n", [(1, 18, "ascent.anneal", "got false")]),
    "list_for_a_section": ("ascent: [4, 4]\n", [(1, 9, "ascent", "a mapping, got [4, 4]")]),
    "text_for_a_section": ("objective: spo\n", [(1, 12, "objective", "write {name: spo}")]),
    "mapping_for_a_number": ("num_envs: {n: 4}\n", [(1, 11, "num_envs", "a whole number")]),
    "number_for_a_list": ("network: {hidden: 64}\n", [(1, 19, "network.hidden", "a list, got 64")]),
    "wrong_item": ("network: {hidden: [64, a]}\n", [(1, 24, "network.hidden.1", "got 'a'")]),
    "timestamp": ("num_envs: 2024-01-01\n", [(1, 11, "num_envs", "got '2024-01-01'")]),
    "endless_integer": (f"num_envs: {'9' * 5000}\n", [(1, 11, "num_envs", "can be used")]),
    "huge_integer": (f"num_envs: {'9' * 300}\n", [(1, 11, "num_envs", "<= 2147483647, got 999")]),
    # ranges
    "nan": ("ent_coef: .nan\n", [(1, 11, "ent_coef", "a finite number, got nan")]),
    "inf": ("ent_coef: .inf\n", [(1, 11, "ent_coef", "a finite number, got inf")]),
    "overflow": ("ent_coef: 1e999\n", [(1, 11, "ent_coef", "a finite number, got inf")]),
    "beyond_float32": ("ent_coef: 1e39\n", [(1, 11, "ent_coef", "float32")]),
    "negative": ("num_envs: -4\n", [(1, 11, "num_envs", ">= 1, got -4")]),
    "zero": ("ascent: {learning_rate: 0}\n", [(1, 25, "ascent.learning_rate", "> 0, got 0")]),
    "gamma": ("advantage: {gamma: 1.1}\n", [(1, 20, "advantage.gamma", "<= 1, got 1.1")]),
    "empty_hidden_layer": (
        "network: {hidden: [0]}\n",
        [(1, 20, "network.hidden.0", ">= 1, got 0")],
    ),
    # names
    "environment": (
        "env: {name: CartPol-v1}\n",
        [(1, 13, "env.name", "did you mean CartPole-v1?")],
    ),
    "prefix": ("env: {name: 'brax:ant'}\n", [(1, 13, "env.name", "unknown environment")]),
    "objective": ("objective: {name: ppo_clp}\n", [(1, 19, "objective.name", "ppo_clip")]),
    "coefficient": ("objective: {epsilom: 0.1}\n", [(1, 13, "objective.epsilom", "epsilon")]),
    "coefficient_range": (
        "objective: {name: ppo_clip, epsilon: 2}\n",
        [(1, 38, "objective.epsilon", "outside (0, 1)")],
    ),
    "import_path": (
        "network: {activation: os.system}\n",
        [(1, 23, "network.activation", "unknown name 'os.system'")],
    ),
    # several fields
    "indivisible": (
        "num_envs: 4\nascent:\n  num_minibatches: 5\n",
        [(3, 20, "ascent.num_minibatches", "num_envs * num_steps = 512; use 4 or 8")],
    ),
    "indivisible_by_default": (
        "num_steps: 3\nnum_envs: 2\n",
        [(1, 12, "ascent.num_minibatches", "4 does not divide")],
    ),
    "sequences_are_kept_whole": (
        "network: {torso: gru}\nnum_envs: 6\n",  # 4 divides 6 * 128
        [(2, 11, "ascent.num_minibatches", "num_envs = 6, and a gru learns from whole sequences")],
    ),
    "memory_without_a_size": (
        "network: {torso: gru, hidden: []}\n",
        [(1, 31, "network.hidden", "its memory; use at least one")],
    ),
    "too_short": ("total_timesteps: 100\n", [(1, 18, "total_timesteps", "use at least 512")]),
    "adapts_nothing": (
        "adaptation: {name: adaptive_kl, coefficient: objective.beta, target: 0.01}\n",
        [(1, 46, "adaptation.coefficient", "no coefficient of ppo_clip")],
    ),
    "missing_key": (
        "adaptation:\n  name: adaptive_kl\n  coefficient: objective.epsilon\n",
        [(1, 1, "adaptation.target", "required")],
    ),
    # bases
    "missing_base": ("base:\n  - nope.yaml\n", [(2, 5, "base", "nope.yaml is not a file")]),
    "base_is_text": ("base: nope.yaml\n", [(1, 7, "base", "expected a list")]),
    "base_is_a_number": ("base: [4]\n", [(1, 8, "base", "the name of a file, got 4")]),
    "base_is_a_folder": ("base: [.]\n", [(1, 8, "base", "is not a file")]),
    "own_base": ("base: [mine.yaml]\n", [(1, 8, "base", "based on itself")]),
    # tags, anchors
    "python_tag": (
        "env: !!python/object/apply:os.system ['touch canary']\n",
        [(1, 6, "env", "the tag !!python/object/apply:os.system is not allowed")],
    ),
    "python_name": ("ent_coef: !!python/name:os.system\n", [(1, 11, "ent_coef", "is not allowed")]),
    "custom_tag": ("num_envs: !mine 4\n", [(1, 11, "num_envs", "the tag !mine is not allowed")]),
    "binary_tag": ("num_envs: !!binary aGk=\n", [(1, 11, "num_envs", "is not allowed")]),
    "recursive_anchor": ("env: &a\n  params: *a\n", [(1, 6, "(document)", "an anchor within")]),
    "too_deep": ("env: " + "[" * 5000, [(1, 45, "(document)", "deeper than 40 levels")]),
    # together
    "all_at_once": (
        "num_evns: 4\n"
        "env: {name: CartPole-v2}\n"
        "network: {hidden: [64, 0], activation: sigmoid}\n"
        "objective: {name: ppo_clip, epsilon: -0.1, epsi: 1}\n"
        "ascent:\n"
        "  num_epochs: 4.5\n"
        "  num_minibatches: 7\n"
        "  num_epochs: 2\n"
        "ent_coef: !!python/name:os.getcwd\n",
        [
            (1, 1, "num_evns", "did you mean num_envs?"),
            (2, 13, "env.name", "CartPole-v1"),
            (3, 24, "network.hidden.1", ">= 1"),
            (3, 40, "network.activation", "unknown name 'sigmoid'"),
            (4, 38, "objective.epsilon", "outside (0, 1)"),
            (4, 44, "objective.epsi", "epsilon"),
            (6, 15, "ascent.num_epochs", "a whole number, got 4.5"),
            (7, 20, "ascent.num_minibatches", "use 4 or 8"),
            (8, 3, "ascent.num_epochs", "duplicate key"),
            (9, 11, "ent_coef", "not allowed"),
        ],
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems_of(path="mine.yaml"):
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return caught.value.problems


@pytest.mark.parametrize("name", MALFORMED)
def test_every_error_of_a_file_is_reported_where_it_stands(name, folder):
    text, expected = MALFORMED[name]
    (folder / "mine.yaml").write_text(text)
    started = time.perf_counter()
    found = problems_of()
    assert time.perf_counter() - started < 3.0
    assert [problem[:4] for problem in found] == [("mine.yaml", *place[:3]) for place in expected]
    for problem, (*_, part) in zip(found, expected, strict=True):
        assert part in problem.message
    assert os.listdir() == ["mine.yaml"]  # no canary, no other trace


def test_a_problem_reads_file_line_column_field_message(folder):
    (folder / "mine.yaml").write_text("ascent: {num_minibatches: 5}\n")
    assert str(problems_of()[0]) == (
        "mine.yaml:1:27: ascent.num_minibatches: "
        "5 does not divide num_envs * num_steps = 512; use 4 or 8"
    )


@pytest.mark.parametrize(
    "data, place, part",
    [
        ("num_envs: 4\n".encode("utf-16"), (1, 1), "not UTF-8: byte 0xff"),
        ("num_envs: 4\n".encode("utf-16-be"), (1, 1), "U+0000"),
        ("num_envs: 4\n".encode("utf-32"), (1, 1), "not UTF-8"),
        ("num_envs: 4\n# caf\xe9\n".encode("latin-1"), (2, 6), "not UTF-8: byte 0xe9"),
        (b"#" * 300_000, (1, 1), "larger than 262144 bytes"),
    ],
)
def test_a_file_in_another_encoding_or_too_large_is_refused(folder, data, place, part):
    (folder / "mine.yaml").write_bytes(data)
    (problem,) = problems_of()
    assert problem[:4] == ("mine.yaml", *place, "(document)")
    assert part in problem.message


def test_a_byte_order_mark_is_accepted_and_moves_no_column(folder):
    (folder / "mine.yaml").write_bytes(b"\xef\xbb\xbfnum_envs: 8\n")
    assert load_config("mine.yaml").num_envs == 8
    (folder / "mine.yaml").write_bytes(b"\xef\xbb\xbfnum_envs: x\n")
    assert problems_of()[0][1:3] == (1, 11)


def test_a_missing_file_and_a_folder_are_named():
    assert str(problems_of("nope.yaml")[0]) == "nope.yaml:1:1: (document): no such file"
    assert str(problems_of(".")[0]) == ".:1:1: (document): not a file"
    assert "no such file" in problems_of("a\0b")[0].message


def test_an_unreadable_file_is_named(folder, monkeypatch):
    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    (folder / "mine.yaml").write_text("num_envs: 4\n")
    monkeypatch.setattr(reader, "open", refuse, raising=False)
    assert problems_of()[0].message == "cannot be read: Permission denied"


def test_a_pipe_is_no_file_and_blocks_nobody(folder):
    os.mkfifo(folder / "mine.yaml")
    assert problems_of()[0].message == "not a file"


def test_an_alias_bomb_is_refused_at_once(folder):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (folder / "mine.yaml").write_text("\n".join(lines))
    started = time.perf_counter()
    (problem,) = problems_of()
    assert time.perf_counter() - started < 3.0
    assert "more than 10000 values" in problem.message
