import json
import subprocess

import pytest

from rl_surrogates.store import collect_provenance, open_results, provenance

CANARY = "c4n4ry"


def test_the_generator_leaves_its_fingerprint():
    prng = collect_provenance()["prng"]
    assert prng["uniform"] == pytest.approx([0.947667, 0.9785799, 0.33229148])
    assert prng["split"] == [[1797259609, 2579123966], [928981903, 3453687069]]
    assert prng["jax_threefry_partitionable"] is True


def test_packages_and_device_are_recorded():
    content = collect_provenance()
    assert {"python", "jax", "jaxlib", "gymnax", "optax", "flax", "numpy", "rl-surrogates"} <= set(
        content["versions"]
    )
    assert content["device"]["platform"] == "cpu" and content["device"]["count"] >= 1


def test_there_is_no_clock_in_it():
    assert collect_provenance() == collect_provenance()


def test_no_secret_reaches_the_results(sweep, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", CANARY)
    monkeypatch.setenv("JAX_SECRET_TOKEN", CANARY)
    monkeypatch.setenv("JAX_CACHE_PASSWORD", CANARY)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", f"gs://user:{CANARY}@bucket/cache")
    monkeypatch.setattr("sys.argv", ["rl-surrogates", CANARY])
    content = collect_provenance(["wandb.api_key=" + CANARY, "url=https://me:" + CANARY + "@host/"])
    sweep.open(made_by=content)
    assert open_results(sweep.path).provenance == content
    assert not [name for name, data in sweep.snapshot().items() if CANARY.encode() in data]


def test_the_environment_is_recorded_by_allow_list():
    environment = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--a=1", "HOME": "/home/me", "JAX_KEY": "x"}
    recorded = provenance._environment(environment)
    assert recorded == {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--a=1"} | {"JAX_KEY": "(redacted)"}


@pytest.mark.parametrize(
    "remote, plain",
    [
        (f"https://me:{CANARY}@host/a/b.git", "https://host/a/b.git"),
        (f"https://{CANARY}@host:8080/a.git", "https://host:8080/a.git"),
        (f"https://host/a.git?access_token={CANARY}#x", "https://host/a.git"),
        ("git@host:a/b.git", "host:a/b.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        (f"https://[{CANARY}/a", None),
    ],
)
def test_a_remote_keeps_its_host_and_path_only(remote, plain):
    assert provenance._plain_remote(remote) == plain


def test_a_commit_and_its_changes_are_recorded(tmp_path, monkeypatch):
    def git(*arguments):
        named = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *named, *arguments], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "not_tracked.py"))
    monkeypatch.chdir(tmp_path)
    assert provenance._git_state() is None
    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "a")
    git("remote", "add", "origin", f"https://me:{CANARY}@host/a.git")
    state = provenance._git_state()
    assert len(state["commit"]) == 40
    assert (state["dirty"], state["remote"]) == (False, "https://host/a.git")
    (tmp_path / "a").write_text("2")
    assert provenance._git_state()["dirty"] is True


def test_what_decides_the_numbers_is_compared_between_parts():
    content = collect_provenance()
    versions = provenance.versions_of(content)
    assert {"jax", "jaxlib", "gymnax", "rl-surrogates", "prng"} <= set(versions)
    other = json.loads(json.dumps(content))
    other["prng"]["uniform"][0] = 0.5
    assert provenance.versions_of(other)["prng"] != versions["prng"]
