"""Adam, as it goes over the tables of a field: on the CPU in one compiled pass, elsewhere as torch does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from nerfsem_method.compiled.threads import in_parts
from nerfsem_method.training.backend import compiled
from nerfsem_method.training.encoding import BinaryGrids
from nerfsem_method.training.loops.adam_cpu import Rates, adam
from nerfsem_method.training.loops.scatter import RUN


class GridAdam(torch.optim.Adam):
    """This is Adam (Kingma and Ba 2015) for one parameter, a field's theta, which stays within [-1, 1].

    No gradient comes through beyond that range (`encoding.SignSTE`), where a sign could never turn again: BinaryConnect clips its
    weights, too (Courbariaux, Bengio and David 2015, section 2.4).

    A run of `RUN` values to none of which a gradient comes is left alone, moments and all, as Müller and others (2022, section 4)
    leave out the entries that no sample touches: a step on a large field would else go through all memory for a part of it.

    Once it serves grids in compiled loops, the gradients stay where the threads have added them up, and `theta.grad` is no more
    than a mark: a dense gradient would be written, added up and read again at every step, which costs more than all the samples.
    """

    _grids: BinaryGrids | None = None

    def serve(self, grids: BinaryGrids) -> None:
        """Take gradients where these grids add them up, if they run in compiled loops; a weight decay is left to torch.

        Theta is clipped at once: no step comes to a value beyond the range.
        """
        if compiled(grids.theta) and not self.defaults["weight_decay"]:
            self._grids, grids.keeping = grids, True
            with torch.no_grad():
                grids.theta.clamp_(-1, 1)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Let go of gradients, those included that a backward pass has left and no step has taken."""
        if self._grids is not None and self._grids.theta.grad is not None:
            self._grids.partial[:] = self._grids.touched[:] = 0
        super().zero_grad(set_to_none)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move theta once; grids that are served must have had a backward pass."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        if self._grids is None:
            self._step_in_torch()
            return loss
        (group,), grids = self.param_groups, self._grids
        dense = grids.theta.grad
        if dense is not None and not dense.is_sparse:  # it comes from plain torch
            grids.partial[0, : len(dense)] += dense.numpy()
            grids.touched[0] = 1
        state = self.state[grids.theta]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(grids.theta), torch.zeros_like(grids.theta)
        state["step"] += 1
        first, second = group["betas"]
        count = float(state["step"])
        numbers = group["lr"] / (1 - first**count), (1 - second**count) ** -0.5, 1 - first, 1 - second, group["eps"]
        rates = Rates(*map(float, numbers))
        theta, coded = grids.theta.detach().numpy(), grids.coded.numpy()
        means, squares = state["exp_avg"].numpy(), state["exp_avg_sq"].numpy()

        def work(_: int, start: int, stop: int) -> None:
            bounds = start * RUN, min(stop * RUN, len(theta))
            adam(theta, coded, grids.partial, grids.touched, means, squares, rates, *bounds, grids.turned)

        in_parts(len(grids.turned), work)
        grids.theta.grad = None
        return loss

    def _step_in_torch(self) -> None:
        """Move theta as torch does, and put back what no gradient came to, unless all of it decays."""
        (group,) = self.param_groups
        (theta,) = group["params"]
        if theta.grad is None:
            return
        if group["weight_decay"]:
            super().step()
            theta.clamp_(-1, 1)
            return
        moments = [self.state[theta][name] for name in ("exp_avg", "exp_avg_sq") if name in self.state[theta]]
        before = [values.detach().clone() for values in (theta, *moments)]
        runs = functional.pad(theta.grad, (0, -len(theta) % RUN)).view(-1, RUN).any(1)
        super().step()
        touched = runs.repeat_interleave(RUN)[: len(theta)]
        for values, was in zip((theta, *moments), before, strict=True):
            torch.where(touched, values, was, out=values)
        theta.clamp_(-1, 1)
