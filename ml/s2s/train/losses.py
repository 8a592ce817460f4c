"""Loss terms of the S2S model."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ml.s2s.batch import S2SBatch, S2SOutput
from ml.s2s.score import advance_targets
from ml.s2s.train.config import S2STrainConfig
from ml.s2s.train.data import IGNORE, Targets


def first_targets(batch: S2SBatch, end_code: int) -> Tensor:
    """Targets of level 0 with the end token, int64 `[B, Ta + 1]`, -100 beyond it and in rows without an answer."""
    frames = batch.answer_frames[:, None]
    at = torch.arange(batch.answer.shape[2] + 1, device=frames.device)
    codes = functional.pad(batch.answer[:, 0], (0, 1))
    codes = torch.where(at == frames, end_code, codes)
    return torch.where((at <= frames) & (frames > 0), codes, IGNORE)


def loss_terms(output: S2SOutput, batch: S2SBatch, targets: Targets, config: S2STrainConfig) -> dict[str, Tensor]:
    """Every term unweighted, and `loss`, their weighted sum. Terms without a single target are left out."""
    terms: dict[str, Tensor] = {}
    weights = config.level_weights
    size = output.first.shape[-1]
    class_weights = None
    if config.end_weight != 1.0:
        class_weights = torch.ones(size, device=output.first.device)
        class_weights[-1] = config.end_weight
    loss = output.first.new_zeros((), dtype=torch.float32)
    if bool((batch.answer_frames > 0).any()):
        terms["first"] = functional.cross_entropy(
            output.first.float().flatten(0, 1),
            first_targets(batch, size - 1).flatten(),
            class_weights,
            ignore_index=IGNORE,
            label_smoothing=config.label_smoothing,
        )
        loss = loss + weights[0] * terms["first"]
    if batch.depth_frames is not None and len(batch.depth_frames):
        codes = batch.answer.transpose(1, 2).flatten(0, 1)[batch.depth_frames, 1:]
        each = functional.cross_entropy(
            output.deeper.float().flatten(0, 1),
            codes.flatten(),
            reduction="none",
            label_smoothing=config.label_smoothing,
        ).view(codes.shape)
        levels = each.mean(dim=0)
        terms["deeper"] = levels.mean()
        loss = loss + (levels * levels.new_tensor(weights[1 : 1 + len(levels)])).sum()
    asked = targets.phone_counts > 0
    if config.ctc and bool(asked.any()):
        log_probs = functional.log_softmax(output.ctc[asked].float(), dim=-1).transpose(0, 1)
        counts = targets.phone_counts[asked]
        summed = functional.ctc_loss(
            log_probs,
            targets.phones,
            2 * batch.question_frames[asked],
            counts,
            blank=output.ctc.shape[-1] - 1,
            reduction="sum",
            zero_infinity=True,
        )
        terms["ctc"] = summed / counts.sum()
        loss = loss + config.ctc * terms["ctc"]
    if output.intent is not None and bool((targets.intent >= 0).any()):
        terms["intent"] = functional.cross_entropy(
            output.intent.float(), targets.intent, ignore_index=IGNORE, label_smoothing=0.05
        )
        loss = loss + config.intent * terms["intent"]
    chosen = targets.plans.sum(dim=1) > 0
    if output.plan is not None and bool(chosen.any()):
        terms["plan"] = functional.cross_entropy(
            output.plan[chosen].float(), targets.plans[chosen], label_smoothing=0.05
        )
        loss = loss + config.plan * terms["plan"]
    if output.advance is not None and batch.answer_at is not None:
        moves = advance_targets(batch.answer_at, batch.answer_frames)
        if bool((moves >= 0).any()):
            terms["advance"] = functional.cross_entropy(
                output.advance.float().flatten(0, 1), moves.flatten(), ignore_index=IGNORE
            )
            loss = loss + config.advance * terms["advance"]
    if bool((targets.frame_phones >= 0).any()):
        terms["phones"] = functional.cross_entropy(
            output.phones.float().flatten(0, 1), targets.frame_phones.flatten(), ignore_index=IGNORE
        )
        loss = loss + config.phones * terms["phones"]
    return {"loss": loss, **terms}


@torch.no_grad()
def right(output: S2SOutput, batch: S2SBatch, targets: Targets) -> dict[str, tuple[int, int]]:
    """(right, all) of teacher-forced choices: plan, intent, first codes, phones of frames."""
    found: dict[str, tuple[int, int]] = {}
    chosen = targets.plans.sum(dim=1) > 0
    if output.plan is not None and bool(chosen.any()):
        best = output.plan[chosen].argmax(dim=1)
        hit = targets.plans[chosen].gather(1, best[:, None]) > 0
        found["plan"] = (int(hit.sum()), len(best))
    if output.intent is not None:
        known = targets.intent >= 0
        found["intent"] = (int((output.intent.argmax(1) == targets.intent)[known].sum()), int(known.sum()))
    first = first_targets(batch, output.first.shape[-1] - 1)
    for name, logits, truth in (("first", output.first, first), ("phones", output.phones, targets.frame_phones)):
        known = truth >= 0
        found[name] = (int((logits.argmax(-1) == truth)[known].sum()), int(known.sum()))
    return found
