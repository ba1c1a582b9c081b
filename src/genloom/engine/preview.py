"""What a run shows of itself as it goes on: samples from fixed noise, and the number that says how good it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from genloom.core import (
    TOKENS,
    Batch,
    CanSample,
    DataSpec,
    HasLikelihood,
    Model,
    Sampling,
    Step,
    batch_size,
    counted,
    derive_seed,
    translations,
)
from genloom.core.capabilities import Callback
from genloom.data import Dataset, Split
from genloom.engine.precision import Plan, arithmetic, arrange_batch
from genloom.metrics.answers import answered, shown, told
from genloom.metrics.pairs import source_of
from genloom.metrics.sliced_wasserstein import sliced_wasserstein
from genloom.modalities import modality, text

CHUNK = 256


@contextmanager
def resting(model: Model) -> Iterator[None]:
    """Evaluation mode and no gradients inside; training mode again outside."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def item_field(spec: DataSpec) -> tuple[str, str]:
    """The name and modality of the item a model of this specification generates."""
    return next((name, f.modality) for name, f in spec.items() if f.role == "item")


def sample(
    model: CanSample,
    n: int,
    generator: torch.Generator,
    condition: Batch | None = None,
    options: Sampling = Sampling(),
    callback: Callback | None = None,
) -> dict[str, torch.Tensor]:
    """n items in chunks of 256, on the CPU: memory stays flat and the items depend on the generator alone.

    callback: the sampler's, called for every chunk."""
    chunks = []
    for start in range(0, max(n, 1), CHUNK):
        size = min(CHUNK, n - start)
        part = None if condition is None else {k: v[start : start + size] for k, v in condition.items()}
        drawn = model.sample(size, condition=part, options=options, generator=generator, callback=callback)
        chunks.append({k: v.float().cpu() if v.is_floating_point() else v.cpu() for k, v in drawn.items()})
    return {k: torch.cat([c[k] for c in chunks]) for k in chunks[0]}


def given_pictures(model: Model, split: Split, n: int) -> dict[str, torch.Tensor] | None:
    """The pictures of up to n of a split's items that samples are made of; None for a model that needs none."""
    spec = split.spec
    needed = {a for name, f in spec.items() if f.role == "item" if (a := source_of(model, spec, name)) is not None}
    if not needed or not len(split):
        return None
    batch = split.batch(torch.arange(n) % len(split))
    return {name: x for name, x in batch.items() if name in needed}


def beside(*columns: torch.Tensor) -> torch.Tensor:
    """Pictures (n, C, H, W) of several fields in turn, one of each; grey ones among colour ones get three channels."""
    wide = max(x.shape[1] for x in columns)
    return torch.stack([x.expand(-1, wide, -1, -1) for x in columns], 1).flatten(0, 1)


def shown_columns(spec: DataSpec, drawn: Batch, given: Batch | None) -> list[torch.Tensor]:
    """What a sheet of samples shows of each: what was given and what was made of it, or what was made together."""
    items = [name for name, f in spec.items() if f.role == "item"]
    if given is None:
        return [drawn[name] for name in items]
    pairs = [(a, b) for a, b in translations(spec).values() if a in given and b in drawn]
    return [x for a, b in pairs for x in (given[a], drawn[b])]


