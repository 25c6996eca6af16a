"""What a checked spec means: defaults, the shapes of the shipped specs, and the canonical text."""

from math import prod
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from legoc.spec import check_file, check_text, load_spec, resolved_yaml
from legoc.spec.resolved import StackSpec
from legoc_runtime.contract.settings import SampleSettings, TrainSettings
from legoc_runtime.contract.stack import EdmConstants, weight_shapes

SPECS = Path(__file__).parents[2] / "specs"
MINIMAL = """\
legoc: 1
name: minimal
grid: {height: 24, width: 16, channels: 3}
conditioning: {classes: null}
bricks:
  - {id: a, size: 4x8, depth: 1, width: 32, heads: 2}
  - {id: b, size: image, depth: 1, width: 64, heads: 2}
"""


def spec_of(text: str) -> StackSpec:
    result = check_text(text, "t.yaml")
    assert not result.diagnostics
    assert result.spec is not None
    return result.spec


def test_defaults_are_those_of_the_contract() -> None:
    spec = spec_of(MINIMAL)
    assert (spec.train, spec.sample, spec.shape.diffusion) == (TrainSettings(), SampleSettings(), EdmConstants())
    assert (spec.shape.carry, spec.shape.coordinates, spec.shape.label_form) == ("x0", "row_column", "table")
    assert (spec.label_dropout, spec.data_path, spec.description, spec.policies) == (0.0, None, "", {})
    assert spec.shape.condition_width == 64
    below, top = spec.shape.bricks
    assert (below.window, below.receptive_field, below.takes_estimate) == ((4, 8), 2, False)
    assert (top.window, top.receptive_field, top.takes_estimate) == ((24, 16), 2, True)
    assert (top.coordinates, top.mlp_ratio, top.train_patches, top.loss_weight) == (2, 4.0, 1.0, 1.0)


def test_every_section_reaches_the_settings() -> None:
    spec = spec_of(
        MINIMAL.replace("classes: null", "classes: 5, width: 20")
        + """\
carry: raw
compat: {coordinates: none, label_embedding: linear}
diffusion: {kind: edm, sigma_max: 40, rho: 5}
data: {path: some/where}
train:
  batch: 8
  images: 1.5M
  precision: bf16
  accumulate: 2
  checkpoint_activations: bricks
  sharding: fsdp2
  warmup_images: 0
  schedule: inverse_sqrt
  decay_images: 70k
  clip_norm: null
  optimizer: {lr: 3e-4, betas: [0.8, 0.95], weight_decay: 0.01}
  ema: [0.99, 0.999]
  ema_profiles: [0.05, 0.1]
  ema_snapshot_images: 5k
  fill: x0
  gradient: detached
  flip: true
  seed: 7
  snapshot_images: 10k
  keep: 5
  keep_every_images: 100k
  log_images: 100
  held_out: 0.25
  on_explosion: warn
  preview_images: 20k
  preview_seeds: 0-8
sample: {steps: 12, guidance: 3, churn: 40, churn_min: 0.05, churn_max: 50, churn_noise: 1.003}
"""
    )
    assert spec.label_dropout == 0.1
    assert (spec.shape.classes, spec.shape.condition_width, spec.shape.carry) == (5, 20, "raw")
    assert (spec.shape.coordinates, spec.shape.bricks[0].coordinates, spec.shape.label_form) == ("none", 0, "linear")
    assert spec.shape.diffusion == EdmConstants(sigma_max=40.0, rho=5.0)
    assert spec.data_path == "some/where"
    assert spec.train == TrainSettings(
        batch=8,
        images=1_500_000,
        precision="bf16",
        accumulate=2,
        checkpoint_activations="bricks",
        sharding="fsdp2",
        learning_rate=3e-4,
        betas=(0.8, 0.95),
        weight_decay=0.01,
        warmup_images=0,
        schedule="inverse_sqrt",
        decay_images=70_000,
        clip_norm=None,
        ema=(0.99, 0.999),
        ema_profiles=(0.05, 0.1),
        ema_snapshot_images=5_000,
        fill="x0",
        gradient="detached",
        flip=True,
        seed=7,
        snapshot_images=10_000,
        keep=5,
        keep_every_images=100_000,
        log_images=100,
        held_out=0.25,
        on_explosion="warn",
        preview_images=20_000,
        preview_seeds="0-8",
    )
    assert spec.sample == SampleSettings("heun", 12, 3.0, 40.0, 0.05, 50.0, 1.003)


def test_spans_reach_every_written_value_and_fall_back() -> None:
    spec = spec_of(MINIMAL)
    place = spec.brick_span("b", "heads")
    assert place is not None
    assert str(place) == "t.yaml:7:54"
    assert spec.brick_span("b", "mlp_ratio") == spec.span("bricks", 1)


