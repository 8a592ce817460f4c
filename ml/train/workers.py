"""Several processes that train one model: started by `torchrun` or `accelerate launch`, one process per device."""

from __future__ import annotations

import atexit
import os
import sys
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Workers:
    """This process's place among those that share a run."""

    rank: int
    count: int

    @classmethod
    def alone(cls) -> Workers:
        """A run of one process."""
        return cls(0, 1)

    @classmethod
    def from_environment(cls, device: str) -> Workers:
        """Join the group that the launcher describes (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT); alone without."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls.alone()
        if device.startswith("cuda"):
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        return cls(distributed.get_rank(), count)

    @property
    def first(self) -> bool:
        """True for the process that writes files and progress."""
        return self.rank == 0

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """`model` with gradients averaged over all processes; itself when alone."""
        if self.count == 1:
            return model
        ids = [torch.cuda.current_device()] if device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=ids, find_unused_parameters=True)

    def any(self, value: bool) -> bool:
        """True in every process when it is true in one: all leave the loop at the same step."""
        if self.count == 1:
            return value
        votes = torch.tensor([float(value)], device="cuda" if distributed.get_backend() == "nccl" else "cpu")
        distributed.all_reduce(votes, distributed.ReduceOp.MAX)
        return bool(votes.item())

    def leave(self) -> None:
        """Wait for the others and part from them, the last thing that a process does: one that just ends tears a
        connection that another still reads. What is open must be closed by then: the process ends without taking itself
        apart, since gloo's threads may outlive the group and abort while that goes on (some runs in a hundred).
        """
        if self.count > 1 and distributed.is_initialized():
            distributed.barrier()
            distributed.destroy_process_group()
            atexit.register(_end)

    def mean_(self, tensors: list[torch.Tensor]) -> None:
        """Replace each of `tensors` by its mean over all processes, in one exchange."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat / self.count, [t.numel() for t in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def from_first_(self, tensors: list[torch.Tensor]) -> None:
        """Replace each of `tensors` by what the first process has."""
        if self.count > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)


def _end() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