def draw_preview(
    model: Model, dataset: Dataset, seed: int, plan: Plan, device: torch.device, path: Path
) -> Path | None:
    """Writes a sheet of samples (64 images), or a text, from the same noise each time, and what can be played beside
    it. None where the model cannot sample.

    Pictures are drawn in the plan's arithmetic: they are for the eye, and take their time out of the run's.
    """
    if not isinstance(model, CanSample):
        return None
    name, kind = item_field(dataset.spec)[0], modality(item_field(dataset.spec)[1])
    generator = torch.Generator(device).manual_seed(derive_seed(seed, "preview"))
    with resting(model):
        several = [f for f in dataset.spec.values() if f.role == "item"]
        given = None if kind.written else given_pictures(model, dataset.validation, kind.preview // (2 * len(several)))
        if given is not None or len(several) > 1:
            count = kind.preview // len(several) if given is None else len(next(iter(given.values())))
            here = None if given is None else {k: x.to(device) for k, x in given.items()}
            with arithmetic(plan, device):
                made = sample(model, count, generator, here)
            columns = shown_columns(dataset.spec, made, given)
            place = path.with_suffix(".png")
            kind.codec.save(beside(*columns), dataset.spec[name], place, columns=8 // len(columns) * len(columns))
            return place
        if not kind.written:
            with arithmetic(plan, device):
                drawn = sample(model, kind.preview, generator)[name]
            places = [path.with_suffix(ending) for ending in kind.previews]
            for place in reversed(places):
                kind.codec.save(drawn, dataset.spec[name], place)
            return places[0]
        assert dataset.tokenizer is not None
        if (prompt := told(dataset.spec)) is not None:
            return text.save(_replies(model, dataset, name, prompt, generator), path.with_suffix(".txt"))
        ids = sample(model, 1, generator, options=Sampling(length=400))[name]
        return text.save(text.to_texts(ids, dataset.tokenizer), path.with_suffix(".txt"))


def _replies(model: Model, dataset: Dataset, name: str, prompt: str, generator: torch.Generator) -> list[str]:
    """What the model answers to the first held-out prompts, and what it should."""
    assert dataset.tokenizer is not None
    found = answered(model, dataset.validation, name, prompt, dataset.tokenizer, generator, most=4)
    return list(shown(found, 4))


class Monitor:
    """The one number by which checkpoints of a run are compared; lower is better.

    validation: the first phase's loss on up to 1,024 held-out items with the same draws each time; of a model that only
    counts, their negative log-likelihood in nats a token, or an item where there are no tokens.
    sliced-wasserstein: between 512 samples and 512 held-out items; the mean over collections where there are several.
    """

    def __init__(self, model: Model, dataset: Dataset, seed: int, batch: int, plan: Plan, device: torch.device) -> None:
        self.kind = model.monitor
        self.dataset, self.seed, self.device, self.plan = dataset, seed, device, plan
        split: Split = dataset.validation
        generator = torch.Generator().manual_seed(derive_seed(seed, "monitor"))
        wanted = 1024 if self.kind == "validation" else 512
        if len(split) > split.items:  # windows into a text: an even spread of them
            count = min(split.items, max(1, wanted // 8))
            self.index = torch.linspace(0, len(split) - 1, count).long()
        else:
            self.index = torch.randperm(len(split), generator=generator)[:wanted]
        self.batch = min(batch, len(self.index))

    def measure(self, model: Model) -> float:
        """The monitor's value for the model's present weights, in fp32."""
        with resting(model):
            if self.kind != "validation":
                return self._distance(model)
            return self._validation(model) if model.phases() else self._surprise(model)

    def _validation(self, model: Model) -> float:
        phase, total, count = model.phases()[0], 0.0, 0
        for i, index in enumerate(self.index.split(self.batch)):
            batch = arrange_batch(self.dataset.validation.batch(index), self.plan, self.device)
            n = batch_size(batch)
            seed = derive_seed(self.seed, "validation", i)
            loss = model.loss(phase, batch, Step(seed=seed, progress=0.0, rows=(0, n, n), device=self.device))
            total, count = total + loss.total.item() * n, count + n
        return total / count

    def _surprise(self, model: Model) -> float:
        if not isinstance(model, HasLikelihood):
            return float("nan")
        name, field = next((k, f) for k, f in self.dataset.spec.items() if f.role == "item")
        generator = torch.Generator(self.device).manual_seed(derive_seed(self.seed, "surprise"))
        nats, count = 0.0, 0
        for index in self.index.split(self.batch):
            batch = arrange_batch(self.dataset.validation.batch(index), self.plan, self.device)
            nats += model.nll(batch, generator=generator).sum().item()
            count += int(counted(batch[name], field).sum()) if field.modality in TOKENS else batch_size(batch)
        return nats / count

    def _distance(self, model: Model) -> float:
        if not isinstance(model, CanSample):
            return float("nan")
        generator = torch.Generator(self.device).manual_seed(derive_seed(self.seed, "monitor samples"))
        real = self.dataset.validation.batch(self.index)
        fake = sample(model, len(self.index), generator)
        distances = []
        for name in self.dataset.items:
            directions = torch.Generator().manual_seed(derive_seed(self.seed, "directions"))
            distances.append(sliced_wasserstein(fake[name], real[name], generator=directions))
        return sum(distances) / len(distances)
