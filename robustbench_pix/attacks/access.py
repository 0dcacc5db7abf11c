"""What an attacker sees of a model: the wrapper under every engine."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from robustbench_pix.attacks.ledger import Ledger
from robustbench_pix.errors import JobFailedError


class BudgetSpentError(Exception):
    """No image under attack may be asked about any more; the ledger has what was found."""


class Oracle(nn.Module):
    """A model behind the access of an attack: ``decisions`` gives one-hot rows, ``scores`` detached logits.

    ``gradients`` gives logits through which gradients pass. Inputs are cast to float32, since numpy 2 turns the
    toolbox's images into float64. Every query is entered into the ledger, where there is one. Beyond the budget the
    answer is the label, whatever was asked; once no image under attack has any left, asking raises BudgetSpentError, as
    far as the host knows: who asks with ``rows`` asks ``spent``.
    """

    def __init__(self, network: nn.Module, access: str, ledger: Ledger | None) -> None:
        super().__init__()
        self.network, self.access, self.ledger = network, access, ledger
        self.eval()

    def train(self, mode: bool = True) -> "Oracle":
        """Stay in eval mode, whatever an engine asks for."""
        return super().train(False)

    def spent(self, rows: Tensor | None = None) -> bool:
        """Return whether nothing would be answered any more about ``rows``, or any image; waits for the device."""
        return self.ledger is not None and self.ledger.spent(rows)

    def forward(self, inputs: Tensor, rows: Tensor | None = None, counted: Tensor | None = None) -> Tensor:
        """Return what the access shows of the logits, float32 (Q, classes); ``rows``, ``counted``: see the ledger."""
        if self.access != "gradients" and inputs.requires_grad and torch.is_grad_enabled():
            # Some engines would go on with the gradients of their other terms, and find little.
            raise JobFailedError(f'the attack asks for gradients, which access = "{self.access}" does not show')
        ledger = self.ledger
        if ledger is not None and ledger.budget is not None and ledger.asked_alike >= ledger.budget:
            raise BudgetSpentError
        inputs = inputs.float()
        with torch.set_grad_enabled(self.access == "gradients" and torch.is_grad_enabled()):
            logits = self.network(inputs)
        if ledger is not None:
            labels, answered = ledger.record(inputs.detach(), logits.detach(), rows, counted)
            if answered is not None:
                refusal = torch.zeros_like(logits).scatter_(1, labels[:, None], 1.0)
                logits = torch.where(answered[:, None], logits, refusal)
        if self.access == "decisions":
            decisions = logits.argmax(dim=1, keepdim=True)
            return torch.zeros_like(logits, dtype=torch.float32).scatter_(1, decisions, 1.0)
        return logits if self.access == "gradients" else logits.detach()


@contextmanager
def guarded(network: nn.Module) -> Iterator[None]:
    """Hold a model in eval mode with frozen parameters; put everything back, and refuse a model that was changed.

    Raises:
        JobFailedError: weights or BatchNorm statistics differ afterwards; they have been restored.
    """
    training = network.training
    wanted = [parameter.requires_grad for parameter in network.parameters()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.eval().requires_grad_(False)
    try:
        yield
    finally:
        network.train(training)
        for parameter, wants in zip(network.parameters(), wanted, strict=True):
            parameter.requires_grad_(wants)
        changed = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
        if changed:
            network.load_state_dict(before)
    if changed:
        raise JobFailedError(f"the attack changed the model ({', '.join(changed[:3])}); it was restored")
