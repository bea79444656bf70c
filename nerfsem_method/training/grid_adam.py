"""Adam, as it goes over the tables of a field: on the CPU in one compiled pass, elsewhere as torch does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from nerfsem_method.compiled.threads import in_parts
from nerfsem_method.training.backend import compiled
from nerfsem_method.training.encoding import BinaryGrids
from nerfsem_method.training.loops.adam_cpu import Rates, adam


class GridAdam(torch.optim.Adam):
    """This is Adam (Kingma and Ba 2015) for one parameter, a field's theta, which stays within [-1, 1].

    No gradient comes through beyond that range (`encoding.SignSTE`), where a sign could never turn again: BinaryConnect clips its
    weights, too (Courbariaux, Bengio and David 2015, section 2.4).

    Once it serves grids in compiled loops, the gradients stay where the threads have added them up, and `theta.grad` is no more
    than a mark: a dense gradient would be written, added up and read again at every step, which costs more than all the samples.
    """

    _grids: BinaryGrids | None = None

    def serve(self, grids: BinaryGrids) -> None:
        """Take gradients where these grids add them up, if they run in compiled loops; a weight decay is left to torch."""
        if compiled(grids.theta) and not self.defaults["weight_decay"]:
            self._grids, grids.keeping = grids, True

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Let go of gradients, those included that a backward pass has left and no step has taken."""
        if self._grids is not None and self._grids.theta.grad is not None:
            self._grids.partial[:] = 0
        super().zero_grad(set_to_none)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move theta once; grids that are served must have had a backward pass."""
        if self._grids is None:
            loss = super().step(closure)
            for parameter in self.param_groups[0]["params"]:
                parameter.clamp_(-1, 1)
            return loss
        with torch.enable_grad():
            loss = None if closure is None else closure()
        (group,), grids = self.param_groups, self._grids
        dense = grids.theta.grad
        if dense is not None and not dense.is_sparse:  # it comes from plain torch
            grids.partial[0, : len(dense)] += dense.numpy()
        state = self.state[grids.theta]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(grids.theta), torch.zeros_like(grids.theta)
        state["step"] += 1
        first, second = group["betas"]
        count = float(state["step"])
        rates = Rates(group["lr"] / (1 - first**count), (1 - second**count) ** -0.5, first, second, group["eps"])
        theta, coded = grids.theta.detach().numpy(), grids.coded.numpy()
        means, squares = state["exp_avg"].numpy(), state["exp_avg_sq"].numpy()

        def work(_: int, start: int, stop: int) -> None:
            adam(theta, coded, grids.partial, means, squares, rates, start, stop)

        in_parts(len(theta), work)
        grids.theta.grad = None
        return loss
