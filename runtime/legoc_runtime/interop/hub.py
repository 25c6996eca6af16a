"""Exported stacks on the Hugging Face Hub: `from_pretrained("OWNER/NAME")` and `push_to_hub`. Needs huggingface_hub.

The one module of the runtime that imports it; `pip install "legoc[hub]"` brings it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legoc_runtime.errors import UsageError
from legoc_runtime.interop.folder import exported_vae
from legoc_runtime.interop.pipeline import LegoPipeline, load_exported

try:
    _hub: Any = import_module("huggingface_hub")
except ImportError as error:
    raise UsageError(
        f"huggingface_hub cannot be imported: {error}", help='install it with `pip install "legoc[hub]"`'
    ) from error

if TYPE_CHECKING:
    from typing import Self

_Mixin: Any = _hub.ModelHubMixin


class HubPipeline(_Mixin, LegoPipeline):
    """A `LegoPipeline` that the Hub can hold. No code is downloaded or run, only the files of an exported folder.

    `from_pretrained`, `save_pretrained` and `push_to_hub` are the mixin's: a name `OWNER/NAME` is downloaded, a folder
    is read as it is.
    """

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
        **options: Any,
    ) -> Self:
        folder = Path(model_id)
        if not folder.is_dir():
            folder = Path(
                _hub.snapshot_download(
                    model_id,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    local_files_only=local_files_only,
                    token=token,
                    allow_patterns=["stack/*", "vae/*", "*.json"],
                )
            )
        return cls(load_exported(folder, **options), exported_vae(folder))

    def _save_pretrained(self, save_directory: Path) -> None:
        LegoPipeline.save_pretrained(self, save_directory)
