"""The training loop: batches of crops, then of whole pictures; checkpoints to go on from.

Several processes of one thread each share a batch and average their gradients: on the few cores of
an ordinary machine that is twice as fast as one process with threads, which wait for each other at
every operation instead of once per step.

Every sample is drawn from its own stream of the seed, so a run that was interrupted and resumed
sees what an unbroken one would have seen. What is kept is the exponential moving average of the
weights.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed

from rsu.sim.world.scene import stream
from tools.detector.augment import batch
from tools.detector.dataset import Dataset
from tools.detector.loss import Loss
from tools.detector.network import Network, Shape
from tools.detector.scenes import CLASSES, HEIGHT, WIDTH

CHECKPOINT_EVERY = 100
"""Steps."""
_EMA_SHARE, _EMA_RAMP = 0.998, 300.0  # decay per step, and the steps it takes to get there
_CLIP = 10.0  # norm of the gradient; usual for detectors


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that shapes the weights besides the pictures.

    The last `plain` share of `steps` trains on whole pictures instead of crops of `crop` px.
    """

    seed: int
    steps: int
    size: int = 8
    crop: tuple[int, int] = (416, 256)
    rate: float = 1.6e-3
    decay: float = 0.02
    warm_up: int = 200
    plain: float = 0.12


@dataclass(frozen=True, slots=True)
class Progress:
    """After one step: how many are done, and the losses."""

    step: int
    label_loss: float
    box_loss: float


@dataclass(frozen=True, slots=True)
class Crew:
    """The processes that share a batch: this one's number and how many they are."""

    rank: int
    size: int


ALONE = Crew(0, 1)


@contextmanager
def crew(rank: int, size: int, meeting: Path) -> Iterator[Crew]:
    """Join the processes that meet at a file none of them has made yet."""
    if size == 1:
        yield ALONE
        return
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting.resolve()}", rank=rank, world_size=size
    )
    try:
        yield Crew(rank, size)
    finally:
        distributed.destroy_process_group()


class Training:
    """Network, average, optimiser and where they stand."""

    def __init__(self, recipe: Recipe, shape: Shape, crew: Crew = ALONE) -> None:
        self._crew = crew
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.step = 0
        self.network = Network(len(CLASSES), shape).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval()
        bent = [p for p in self.network.parameters() if p.ndim > 1]
        flat = [p for p in self.network.parameters() if p.ndim <= 1]
        self._optimiser = torch.optim.AdamW(
            [{"params": bent, "weight_decay": recipe.decay}, {"params": flat, "weight_decay": 0.0}],
            lr=recipe.rate,
        )

    def start_from(self, path: Path) -> None:
        """Take the averaged weights of another run's checkpoint as the first ones."""
        stored = torch.load(path, weights_only=True)
        self.network.load_state_dict(stored["average"])
        self.average.load_state_dict(stored["average"])

    def resume(self, path: Path) -> None:
        """Go on where a checkpoint of this recipe stands."""
        stored = torch.load(path, weights_only=True)
        self.network.load_state_dict(stored["network"])
        self.average.load_state_dict(stored["average"])
        self._optimiser.load_state_dict(stored["optimiser"])
        self.step = int(stored["step"])

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        torch.save(
            {
                "step": self.step,
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self._optimiser.state_dict(),
            },
            part,
        )
        part.replace(path)

    def run(self, data: Dataset, checkpoint: Path) -> Iterator[Progress]:
        """The remaining steps, one result each; a checkpoint now and then and at the end."""
        recipe = self.recipe
        losses = {size: Loss(*size) for size in (recipe.crop, (WIDTH, HEIGHT))}

        def prepared(step: int):  # type: ignore[no-untyped-def]
            width, height, plain = self._form(step)
            # A whole picture has 2.3 times the pixels of a crop, so there are fewer in a batch.
            size = recipe.size if not plain else max(1, recipe.size // 2)
            mine = range(self._crew.rank, size, self._crew.size)
            rngs = [stream(recipe.seed, f"sample/{step}/{row}") for row in mine]
            return batch(data, rngs, width, height, plain)

        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(prepared, self.step)
            while self.step < recipe.steps:
                images, targets = coming.result()
                coming = ahead.submit(prepared, self.step + 1)
                for group in self._optimiser.param_groups:
                    group["lr"] = self._rate(self.step)
                width, height, _ = self._form(self.step)
                label_loss, box_loss = losses[width, height](self.network(images), targets)
                self._optimiser.zero_grad()
                (label_loss + box_loss).backward()
                self._share_gradients()
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
                self._optimiser.step()
                self._follow()
                self.step += 1
                due = self.step % CHECKPOINT_EVERY == 0 or self.step == recipe.steps
                if due and self._crew.rank == 0:
                    self.save(checkpoint)
                yield Progress(self.step, label_loss.item(), box_loss.item())

    def _form(self, step: int) -> tuple[int, int, bool]:
        if step >= self.recipe.steps * (1.0 - self.recipe.plain):
            return WIDTH, HEIGHT, True
        return *self.recipe.crop, False

    def _rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine to a fiftieth."""
        recipe = self.recipe
        if step < recipe.warm_up:
            return recipe.rate * (step + 1) / recipe.warm_up
        done = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
        return recipe.rate * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * done)))

    def _share_gradients(self) -> None:
        """Every process continues with the mean of all gradients."""
        if self._crew.size == 1:
            return
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        distributed.all_reduce(flat)
        flat /= self._crew.size
        for gradient, part in zip(
            gradients, flat.split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

    @torch.no_grad()
    def _follow(self) -> None:
        share = _EMA_SHARE * (1.0 - math.exp(-(self.step + 1) / _EMA_RAMP))
        for mean, now in zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        ):
            if mean.dtype.is_floating_point:
                mean.lerp_(now, 1.0 - share)
            else:
                mean.copy_(now)