@pytest.mark.parametrize(
    ("name", "parameters"), [("emoji_32", 7_024_008), ("lego_u_xl", 1_261_373_744), ("lego_pg_s", 33_435_552)]
)
def test_the_shipped_specs_check_and_have_their_size(name: str, parameters: int) -> None:
    result = check_file(SPECS / f"{name}.yaml")
    assert not result.diagnostics
    assert result.spec is not None
    assert sum(map(prod, weight_shapes(result.spec.shape).values())) == parameters
    text = resolved_yaml(result.spec)
    assert check_text(text, "resolved").spec == result.spec


def test_the_canonical_text_is_pinned() -> None:
    # builds are identified by the hash of this text: a change here changes every hash
    golden = Path(__file__).with_name("emoji_32.resolved.yaml")
    assert resolved_yaml(load_spec(SPECS / "emoji_32.yaml")) == golden.read_text(encoding="utf-8")


predicates = st.sampled_from(
    ["sigma < 0.3", "not  (guided or step>3)", "1e-7 < progress <= .5", "steps - step < max(3, 4)"]
)
bricks = st.fixed_dictionaries(
    {
        "size": st.sampled_from(["4", "8x16", "image", "16"]),
        "receptive_field": st.sampled_from(["1", "2", "4"]),
        "depth": st.integers(1, 40).map(str),
        "width": st.integers(1, 50).map(lambda n: str(8 * n)),
        "heads": st.sampled_from(["1", "2", "8"]),
        "mlp_ratio": st.floats(0.25, 8).map(repr),
        "loss_weight": st.floats(0.125, 8).map(repr),
    },
    optional={"skip": predicates.map(lambda text: f'"{text}"'), "offset": st.sampled_from(["0", "0x1", "1x0"])},
)


def edm_of(low: float, rho: float) -> str:
    return f"{{kind: edm, sigma_min: {low!r}, rho: {rho!r}}}"


def ddpm_of(steps: int, variance: str, start: float) -> str:
    return f"{{kind: ddpm, steps: {steps}, variance: {variance}, beta_start: {start!r}, beta_end: 0.011}}"


def compat_of(order: str, form: str, scale: float) -> str:
    return f"{{coordinates: {order}, label_embedding: {form}, time_scale: {scale!r}}}"


diffusions = st.one_of(
    st.sampled_from(["edm", "ddpm"]),
    st.builds(edm_of, st.floats(1e-6, 1), st.floats(1, 9)),
    st.builds(
        ddpm_of,
        st.integers(40, 2000),
        st.sampled_from(["fixed_small", "fixed_large", "learned_range"]),
        st.floats(1e-6, 0.01),
    ),
)
compats = st.builds(
    compat_of,
    st.sampled_from(["row_column", "column_row", "none"]),
    st.sampled_from(["table", "linear"]),
    st.floats(1e-3, 1e6),
)


@st.composite
def specs(draw: st.DrawFn) -> str:
    ids = draw(st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), min_size=1, max_size=3, unique=True))
    lines = ["legoc: 1", f"name: {draw(st.sampled_from(['a', 'true', '1e3', 'A-b.c_9']))!r}".replace("'", '"')]
    description = draw(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20))
    lines.append("description: '" + description.replace("'", "''") + "'")
    lines += ["grid: {height: 32, width: 48, channels: 4}", f"conditioning: {{classes: {draw(st.integers(1, 10**6))}}}"]
    lines.append("bricks:")
    for id in ids:
        lines.append(f"  - id: '{id}'")
        lines += [f"    {key}: {value}" for key, value in draw(bricks).items()]
    names = draw(st.lists(st.from_regex(r"[A-Z][A-Za-z0-9_-]{0,8}", fullmatch=True), max_size=2, unique=True))
    lines.append(
        "skip_policies: {" + ", ".join(f"'{name}': {{'{ids[0]}': {draw(predicates)!r}}}" for name in names) + "}"
    )
    lines += [f"diffusion: {draw(diffusions)}", f"compat: {draw(compats)}"]
    fill, rate = draw(st.sampled_from(["noisy", "x0", "zeros"])), draw(st.floats(1e-12, 10))
    lines.append(f"train: {{fill: {fill}, optimizer: {{lr: {rate!r}}}, images: {draw(st.integers(1, 10**15))}}}")
    return "\n".join(lines) + "\n"


@settings(max_examples=60, deadline=None)
@given(specs())
def test_the_canonical_text_reads_back_as_an_equal_spec(text: str) -> None:
    result = check_text(text, "t")
    if result.spec is None:
        # drawn policies may leave no brick, drawn offsets may be a whole receptive field; nothing else may be wrong
        errors = {finding.code for finding in result.diagnostics if finding.severity == "error"}
        assert errors <= {"LG307", "LG208", "LG004"}
        return
    canonical = resolved_yaml(result.spec)
    again = check_text(canonical, "again").spec
    assert again is not None
    assert again == result.spec
    assert resolved_yaml(again) == canonical
