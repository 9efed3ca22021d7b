"""gymnax without the libraries that it draws with, until something is drawn."""

import subprocess
import sys
import types

import pytest

from rl_surrogates.environments.deferral import Deferred, deferred

DRAWING = """
import sys
from rl_surrogates import environments
environments.make("CartPole-v1")
assert not {"seaborn", "matplotlib", "scipy.stats"} & set(sys.modules)
from gymnax.environments.misc import pong
import matplotlib.pyplot as plt
assert pong.plt.figure is plt.figure and "seaborn" not in sys.modules
assert pong.colors.ListedColormap is sys.modules["matplotlib.colors"].ListedColormap
assert callable(pong.sns.color_palette)
"""


def test_an_environment_is_made_without_what_draws_it_and_drawing_works_nevertheless():
    found = subprocess.run(
        [sys.executable, "-c", DRAWING], capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr


@pytest.fixture
def absent(monkeypatch):
    """Forgets a package of the standard library that nothing else here has kept."""
    for name in [name for name in sys.modules if name.split(".")[0] == "wsgiref"]:
        monkeypatch.delitem(sys.modules, name)


def test_a_stand_in_leaves_when_it_is_asked_inside_or_at_the_end(absent):
    with deferred("wsgiref", "wsgiref.util"):
        import wsgiref.util as early

        assert isinstance(early, Deferred)
        assert callable(early.guess_scheme)  # asked while it is imported, as annotations do
    with deferred("wsgiref", "wsgiref.headers"):
        from wsgiref import headers
    assert not [name for name, module in sys.modules.items() if isinstance(module, Deferred)]
    assert headers.Headers([]).items() == []


def test_a_package_that_is_imported_stays(absent):
    import wsgiref

    with deferred("wsgiref", "wsgiref.headers"):
        from wsgiref import headers
    assert type(headers) is types.ModuleType and type(wsgiref) is types.ModuleType
