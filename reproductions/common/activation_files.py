"""Activations of many tokens, collected once for all sites into memory-mapped files of float16.

Training reads each site's rows many times and in random order; the model runs once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from reproductions.common import files
from reproductions.common.activations import SiteError, activations, norm_limit
from reproductions.common.model import Model
from reproductions.common.progress import counting

MANIFEST = "collected.json"
ROWS_AT_ONCE = 16_384


@dataclass
class SiteRows:
    """The rows of one site, one a token; tokens with a norm above the limit were dropped."""

    path: str
    d: int
    limit: float
    rows: int = 0
    dropped: int = 0

    def load(self) -> Tensor:
        """The rows [n, d] in float16, mapped from the file."""
        return torch.from_file(self.path, shared=False, size=self.rows * self.d, dtype=torch.float16).view(-1, self.d)


def chunks(rows: Tensor, device: str) -> Iterator[Tensor]:
    """Rows [n, d] in float32 on the device, some thousands at a time."""
    for chunk in rows.split(ROWS_AT_ONCE):
        yield chunk.to(device).float()


def collect(model: Model, sites: Sequence[str], tokens: Tensor, folder: Path) -> dict[str, SiteRows]:
    """The activations of the sites for tokens [n, position]; nothing is run when they lie in the folder already."""
    made_from = {"model": model.cfg.model_name, "tokens": hashlib.sha256(tokens.numpy().tobytes()).hexdigest()}
    found = _collected(folder, made_from)
    if found is None or not set(sites) <= set(found):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        found = _run(model, sites, tokens, folder)
        files.write_json(folder / MANIFEST, made_from | {"sites": {site: asdict(rows) for site, rows in found.items()}})
    return {site: found[site] for site in sites}


def _collected(folder: Path, made_from: dict[str, str]) -> dict[str, SiteRows] | None:
    """What the folder holds, if it was made from the same tokens."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return None
    sites = manifest.pop("sites")
    return {site: SiteRows(**entry) for site, entry in sites.items()} if manifest == made_from else None


def _run(model: Model, sites: Sequence[str], tokens: Tensor, folder: Path) -> dict[str, SiteRows]:
    """The limit of a site is told from its first batch."""
    found: dict[str, SiteRows] = {}
    with ExitStack() as stack, counting(f"reading {len(sites)} sites", tokens[:, 1:].numel(), "tokens") as advance:
        open_files = {site: stack.enter_context((folder / f"{site}.f16").open("wb")) for site in sites}
        for read in activations(model, sites, tokens):
            for site, batch in read.items():
                rows = batch.flatten(0, 1)
                if site not in found:
                    found[site] = SiteRows(str(folder / f"{site}.f16"), rows.shape[1], norm_limit(rows))
                _write(found[site], rows, open_files[site])
            advance(batch.shape[:2].numel())
    return found


def _write(site: SiteRows, rows: Tensor, file: IO[bytes]) -> None:
    kept = rows[rows.norm(dim=-1) <= site.limit].half().cpu()
    if not kept.isfinite().all():
        raise SiteError(f"the activations of {Path(site.path).stem} are too large for float16")
    file.write(kept.numpy().tobytes())
    site.rows += len(kept)
    site.dropped += len(rows) - len(kept)
