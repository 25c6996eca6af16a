"""One small stack and every way in which it can change, each with the class that the change must get."""

from __future__ import annotations

from dataclasses import dataclass, field

from legoc.review.rules import Impact
from legoc.spec import StackSpec, check_text
from tests.review import models

BASE = """\
legoc: 1
name: small
description: Three bricks
grid: {height: 16, width: 16, channels: 3}
conditioning: {classes: 4, label_dropout: 0.1}
diffusion: edm
brick_defaults: {width: 32, heads: 4}
bricks:
  - {id: windows, size: 4, receptive_field: 2, depth: 1}
  - {id: single, size: 4, receptive_field: 4, depth: 1}
  - {id: whole, size: image, receptive_field: 4, depth: 2, skip: "sigma < 0.3"}
skip_policies:
  late: {single: "sigma > 8"}
train: {batch: 8, images: 1000}
sample: {steps: 8}
"""

DROP = BASE.replace(
    "images: 1000}",
    "images: 1000, drop: {policy: late}, "
    "stages: [{train: [windows, single], images: 9}, {train: [windows, single, whole]}]}",
)

ONE = """\
legoc: 1
name: one
grid: {height: 16, width: 16, channels: 3}
conditioning: {classes: null}
bricks:
  - {id: whole, size: image, receptive_field: 4, depth: 1, width: 32, heads: 4}
"""

DDPM = ONE.replace("bricks:", "diffusion: {kind: ddpm, steps: 100}\nbricks:").replace("name: one", "name: ddpm")


ON_MODEL = """\
legoc: 1
name: stands
grid: {height: 16, width: 16, channels: 4}
conditioning: {classes: 4}
bricks:
MODEL
  - {id: whole, size: image, receptive_field: 4, depth: 1, width: 32, heads: 4}
"""
NO_MODEL = ON_MODEL.replace("MODEL\n", "")
STACK = f'  - {{id: base, pretrained: {{kind: stack, path: "{models.FIRST}"}}}}'
MODULE = f'  - {{id: base, pretrained: {{kind: module, name: gallery_clean, path: "{models.OWN}"}}}}'
STACK_TRAINS, MODULE_TRAINS = (line.replace("}}", ", frozen: false}}") for line in (STACK, MODULE))
ON_STACK, ON_MODULE, ON_STACK_TRAINS, ON_MODULE_TRAINS = (
    ON_MODEL.replace("MODEL", line) for line in (STACK, MODULE, STACK_TRAINS, MODULE_TRAINS)
)
DIT = f'  - {{id: base, pretrained: {{kind: dit, path: "{models.DIT}", heads: 4}}}}'
ON_DIT = ON_MODEL.replace("bricks:", "diffusion: ddpm\nbricks:").replace("MODEL", DIT)
ON_DIT_TRAINS = ON_DIT.replace("heads: 4}}", "heads: 4, frozen: false}}")
UNDER = "  - {id: whole, size: image, receptive_field: 4, depth: 1, width: 32, heads: 4}\n"
ABOVE, ABOVE_TRAINS = (NO_MODEL + f"{line}\n" for line in (STACK, STACK_TRAINS))


@dataclass(frozen=True)
class Exhibit:
    """A change of a spec.

    Attributes:
        name: what changes, in words.
        impact: the class that it must get.
        edits: texts of the base and what stands for each.
        overrides: as of `--set`, for the spec after.
        base: the spec before.
        keys: keys whose reasons must be told; the first decides the class.
    """

    name: str
    impact: Impact
    edits: tuple[tuple[str, str], ...] = ()
    overrides: tuple[str, ...] = ()
    base: str = BASE
    keys: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        text = self.base
        for old, new in self.edits:
            assert old in text, f"{self.name}: {old!r}"
            text = text.replace(old, new)
        if "pretrained" in text + self.base:
            models.made()
        return text

    @property
    def specs(self) -> tuple[StackSpec, StackSpec]:
        return resolved(self.base), resolved(self.text, *self.overrides)


def resolved(text: str, *overrides: str) -> StackSpec:
    if "pretrained" in text:
        models.made()
    found = check_text(text, "spec.yaml", overrides)
    assert found.spec is not None, found.diagnostics
    return found.spec


def edit(name: str, impact: Impact, *pairs: tuple[str, str], base: str = BASE) -> Exhibit:
    return Exhibit(name, impact, pairs, base=base)


def put(name: str, impact: Impact, *overrides: str, base: str = BASE) -> Exhibit:
    return Exhibit(name, impact, overrides=overrides, base=base)


