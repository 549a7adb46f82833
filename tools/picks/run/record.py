"""A run's record, `results.json`: built, kept in the reproduction's `results/`, found again, compared."""

from __future__ import annotations

import glob
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from picks.run import executed, provenance
from picks.run.dependence import dependence, hash_of
from picks.run.parameters import PROFILES, load_schema
from picks.run.plan import Plan
from picks.run.reproductions import Reproduction
from reproductions.common.catalogue import ModelCard, model_names
from reproductions.common.claims import MetricSpec
from reproductions.common.errors import UserError
from reproductions.common.files import dump_json, sha256, write_bytes, write_json
from reproductions.common.metrics import Metric
from reproductions.common.verdicts import fell_below, judge

SCHEMA = 2
FILES = ("figures", "data", "executed")  # what a record has files of
RECORD_LIMIT = 8 * 2**20
MODEL = ("name", "title", "kind", "source", "revision", "sha256")  # what a record keeps of it
ENVIRONMENT = ("cpu_capability", "threads", "device", "dtype", "cpu_s", "peak_memory_mib")


@dataclass(frozen=True)
class Change:
    """Something that is not as it was recorded; `fell` if it is a verdict that got worse."""

    subject: str
    recorded: str
    now: str
    fell: bool = False


def build_record(plan: Plan, folder: Path, reported: Mapping[str, Any], started: str, wall_s: float) -> dict[str, Any]:
    """The content of `results.json`, from what the notebook reported in its run directory.

    Raises:
        UserError: the notebook reported something that is not there, or not of the form `Report` writes.
        ClaimError: it did not report a metric that a claim is judged by.
    """
    try:
        metrics = {fields["name"]: Metric.from_json(fields) for fields in reported["metrics"]}
        figures = [_checked_file(folder, fields) for fields in reported["figures"]]
        data = [_checked_file(folder, fields) for fields in reported["data"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"reported.json is not what report.finish() writes: {error!r}") from None
    parameters = {name: asdict(parameter) for name, parameter in plan.parameters.items()}
    judged = judge(plan.claims, metrics, plan.profile, chosen=bool(chosen(parameters)))
    record = {
        "schema": SCHEMA,
        "paper": plan.reproduction.paper.id,
        "reproduction": plan.reproduction.name,
        "profile": plan.profile,
        "state": "complete",
        "model": {key: getattr(plan.model, key) for key in MODEL},
        "parameters": parameters,
        "metrics": [metric.to_json() for metric in metrics.values()],
        "claims": [judgement.to_json() for judgement in judged],
        "figures": figures,
        "data": data,
        "executed": executed.keep(folder, figures),
        "provenance": _provenance(plan, reported.get("environment", {}))
        | {"started": started, "wall_s": round(wall_s, 1)},
    }
    return json.loads(dump_json(record | {"signature": signature(record)}))  # as any reader will find it


def chosen(parameters: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The parameters of a record that somebody chose."""
    return [name for name, parameter in parameters.items() if parameter["origin"] == "command line"]


def signature(record: Mapping[str, Any]) -> str:
    """One line to paste beside a number: enough to tell two numbers apart before arguing about them."""
    origin, model = record["provenance"], record["model"]
    pin = model["sha256"] or model["revision"]
    changed = {name: record["parameters"][name]["value"] for name in chosen(record["parameters"])}
    parts = {
        "repro": record["paper"],
        "nb": origin["notebook_sha256"][:6],
        "claims": origin["claims_sha256"][:4],
        "model": f"{model['name']}@{pin[:4]}",
        "sae": ",".join(own["sha256"][:4] for own in origin.get("own_autoencoders", [])),
        "profile": record["profile"],
        **{name: json.dumps(value, separators=(",", ":")) for name, value in changed.items() if name != "seeds"},
        "seeds": _ranges(origin["seeds"]),
        "dtype": (origin["dtype"] or "").replace("float", "f"),
        "dev": _device(origin),
        "torch": _release(origin["packages"]["torch"]),
        "tl": _release(origin["packages"]["transformer_lens"]),
        "v": provenance.own_version(),
    }
    return "|".join(f"{name}:{value}" for name, value in parts.items() if value)


def results_stem(model: str, profile: str) -> str:
    """How the files of a recorded run begin; a hub's owner/name becomes owner--name."""
    return f"{model.replace('/', '--')}.{profile}"


def recorded(reproduction: Reproduction, model: str, profile: str) -> dict[str, Any] | None:
    """The recorded run of a reproduction on a model, if there is one.

    Raises:
        UserError: it cannot be read.
    """
    path = reproduction.results / f"{results_stem(model, profile)}.json"
    return read(path) if path.exists() else None


def recorded_runs(reproduction: Reproduction) -> list[tuple[Path, dict[str, Any]]]:
    """Every recorded run with its file: models in the reproduction's order, the full profile before the quick one.

    Raises:
        UserError: one of them cannot be read.
    """
    models = load_schema(reproduction.file).models
    stems = [results_stem(model, profile) for model in models for profile in reversed(PROFILES)]
    paths = [reproduction.results / f"{stem}.json" for stem in stems]
    return [(path, read(path)) for path in paths if path.exists()]


def comparable(run: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether two runs were asked the same: profile, model and every parameter's value."""
    return _asked(run) == _asked(record)


def compare(run: Mapping[str, Any], record: Mapping[str, Any], specs: Mapping[str, MetricSpec]) -> list[Change]:
    """What has changed since a run was recorded: verdicts, and metrics that left their tolerance.

    Where training is chaotic, numbers of another processor are as good as drawn anew: they have left it once they also
    lie further apart than twice the 95 % half-width of the difference of two such draws, as one pair in a thousand
    would at most.
    """
    verdicts = {claim["claim"]["id"]: claim["verdict"] for claim in run["claims"]}
    before = {claim["claim"]["id"]: claim["verdict"] for claim in record["claims"]}
    fallen = [
        Change(f"claim {name}", str(old), str(verdicts[name]), fell_below(verdicts[name], old))
        for name, old in before.items()
        if name in verdicts and verdicts[name] != old
    ]
    metrics, old_metrics = _metrics(run), _metrics(record)
    moved = [
        Change(name, _number(old["value"]), _number(metrics[name]["value"]))
        for name, old in old_metrics.items()
        if name in metrics and name in specs and not _within(metrics[name], old, specs[name])
    ]
    return fallen + moved


def found_again(run: Mapping[str, Any], record: Mapping[str, Any], specs: Mapping[str, MetricSpec]) -> bool:
    """Whether a run asked the same as a record, and found each of its numbers there, within its tolerance.

    It is to vouch for other numbers, and what may be another draw vouches for none: here chaos is no excuse.
    """
    if not comparable(run, record) or not _metrics(run).keys() <= _metrics(record).keys():
        return False
    strict = {name: replace(spec, chaotic=False) for name, spec in specs.items()}
    return not [change for change in compare(run, record, strict) if change.subject in _metrics(run)]


def keep(record: Mapping[str, Any], folder: Path, results: Path) -> list[Path]:
    """Put a run's record in a reproduction's `results/`, in place of the former one.

    Figures, data and the executed notebook are kept of a model's fullest profile alone.
    """
    results.mkdir(exist_ok=True)
    model, place = record["model"]["name"], PROFILES.index(record["profile"])
    for fuller in _readable(results, model, PROFILES[place + 1 :]):
        record = without_files(record, fuller)
    kept = _keep(record, folder, results)
    for lesser in _readable(results, model, PROFILES[:place]):
        _keep(without_files(lesser, record), results, results)
    return kept


def _readable(results: Path, model: str, profiles: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The records of a model's profiles; one of another schema is left to be made anew."""
    for profile in profiles:
        path = results / f"{results_stem(model, profile)}.json"
        if path.exists():
            with suppress(UserError):
                yield read(path)


def without_files(record: Mapping[str, Any], fuller: Mapping[str, Any]) -> dict[str, Any]:
    """A record without the figures, the data, or the executed notebook where a fuller one of the model has some."""
    return {**record, **{kind: [] for kind in FILES if fuller.get(kind)}}


def _keep(record: Mapping[str, Any], folder: Path, results: Path) -> list[Path]:
    """A record and its files, and nothing else of that model and profile."""
    stem = results_stem(record["model"]["name"], record["profile"])
    copies: dict[str, list[dict[str, Any]]] = {}
    for kind in FILES:
        copies[kind] = [fields | {"file": _file_of(stem, fields)} for fields in record.get(kind, [])]
        for fields, copy in zip(record.get(kind, []), copies[kind], strict=True):
            write_bytes(results / copy["file"], (folder / fields["file"]).read_bytes())
    path = results / f"{stem}.json"
    write_json(path, dict(record) | copies)
    kept = [path, *(results / copy["file"] for copied in copies.values() for copy in copied)]
    for stale in set(results.glob(f"{glob.escape(stem)}.*")) - set(kept):
        stale.unlink()
    return kept


def _file_of(stem: str, fields: Mapping[str, Any]) -> str:
    """What a figure's or a data file is called in `results/`, where it may be already."""
    name = Path(fields["file"]).name
    return name if name.startswith(f"{stem}.") else f"{stem}.{name}"


def refuse_unrecordable(plan: Plan) -> None:
    """A record is a profile as it stands, on a model that is pinned, from a commit as it stands.

    Raises:
        UserError: it would be something else.
    """
    _refuse_unpinned(plan.model)
    if plan.autoencoders:
        raise UserError("--record keeps runs that others can find again; leave out --sae")
    if given := [name for name, parameter in plan.parameters.items() if parameter.origin == "command line"]:
        raise UserError(f"--record keeps a profile as it stands; leave out {', '.join(given)}, or change the profile")
    changes = provenance.changes(plan.root)
    if changes is None or provenance.commit(plan.root) is None:
        raise UserError("--record names the commit a run came from, and there is none here")
    if changes:
        listed = "\n  ".join(changes[:5] + ["…"] * (len(changes) > 5))
        raise UserError(
            f"--record wants a clean tree, so that the commit tells what was run; commit first:\n  {listed}"
        )


def _refuse_unpinned(model: ModelCard) -> None:
    """What is trained in the run itself is pinned by the code that trains it."""
    if model.kind == "trained":
        return
    if model.name not in model_names():
        raise UserError(f"--record keeps runs on the models of models.yml, which are pinned; {model.name} is not")
    if model.sha256 is None:
        raise UserError(f"--record keeps no model without a checksum; give {model.name} its sha256 in models.yml")


def read(path: Path) -> dict[str, Any]:
    """A record.

    Raises:
        UserError: it is none, or of another schema.
    """
    if path.stat().st_size > RECORD_LIMIT:
        raise UserError(f"{path}: larger than {RECORD_LIMIT // 2**20} MB; not a record")
    try:
        content = json.loads(path.read_text(encoding="utf8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise UserError(f"{path}: not a record of schema {SCHEMA}; make it anew with --record")
    return content


def _provenance(plan: Plan, environment: Mapping[str, Any]) -> dict[str, Any]:
    changes = provenance.changes(plan.root)
    seeds = plan.parameters.get("seeds")
    values = {name: parameter.value for name, parameter in plan.parameters.items()}
    parts = dependence(plan.reproduction, plan.model, values)
    _refuse_other_weights(plan, environment)
    own = [each.to_json() for each in plan.autoencoders]
    return {
        "commit": provenance.commit(plan.root),
        "dirty": None if changes is None else bool(changes),
        "notebook_sha256": provenance.notebook_sha256(plan.reproduction.notebook),
        "claims_sha256": sha256(plan.reproduction.file),
        "lock_sha256": provenance.lock_sha256(plan.root),
        "packages": provenance.packages(),
        "platform": provenance.machine(),
        "depends_on": {"hash": hash_of(parts), "parts": parts},
        **{key: environment.get(key) for key in ENVIRONMENT},
        "seeds": [] if seeds is None else seeds.value,
        **({"own_autoencoders": own} if own else {}),
    }


def _refuse_other_weights(plan: Plan, environment: Mapping[str, Any]) -> None:
    """The cache of the hub is shared: another program may have brought another commit between plan and notebook."""
    loaded = environment.get("weights_sha256")
    if loaded not in {None, plan.model.sha256}:
        raise UserError(
            f"the notebook ran on weights of {plan.model.name} with sha256 {loaded}, not on those with "
            f"{plan.model.sha256} that lay in the cache before; run it again"
        )


def _checked_file(folder: Path, fields: Mapping[str, Any]) -> dict[str, Any]:
    """An entry for a file in the run directory, hashed by us; nothing outside of it, and no link."""
    path = folder / fields["file"]
    if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise UserError(f"reported.json names {fields['file']!r}, which is no file in the run directory")
    return dict(fields) | {"sha256": sha256(path)}


def _device(origin: Mapping[str, Any]) -> str:
    """`cpu.avx512x2`: on a processor, numbers depend on its instructions and on the count of threads."""
    if origin["device"] != "cpu":
        return origin["device"] or ""
    capability = (origin["cpu_capability"] or "").lower()
    return f"cpu.{capability}x{origin['threads']}"


def _release(version: str | None) -> str:
    """`2.13.0` of `2.13.0+cpu`; which build it was, the device says."""
    return (version or "").partition("+")[0]


def _ranges(seeds: list[int]) -> str:
    """`0-4` for five in a row, else `0,2,5`."""
    in_a_row = len(seeds) > 2 and all(after == before + 1 for before, after in pairwise(seeds))
    return f"{seeds[0]}-{seeds[-1]}" if in_a_row else ",".join(map(str, seeds))


def _asked(run: Mapping[str, Any]) -> tuple[Any, ...]:
    values = {name: parameter["value"] for name, parameter in run["parameters"].items()}
    return run["profile"], run["model"]["name"], values


def _metrics(run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {metric["name"]: metric for metric in run["metrics"]}


def _within(metric: Mapping[str, Any], recorded: Mapping[str, Any], spec: MetricSpec) -> bool:
    if spec.tolerance is None:
        return True
    if metric["value"] is None or recorded["value"] is None:
        return metric["value"] is recorded["value"]
    redrawn = 2 * math.hypot(_half_width(metric), _half_width(recorded)) if spec.chaotic else 0
    return abs(metric["value"] - recorded["value"]) <= max(spec.tolerance, redrawn)


def _half_width(metric: Mapping[str, Any]) -> float:
    low, high = metric.get("interval") or (0, 0)
    return (high - low) / 2


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
