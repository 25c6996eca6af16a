"""The VAE that makes pictures of latents, as `sample`, `decode` and `export` are asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from legoc.cli.sample_source import StackSource
    from legoc_runtime.contract.canvas import Canvas
    from legoc_runtime.sampling.decoding import Decoding
    from legoc_runtime.vae import Vae

NONE = "none"


def decoder_named(source: StackSource, flag: str | None) -> str | None:
    """What stands for the flag: what was given, the VAE of an exported folder, or None: the spec's."""
    return flag if flag is not None or source.vae is None else str(source.vae)


def decoding_asked(
    source: StackSource,
    flag: str | None,
    canvas: Canvas | None,
    *,
    batch: int | None,
    way: str | None,
    say: Callable[[str], None],
) -> Decoding | None:
    """How the latents of a call become pictures; None keeps what the stack makes.

    Args:
        source: the stack.
        flag: from `decoder_named`; None takes the spec's.
        canvas: what is sampled, where it is larger than the stack's grid.
        batch: `--decode-batch`.
        way: `--decode`.
        say: told what was taken.

    Raises:
        UsageError: a flag does nothing, or the VAE is none of this stack.
        RunError: the VAE cannot be loaded, or latents of another scale were trained on.
    """
    named = source.manifest.sample.decoder if flag is None else flag
    if named == NONE:
        given = {"--decode-batch": batch is not None, "--decode": way is not None}
        if idle := [name for name, is_given in given.items() if is_given]:
            raise UsageError(f"{idle[0]} says how latents are decoded, and none are", help="pass --decoder VAE too")
        return None
    from legoc_runtime.sampling.decoding import make_decoding
    from legoc_runtime.vae import load_vae

    vae = load_vae(Path(named))
    shape = source.manifest.shape
    latent = (shape.channels, *(shape.grid if canvas is None else canvas.size))
    on_canvas = canvas is not None
    chosen = decode_way(vae, latent, way, source.manifest.sample.decode, on_canvas=on_canvas)
    for line in check_trained_on(source, vae):
        say(line)
    return make_decoding(vae, latent, batch=batch or 1, tiled=on_canvas and chosen == "tiles")


def decode_way(vae: Vae, latent: tuple[int, int, int], flag: str | None, otherwise: str, *, on_canvas: bool) -> str:
    """How a canvas is decoded: `tiles` or `whole`.

    Args:
        vae: the VAE.
        latent: channels, height and width of a latent.
        flag: `--decode`.
        otherwise: what holds without the flag.
        on_canvas: whether the latents are larger than the stack's grid.

    Raises:
        UsageError: the flag is none of the two, or does nothing.
    """
    if flag is None:
        return otherwise
    if flag not in ("tiles", "whole"):
        raise UsageError(f"canvases are not decoded by `{flag}`", help="--decode tiles or --decode whole")
    if not on_canvas or vae.tiles(latent) is None:
        why = "the VAE was made for latents of this size" if on_canvas else "only canvases are decoded in tiles"
        raise UsageError(f"--decode does nothing: {why}", help="leave it out")
    return flag


def check_trained_on(source: StackSource, vae: Vae) -> list[str]:
    """Hold a VAE against the latents that the stack trained on, where these are here: what to say of it.

    Raises:
        UsageError: they were scaled in another way, so that the VAE would decode what no picture is.
    """
    from legoc_runtime.data.latents import is_latents
    from legoc_runtime.data.latents_index import read_index

    if source.manifest.data_path is None or not is_latents(Path(source.manifest.data_path)):
        return []
    trained, own = read_index(Path(source.manifest.data_path)).encoder, vae.encoder
    if (trained.scaling_factor, trained.shift_factor) != (own.scaling_factor, own.shift_factor):
        raise UsageError(
            f"{source.manifest.data_path} has latents scaled by {trained.scaling_factor:g} after a shift of "
            f"{trained.shift_factor:g}, and {own.name} decodes those scaled by {own.scaling_factor:g} after "
            f"{own.shift_factor:g}",
            help=f"give the VAE that the latents were made with, {trained.name}",
        )
    if trained.sha256 == own.sha256:
        return []
    return [f"{own.name} is another VAE than {trained.name}, which made the latents in {source.manifest.data_path}"]
