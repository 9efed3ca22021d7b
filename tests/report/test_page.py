import re
import time
from html.parser import HTMLParser

import pytest

from rl_surrogates import report
from rl_surrogates.report import sections
from rl_surrogates.report.study import examine
from rl_surrogates.store import StoreError, open_results

HOSTILE = "<script>alert(1)</script>\"onload='x' </p>&amp;"


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def page(founding):
    """The report on the founding question, written once."""
    return Page(report.write(founding).read_text())


TWO_BY_TWO = {"objective.name": ["policy_gradient", "spo"], "ascent.num_epochs": [1, 16]}


def small(synthetic, root, **arguments):
    small = {"seeds": 3, "updates": 6, "episodes": 2, "axes": TWO_BY_TWO, **arguments}
    return synthetic.write_results(root, **small)


def write(synthetic, root, **arguments):
    """The whole page."""
    return Page(report.write(small(synthetic, root, **arguments)).read_text())


def top(path):
    """Its first screen only, which takes less time to draw."""
    study = examine(open_results(path, partial=True))
    return Page("".join(sections.first_screen(study, {})))


def test_the_first_screen_asks_and_answers(page):
    top = page.text[: page.text.index("Every setting")]
    assert "why_the_ratio" in top
    assert "How many epochs can each objective survive on the same data?" in top
    answer = "The objectives differ most at num_epochs = 16, learning_rate = 0.0025:"
    assert re.search(
        re.escape(answer) + r" (spo|ppo_clip) 4\d\d \[\d+, \d+\], (spo|ppo_clip) ", top
    )
    assert "1 of 192 runs diverged; each counts as the worst score of the sweep" in top


def test_every_section_of_a_whole_sweep_is_there(page):
    for title in (
        "Every setting",
        "Learning curves",
        "Two axes at a time",
        "Sensitivity",
        "How far each update moved the policy",
        "Paired differences",
        "Over all combinations",
        "Diverged, failed and missing runs",
        "Plan",
        "Compute",
        "Every config",
        "Provenance",
        "Every run as CSV",
    ):
        assert title in page.text
    assert page.tags.count("svg") == page.tags.count("figure") == 6


def test_the_page_loads_and_runs_nothing(page):
    assert not {"script", "link", "iframe", "img", "image", "object", "embed"} & set(page.tags)
    policy = [v for tag, name, v in page.attributes if (tag, name) == ("meta", "content")][0]
    assert policy.startswith("default-src 'none'") and "script" not in policy
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "action"):
            assert value.startswith("#"), (tag, name, value)


def test_every_figure_says_what_it_shows(page):
    labels = [v for tag, name, v in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(labels) == 6 and all(len(label) > 20 for label in labels)


def test_identifiers_of_the_figures_never_meet(page):
    identifiers = [value for _, name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers)) > 50


def test_references_inside_the_figures_are_kept(page):
    identifiers = {value for _, name, value in page.attributes if name == "id"}
    links = [value[1:] for _, name, value in page.attributes if name == "xlink:href"]
    assert len(links) > 50 and set(links) <= identifiers


def test_writing_again_changes_no_byte_and_no_date(founding, page):
    def state():
        files = sorted(path for path in founding.rglob("*") if path.is_file())
        return [(path, path.read_bytes(), path.stat().st_mtime_ns) for path in files]

    before = state()
    report.write(founding)
    assert state() == before


def test_the_bytes_do_not_depend_on_the_time_or_the_place(synthetic, tmp_path, monkeypatch):
    arguments = {"seeds": 2, "updates": 4, "episodes": 2, "axes": {"ascent.num_epochs": [1, 4]}}
    first = report.write(synthetic.write_results(tmp_path / "one", **arguments)).read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    second = report.write(synthetic.write_results(tmp_path / "two", **arguments)).read_bytes()
    assert first == second
    assert b"/one" not in first and str(tmp_path).encode() not in first


def test_the_figures_are_files_as_well(founding, page):
    names = {path.name for path in (founding / "figures").iterdir()}
    assert names == {
        f"{n}.{kind}"
        for n in ("outcome", "learning", "maps", "movement", "paired", "overall")
        for kind in ("svg", "pdf")
    }
    assert (founding / "figures" / "outcome.pdf").read_bytes().startswith(b"%PDF")
    assert (founding / "figures" / "outcome.svg").read_text().startswith("<svg")


def test_the_report_leaves_the_results_sound(founding, page):
    assert open_results(founding).missing == []


def test_the_page_is_small(founding, page):
    assert (founding / "report.html").stat().st_size < 2_000_000


def test_hostile_text_is_shown_and_never_obeyed(synthetic, tmp_path):
    axes = {"objective.name": [HOSTILE, "$\\frac{1}{2}$"], HOSTILE: [1, 2, 3]}
    page = write(synthetic, tmp_path, description=HOSTILE, axes=axes)
    assert "script" not in page.tags
    assert not [name for _, name, _ in page.attributes if name == "onload"]
    assert page.text.count("<script>alert(1)</script>") > 5
    assert "$\\frac{1}{2}$" in page.text


def test_hostile_text_in_the_provenance_is_escaped(synthetic, tmp_path, monkeypatch):
    monkeypatch.setitem(synthetic.PROVENANCE, "overrides", [HOSTILE])
    page = write(synthetic, tmp_path, axes={})
    assert "script" not in page.tags and "<script>alert(1)" in page.text


def test_a_lone_surrogate_does_not_stop_the_report(synthetic, tmp_path):
    assert "half" in write(synthetic, tmp_path, description="half \ud83d a sign", axes={}).text


