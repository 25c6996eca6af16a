"""Unknown keys: what the writer probably meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from legoc.spec.language import sections
from legoc.spec.resolved import Path

_OTHER_WORDS = {
    "rf": "receptive_field",
    "patch_size": "receptive_field",
    "window": "size",
    "window_size": "size",
    "dim": "width",
    "embed_dim": "width",
    "hidden_size": "width",
    "num_heads": "heads",
    "layers": "depth",
    "num_layers": "depth",
    "learning_rate": "lr",
    "batch_size": "batch",
    "num_classes": "classes",
    "label_dim": "classes",
    "class_dropout": "label_dropout",
    "cfg": "guidance",
    "cfg_scale": "guidance",
    "num_steps": "steps",
    "timesteps": "steps",
    "num_train_timesteps": "steps",
    "learn_sigma": "variance",
    "warmup": "warmup_images",
    "grad_clip": "clip_norm",
    "s_churn": "churn",
}
"""What other projects call it (DiT, EDM, the released LEGO code, timm)."""


_RARELY_MEANT = {("sample", key) for key in ("batch", "classes", "ema")}
"""Keys that have the name of one which is written far more often, in another section."""


class Guess(NamedTuple):
    """What an unknown key was probably meant to be.

    Attributes:
        key: the known key, or None when nothing is near.
        section: where the key belongs when that is another section, as a path; None for the section itself.
        is_certain: whether it is a plain misspelling of that key and of no other: safe to mend without asking.
    """

    key: str | None
    section: Path | None = None
    is_certain: bool = False


def close(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most probably is a misspelling of."""
    known = list(known)
    for candidate in known:
        if candidate.lower() == word.lower().replace("-", "_").replace(" ", "_"):
            return candidate
    from difflib import get_close_matches  # only a mistake needs it

    matches = get_close_matches(word, known, n=1, cutoff=0.65)
    return matches[0] if matches else None


def guess_key(word: str, section: Path, written: Iterable[str], is_at_the_top: Callable[[str], bool]) -> Guess:
    """What an unknown key of a section was meant to be; keys that are written already are not proposed.

    Args:
        word: the key.
        section: where it is written.
        written: the keys of that section that are there.
        is_at_the_top: whether the top level has a key already.
    """
    own = [key for key in sections()[pattern(section)].keys if key not in set(written)]
    known = _OTHER_WORDS.get(word.lower(), word)
    if known in own:
        return Guess(known)
    elsewhere = [path for path, other in sections().items() if known in other.keys]
    if is_at_the_top(known):
        elsewhere = [path for path in elsewhere if path]
    if elsewhere and pattern(section) not in elsewhere:
        return Guess(known, _nearest(known, section, elsewhere))
    guess = close(word, own)
    return Guess(guess, is_certain=guess is not None and is_misspelt(word, guess, own))


def is_misspelt(word: str, guess: str, known: Iterable[str]) -> bool:
    """Whether `word` is a misspelling of `guess` and of nothing else that is known."""
    from difflib import get_close_matches

    plain = word.lower().replace("-", "_").replace(" ", "_")
    return plain == guess or get_close_matches(plain, list(known), n=2, cutoff=0.7) == [guess]


def _nearest(key: str, section: Path, candidates: list[Path]) -> Path:
    """The candidate that shares most with where the key was written, nearest to the top level, last in the language.

    So `steps` at the top level was meant for `sample:`, not for the constants of `diffusion:`.
    """

    def shared(path: Path) -> tuple[int, int, bool]:
        same = sum(a == b for a, b in zip(path, pattern(section), strict=False))
        return same, -len(path), (*path, key) not in _RARELY_MEANT

    return max(reversed(candidates), key=shared)


def pattern(path: Path) -> Path:
    """A path with list indices replaced by `*`."""
    return tuple("*" if isinstance(part, int) else part for part in path)


def section_name(path: Path) -> str:
    """A section in words: `train.optimizer`, `a brick`, `a stage`, `a region`, `the top level`."""
    if not path:
        return "the top level"
    if path[-1] == "*":
        return {"stages": "a stage", "regions": "a region"}.get(str(path[-2]), "a brick")
    return f"`{'.'.join(str(part) for part in path)}:`"
