"""What the layout promises: who may import whom, and where each library lives."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "rl_surrogates"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = [path for path in SOURCES if path != PACKAGE / "__init__.py"]

LAYERS = [  # lowest first; a module imports its own row or a lower one
    {"types", "spaces"},
    {"objectives", "divergences", "advantages", "value_losses", "solvers"},
    {"networks", "environments", "distributions"},
    {
        "bootstrap",
        "rollout",
        "loop",
        "grouping",
        "ascent",
        "diagnostics",
        "adaptation",
        "normalisation",
    },
    {"config"},
    {"assembly", "training", "inspection", "evaluation", "policy", "rendering"},
    {"store", "statistics"},
    {"sweep"},
    {"report"},
    {"screen", "cli", "__main__"},
]
LEVEL = {name: level for level, row in enumerate(LAYERS) for name in row}
NO_MODULE = {"__version__"}  # names of the package itself
CONFIG_READERS = {"config", "assembly", "training", "policy", "sweep", "store", "cli", "screen"}
HOMES = {
    "gymnax": {"environments"},
    "gymnasium": {"environments"},
    "optax": {"ascent"},
    "flax": {"networks"},
    "pydantic": {"config"},
    "pydantic_core": {"config"},
    "yaml": {"config"},
    "pyarrow": {"store"},
    "orbax": {"store"},
    "pickle": set(),
    "matplotlib": {"report"},
    "tyro": {"cli"},
    "ray": {"sweep"},
    "submitit": {"sweep"},
}


def subject(path):
    """`rl_surrogates/ascent/minibatch.py` is about `ascent`, `rl_surrogates/loop.py` `loop`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    """Every dotted name that a source imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_subjects(path):
    """The parts of this package that a source imports."""
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "rl_surrogates" and len(parts) > 1 and parts[1] not in NO_MODULE:
            yield parts[1]


def test_every_module_has_a_row_in_the_table_of_layers():
    assert {subject(path) for path in SOURCES} - {"__init__"} <= set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_its_own_layer_or_a_lower_one(path):
    level = LEVEL[subject(path)]
    assert not [name for name in own_subjects(path) if LEVEL[name] > level]


def test_the_table_of_contents_imports_nothing_of_its_own():
    assert not list(own_subjects(PACKAGE / "__init__.py"))


def test_the_parts_of_the_package_import_each_other_without_a_cycle():
    imports = {}
    for path in SOURCES:
        imports.setdefault(subject(path), set()).update(set(own_subjects(path)) - {subject(path)})
    done = set()
    while ready := {name for name, needs in imports.items() if needs <= done} - done:
        done |= ready
    assert set(imports) == done


@pytest.mark.parametrize("library, homes", HOMES.items(), ids=HOMES)
def test_a_library_is_imported_in_one_place(library, homes):
    guests = [p for p in SOURCES if library in {name.split(".")[0] for name in imported(p)}]
    assert {subject(path) for path in guests} <= homes


def test_no_config_object_reaches_below_the_page():
    readers = {subject(path) for path in SOURCES if "config" in own_subjects(path)}
    assert readers <= CONFIG_READERS


def test_a_name_in_the_table_of_contents_is_there():
    import rl_surrogates

    for name in rl_surrogates.__all__:
        assert getattr(rl_surrogates, name) is not None
    assert set(rl_surrogates.__all__) <= set(dir(rl_surrogates))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = rl_surrogates.no_such_name


def test_the_objectives_cost_jax_and_nothing_heavier():
    heavy = "flax optax chex gymnax pydantic yaml pandas pyarrow scipy matplotlib rich tyro".split()
    code = f"""
import sys
before = set(sys.modules)
import jax
alone = set(sys.modules)
import rl_surrogates.objectives
extra = {{name.split(".")[0] for name in set(sys.modules) - alone}}
assert not extra & set({heavy!r}), sorted(extra & set({heavy!r}))
third = {{name for name in extra if name not in sys.stdlib_module_names}} - {{"jax", "jaxlib"}}
assert third <= {{"rl_surrogates", "numpy", "opt_einsum", "ml_dtypes"}}, sorted(third)
"""
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr


def test_a_worker_is_started_before_jax_is_imported():
    code = """
import sys
from rl_surrogates.sweep import early_worker
with early_worker("inline") as executor:
    assert executor is None
assert not {"jax", "numpy", "pandas", "pydantic"} & set(sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_environment_names_are_those_that_gymnax_registers():
    import gymnax

    from rl_surrogates.environments import ENVIRONMENT_NAMES

    assert sorted(ENVIRONMENT_NAMES) == sorted(gymnax.registered_envs)


@pytest.mark.parametrize(
    "field, table",
    [
        ("activation", "ACTIVATIONS"),
        ("torso", "TORSOS"),
        ("initialisation", "INITIALISERS"),
        ("dtype", "DTYPES"),
    ],
)
def test_what_a_config_accepts_of_a_network_is_what_networks_have(field, table):
    from typing import get_args

    from rl_surrogates import networks
    from rl_surrogates.config.schema import Network

    accepted = get_args(Network.model_fields[field].annotation)
    assert set(accepted) == set(getattr(networks, table))


def variants(section):
    """The names that a config may give to one of its sections."""
    from rl_surrogates.config.schema import Fields

    marks = Fields.model_fields[section].metadata
    return set(next(mark.variants for mark in marks if hasattr(mark, "variants")))


def test_every_ascent_that_a_config_accepts_exists():
    from rl_surrogates.ascent import ASCENTS

    assert variants("ascent") == set(ASCENTS)


def test_every_adaptation_that_a_config_accepts_exists():
    from rl_surrogates.adaptation import RULES

    assert variants("adaptation") == {"fixed", *RULES}


FORBIDDEN = {
    "a package index": r"(py(pi|thonhosted)|anaconda|forge)\.[a-z]{2,3}\b|-index-url",
    "a path of one machine": r"(?<![\w.$}~-])/(home|root|work|Users|tmp|opt|mnt)/(?!me\b)\w",
    "a key": r"(?i)(api|secret|access)_?key\s*[=:]\s*['\"][A-Za-z0-9]{12,}",
}


def tracked():
    """What git tracks or would track, as text; the whole tree where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    names = listed.stdout.split("\0")[:-1]
    paths = [ROOT / name for name in names] if names else list(ROOT.rglob("*"))
    kinds = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".ipynb", ".cfg", ""}
    return [path for path in paths if path.is_file() and path.suffix in kinds]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_source_names(what):
    found = []
    for path in tracked():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if re.search(FORBIDDEN[what], line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert not found, "\n".join(found)