def test_missing_runs_are_said_first(synthetic, tmp_path):
    path = small(synthetic, tmp_path, keep=2 / 3)
    study = examine(open_results(path, partial=True))
    text = Page("".join(sections.first_screen(study, {}))).text
    assert "Incomplete: 4 of 12 planned runs are not there." in text
    assert "1 of 4 settings have no score, and are not compared." in text
    assert "The objectives differ most at num_epochs = 1: " in text
    note = Page("".join(sections.settings(study, {}))).text
    assert "Empty: no run of the setting has a score." in note and "needs two" not in note


def test_a_way_that_is_known_in_part_is_not_told_as_if_it_were_whole(synthetic, tmp_path):
    axes = {"objective.name": ["policy_gradient", "spo"], "ascent.num_epochs": [1, 4, 16]}
    text = top(small(synthetic, tmp_path, axes=axes, keep=5 / 6, num_items=6)).text
    assert re.search(
        r"From num_epochs = 1 to 16, .*spo goes from \S+ to \S+ \(known from 1 to 4 only\)", text
    )
    assert re.search(r"policy_gradient goes from \S+ to \d+\.", text)


def test_a_damaged_part_is_said_first_and_the_rest_is_drawn(synthetic, tmp_path):
    path = small(synthetic, tmp_path)
    (path / "parts" / "item1.curves.parquet").write_bytes(b"")
    page = Page(report.write(path).read_text())
    assert "item1.curves.parquet: damaged" in page.text[: page.text.index("Every setting")]
    assert page.tags.count("svg") == 5


def test_a_damaged_plan_cannot_be_reported_on(synthetic, tmp_path):
    path = synthetic.write_results(tmp_path, seeds=2, updates=4, episodes=2, axes={})
    (path / "plan.json").write_bytes(b"{}")
    with pytest.raises(StoreError, match="plan.json"):
        report.write(path)


def test_a_single_seed_is_said_and_has_no_interval(synthetic, tmp_path):
    path = small(synthetic, tmp_path, seeds=1)
    text = top(path).text
    note = Page("".join(sections.settings(examine(open_results(path)), {}))).text
    assert "No interval: one run of the setting is there, and a bootstrap needs two." in note
    assert "One seed only: there are no intervals" in text
    assert "The order may be chance: with 1 common seed no interval can hold" in text


def test_few_seeds_are_said(synthetic, tmp_path):
    text = top(small(synthetic, tmp_path)).text
    assert "Only 3 seeds: bootstrap intervals over so few are too narrow." in text


def test_a_sweep_in_which_all_diverged_has_no_answer_and_no_figure(synthetic, tmp_path):
    page = write(synthetic, tmp_path, seeds=2, diverged=tuple(range(8)))
    assert "There is no answer: each of the 8 runs diverged." in page.text
    assert "outcome-" not in " ".join(value for _, _, value in page.attributes)
    assert "Nothing is drawn: each of the runs diverged or failed." in page.text
    assert "No setting has a score: nothing is paired." in page.text
    assert page.tags.count("figure") == 1  # what the training returns were until then


def test_a_sweep_that_has_not_begun_has_no_answer(synthetic, tmp_path):
    assert "nothing has been run" in write(synthetic, tmp_path, keep=0.0).text


def test_without_evaluations_the_training_return_is_reported_and_said(synthetic, tmp_path):
    text = top(small(synthetic, tmp_path, episodes=0, updates=30)).text
    assert "Interquartile mean of the training episode_return" in text


@pytest.mark.parametrize(
    "axes, answer",
    [
        ({}, "The setting reaches"),
        ({"ascent.num_epochs": [1, 4, 16]}, "The best of 3 settings is num_epochs = "),
        ({"objective.name": ["spo", "ppo_clip"]}, "The objectives, best first: "),
        (
            {"ascent.num_epochs": [1, 4, 16], "advantage.gamma": [0.9, 0.99]},
            "The values of gamma differ most at num_epochs = ",
        ),
        (
            {"objective.name": ["spo", "ppo_clip"], "ascent.target_kl": [None, 0.01]},
            "The objectives differ most at target_kl = ",
        ),
        (
            {"objective.name": ["spo", "ppo_clip"], "env.name": ["CartPole-v1", "Acrobot-v1"]},
            "Mean over all tasks (0: worst setting of a task, 1: its best setting): ",
        ),
    ],
)
def test_every_shape_of_question_gets_an_answer_and_a_figure(synthetic, tmp_path, axes, answer):
    page = top(small(synthetic, tmp_path, axes=axes))
    assert answer in page.text
    assert page.tags.count("svg") == 1


def test_runs_of_different_versions_are_said(synthetic, tmp_path, monkeypatch):
    path = small(synthetic, tmp_path, axes={})
    assert open_results(path).versions == {}
    plan = open_results(path).plan
    monkeypatch.setitem(synthetic.PROVENANCE["versions"], "jax", "0.11.0")
    store = synthetic.Store.open(tmp_path, "why_the_ratio", plan, synthetic.PROVENANCE)
    order = [run for item in plan["items"] for run in item["runs"]]
    random = synthetic.np.random.default_rng(0)
    item = plan["items"][0]
    store.commit(item["item"], *synthetic.tables(plan, item, order, 6, 2, (), random))
    assert "different versions: jax 0.10.2 and 0.11.0" in top(path).text


@pytest.mark.slow
def test_a_thousand_runs_are_reported_in_twenty_seconds_and_five_megabytes(synthetic, tmp_path):
    path = synthetic.write_results(tmp_path, seeds=42, diverged=(5, 600))
    assert len(open_results(path).runs()) == 1008
    started = time.process_time()
    page = report.write(path)
    assert time.process_time() - started < 20.0
    assert page.stat().st_size < 5_000_000