WINDOWS, SINGLE, WHOLE = (
    f"  - {line}\n"
    for line in (
        "{id: windows, size: 4, receptive_field: 2, depth: 1}",
        "{id: single, size: 4, receptive_field: 4, depth: 1}",
        '{id: whole, size: image, receptive_field: 4, depth: 2, skip: "sigma < 0.3"}',
    )
)
NEW = "  - {id: extra, size: 8, receptive_field: 4, depth: 1}\n"
NEW_UNDER = "  - {id: extra, size: 4, receptive_field: 2, depth: 1, width: 32, heads: 4}\n"

GALLERY = (
    edit("a comment", "cosmetic", ("diffusion: edm", "diffusion: edm  # as in the paper")),
    edit("a default written out", "cosmetic", ("diffusion: edm", "diffusion: edm\ncarry: x0")),
    put("name", "cosmetic", "name=other"),
    put("description", "cosmetic", "description=other"),
    put(
        "how often to write",
        "cosmetic",
        "train.snapshot_images=50",
        "train.log_images=10",
        "train.ema_snapshot_images=5k",
        "train.preview_images=50",
        "train.preview_seeds=0-3",
    ),
    put("what ends a run", "cosmetic", "train.on_explosion=warn"),
    put("checkpoints kept", "cosmetic", "train.keep=5", "train.keep_every_images=1k"),
    put("parts of a step", "cosmetic", "train.accumulate=4"),
    put("what is computed again", "cosmetic", "train.checkpoint_activations=bricks"),
    put("what a process holds", "cosmetic", "train.sharding=fsdp2"),
    put("pictures at once", "cosmetic", "sample.batch=2"),
    edit("the whole grid in numbers", "cosmetic", ("size: image", "size: 16")),
    put("heads over single tokens", "cosmetic", "bricks.single.heads=8"),
    put("an MLP ratio that rounds to the same", "cosmetic", "bricks.windows.mlp_ratio=4.01"),
    put("carry of one brick", "cosmetic", "carry=raw", base=ONE),
    put("label form without labels", "cosmetic", "compat.label_embedding=linear", base=ONE),
    put("steps", "sampling", "sample.steps=10"),
    put("guidance", "sampling", "sample.guidance=2"),
    put("guided channels", "sampling", "sample.guidance_channels=2"),
    put("where guidance acts", "sampling", "sample.guidance_interval=[0.3, 5]"),
    put("schedule", "sampling", "diffusion.sigma_max=40", "diffusion.sigma_min=0.01", "diffusion.rho=5"),
    put("another sampler", "sampling", "sample.sampler=dpmpp_2m"),
    put(
        "churn",
        "sampling",
        "sample.churn=10",
        "sample.churn_min=0.05",
        "sample.churn_max=50",
        "sample.churn_noise=1.003",
    ),
    put("which pictures", "sampling", "sample.seeds=0-7", "sample.classes=1", "sample.ema=none"),
    put("who decodes latents", "sampling", "sample.decoder=models/vae", "sample.decode=whole"),
    put("which policy", "sampling", "sample.skip_policy=late"),
    put(
        "a canvas",
        "sampling",
        "sample.size=16x32",
        "sample.stride=4",
        "sample.canvas=factorised",
        "sample.wrap=true",
        "sample.regions=[{class: 1, box: [0, 0, 8, 16]}]",
    ),
    put("a brick's skip", "sampling", "bricks.whole.skip=sigma < 1"),
    put("a policy", "sampling", "skip_policies.late.single=sigma > 4"),
    put("a new policy", "sampling", "skip_policies.early.whole=sigma > 20"),
    edit("a policy gone", "sampling", ('skip_policies:\n  late: {single: "sigma > 8"}\n', "")),
    put("DDIM instead", "sampling", "sample.sampler=ddim", "sample.eta=0.5", base=DDPM),
    put("DDPM's fixed variance", "sampling", "diffusion.variance=fixed_large", base=DDPM),
    put("learning rate", "training", "train.optimizer.lr=1e-3"),
    put(
        "how AdamW steps",
        "training",
        "train.optimizer.betas=[0.9, 0.95]",
        "train.optimizer.weight_decay=0.01",
        "train.clip_norm=null",
    ),
    put("how much is trained", "training", "train.batch=4", "train.images=2000"),
    put("averages", "training", "train.ema=[0.99]"),
    put("what a step draws", "training", "train.seed=1", "train.flip=true"),
    put("which losses reach a brick", "training", "train.gradient=detached"),
    put("label dropout", "training", "conditioning.label_dropout=0.2"),
    put("training noise", "training", "diffusion.p_mean=-1", "diffusion.p_std=1"),
    put("patches trained", "training", "bricks.windows.train_patches=0.5"),
    put("loss weight", "training", "bricks.single.loss_weight=0.5"),
    put("data", "training", "data.path=elsewhere", "train.start_from=runs/other"),
    put("resize", "training", "data.resize=adm"),
    put("fill", "training", "train.fill=model", "bricks.windows.train_patches=0.5"),
    edit(
        "stages",
        "training",
        ("images: 1000}", "images: 1000, stages: [{train: [windows], images: 9}, {train: [whole]}]}"),
    ),
    put("training for skipping", "training", "train.drop.policy=late"),
    put("images held out", "training", "train.held_out=0.1"),
    put("loss weighting", "training", "train.loss_weighting=min_snr"),
    put("steps of a policy that training follows", "training", "sample.steps=9", base=DROP),
    put("nested patches", "training", "train.patches=nested"),
    put("precision", "training", "train.precision=bf16"),
    put("averages for later", "training", "train.ema_profiles=[0.05, 0.1]"),
    put(
        "learning rate that falls",
        "training",
        "train.schedule=cosine",
        "train.warmup_images=0",
        "train.decay_images=1500",
    ),
    put("more depth", "resumable", "bricks.whole.depth=3"),
    edit("a brick renamed", "resumable", ("id: single", "id: parts"), ("late: {single", "late: {parts")),
    edit(
        "a brick renamed in stages and in what training leaves out",
        "resumable",
        ("id: single", "id: parts"),
        ("late: {single", "late: {parts"),
        ("train: [windows, single", "train: [windows, parts"),
        base=DROP,
    ),
    edit("the bottom brick renamed", "resumable", ("id: windows", "id: base")),
    edit("a new bottom brick", "resumable", (WINDOWS, NEW + WINDOWS)),
    edit("a new brick in the middle", "resumable", (WHOLE, NEW + WHOLE)),
    edit("a new top brick", "resumable", (WHOLE, WHOLE + NEW)),
    edit(
        "new, renamed and deeper",
        "resumable",
        (WINDOWS + SINGLE, NEW + WINDOWS + SINGLE.replace("single", "parts")),
        ("late: {single", "late: {parts"),
        ("depth: 2", "depth: 4"),
    ),
    put("size with the same tensors", "meaning", "bricks.windows.size=8"),
    put("offset", "meaning", "bricks.windows.offset=2"),
    put("heads", "meaning", "bricks.windows.heads=2"),
    put("grid", "meaning", "grid.height=32"),
    put("carry", "meaning", "carry=raw"),
    put("coordinate order", "meaning", "compat.coordinates=column_row"),
    put("time scale", "meaning", "compat.time_scale=1000"),
    put("sigma_data", "meaning", "diffusion.sigma_data=1"),
    edit("bricks above the bottom in another order", "meaning", (SINGLE + WHOLE, WHOLE + SINGLE)),
    edit("another bottom brick", "meaning", (WINDOWS + SINGLE, SINGLE + WINDOWS)),
    edit("renamed and of another size", "meaning", ("id: windows, size: 4", "id: base, size: 8")),
    put("receptive field", "breaks", "bricks.windows.receptive_field=4"),
    put("width of a brick", "breaks", "bricks.windows.width=16"),
    put("MLP ratio", "breaks", "bricks.whole.mlp_ratio=2"),
    put("less depth", "breaks", "bricks.whole.depth=1"),
    edit("a brick gone", "breaks", (SINGLE, ""), ("  late: {single", "  late: {windows")),
    edit("the bottom brick gone", "breaks", (WINDOWS, "")),
    put("classes", "breaks", "conditioning.classes=5"),
    put("no classes", "breaks", "conditioning.classes=null"),
    put("label form", "breaks", "compat.label_embedding=linear"),
    put("no coordinates", "breaks", "compat.coordinates=none"),
    put("width of the conditioning", "breaks", "conditioning.width=64"),
    put("channels", "breaks", "grid.channels=4"),
    put("a learned variance", "breaks", "diffusion.variance=learned_range", base=DDPM),
    edit(
        "DDPM for EDM",
        "meaning",
        ("bricks:", "diffusion: ddpm\nbricks:"),
        base=ONE,
    ),
    put("DDPM's chain", "meaning", "diffusion.beta_end=0.01", "diffusion.beta_start=1e-3", base=DDPM),
    put("DDPM's steps", "meaning", "diffusion.steps=90", base=DDPM),
    edit("a pretrained brick below", "resumable", ("bricks:", f"bricks:\n{STACK}"), base=NO_MODEL),
    edit("a pretrained brick below that trains", "resumable", ("bricks:", f"bricks:\n{STACK_TRAINS}"), base=NO_MODEL),
    edit("a frozen pretrained brick gone", "meaning", (STACK + "\n", ""), base=ON_STACK),
    edit("a pretrained brick gone that was trained", "breaks", (STACK_TRAINS + "\n", ""), base=ON_STACK_TRAINS),
    put("a pretrained brick trains", "resumable", "bricks.base.pretrained.frozen=false", base=ON_STACK),
    put("a module trains", "resumable", "bricks.base.pretrained.frozen=false", base=ON_MODULE),
    put("a model that was trained is frozen", "breaks", "bricks.base.pretrained.frozen=true", base=ON_STACK_TRAINS),
    put("a module that was trained is frozen", "breaks", "bricks.base.pretrained.frozen=true", base=ON_MODULE_TRAINS),
    put("another model", "meaning", f"bricks.base.pretrained.path={models.SECOND}", base=ON_STACK),
    edit("a model of another kind", "meaning", (STACK, MODULE), base=ON_STACK),
    put("another entry point", "meaning", "bricks.base.pretrained.name=gallery_noise", base=ON_MODULE),
    put(
        "where a trained model began", "training", f"bricks.base.pretrained.path={models.SECOND}", base=ON_STACK_TRAINS
    ),
    put("a model of other heads", "meaning", f"bricks.base.pretrained.path={models.HEADS}", base=ON_STACK_TRAINS),
    put("a model of other tensors", "breaks", f"bricks.base.pretrained.path={models.DEEP}", base=ON_STACK_TRAINS),
    edit("a trained model of another kind", "breaks", (STACK_TRAINS, MODULE_TRAINS), base=ON_STACK_TRAINS),
    put(
        "other files of a trained module",
        "breaks",
        f"bricks.base.pretrained.path={models.OTHER}",
        base=ON_MODULE_TRAINS,
    ),
    put("heads of a frozen DiT", "meaning", "bricks.base.pretrained.heads=2", base=ON_DIT),
    put("heads of a DiT that trains", "meaning", "bricks.base.pretrained.heads=2", base=ON_DIT_TRAINS),
    put("another module that trains", "breaks", "bricks.base.pretrained.name=gallery_wide", base=ON_MODULE_TRAINS),
    put("loss weight of a model that trains", "training", "bricks.base.loss_weight=0.5", base=ON_STACK_TRAINS),
    edit("a pretrained brick above", "resumable", (UNDER, f"{UNDER}{STACK}\n"), base=NO_MODEL),
    edit("a pretrained brick above that trains", "resumable", (UNDER, f"{UNDER}{STACK_TRAINS}\n"), base=NO_MODEL),
    edit("a frozen pretrained brick above gone", "meaning", (f"{STACK}\n", ""), base=ABOVE),
    edit("a pretrained brick above gone that was trained", "breaks", (f"{STACK_TRAINS}\n", ""), base=ABOVE_TRAINS),
    edit("a pretrained brick moved up", "meaning", (f"{STACK}\n{UNDER}", f"{UNDER}{STACK}\n"), base=ON_STACK),
    edit("a pretrained brick moved down", "meaning", (f"{UNDER}{STACK}\n", f"{STACK}\n{UNDER}"), base=ABOVE),
    put("how much noise a model is given", "meaning", "bricks.base.pretrained.noise_scale=0.25", base=ABOVE),
    edit("a brick under a pretrained one", "resumable", (STACK, NEW_UNDER + STACK), base=ON_STACK),
    edit("a brick between", "resumable", (STACK, NEW_UNDER + STACK), base=ABOVE),
    put("carry of a brick that a model refines", "cosmetic", "carry=raw", base=ABOVE),
    edit("a frozen model renamed", "cosmetic", ("id: base", "id: given"), base=ON_STACK),
    edit("a model that trains renamed", "resumable", ("id: base", "id: given"), base=ON_STACK_TRAINS),
    edit("a module that trains renamed", "resumable", ("id: base", "id: given"), base=ON_MODULE_TRAINS),
)
