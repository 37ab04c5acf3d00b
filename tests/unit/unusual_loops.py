"""Loops that use what few loops use; each trains and returns all state, as those of `loops`."""

import torch
import torch.nn.functional as F
from loops import state
from torch import nn
from torch.utils.checkpoint import checkpoint

STEPS = 52  # the first five, 16, 32 and 48 are sampled, 1, 3 and 48 by term


def two_terms(answer, x, weight):
    fit = (answer - x[:, :1]).square().mean()
    small = weight.square().mean()
    return fit, small


def loop(model, optimizer, make, steps=STEPS, weight=None, before=None):
    """Train on a loss of two terms; `before` is told of the answer and the loss."""
    weight = weight if weight is not None else next(model.parameters())
    for step in range(steps):
        x = make()
        answer = model(x)
        fit, small = two_terms(answer, x.flatten(1), weight)
        loss = fit + 0.1 * small
        if before:
            before(step, answer, loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return state([model], [optimizer])


class Checkpointed(nn.Module):
    """Batch statistics and dropout inside a part that the backward pass runs again."""

    def __init__(self, reentrant):
        super().__init__()
        self.reentrant = reentrant
        self.first = nn.Linear(6, 8)
        self.inside = nn.Sequential(
            nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 8)
        )
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        hidden = checkpoint(self.inside, self.first(x), use_reentrant=self.reentrant)
        return self.head(hidden)


def checkpointed(reentrant):
    torch.manual_seed(0)
    model = Checkpointed(reentrant)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return loop(model, optimizer, lambda: torch.randn(8, 6))


def channels_last():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(216, 1)
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)

    def make():
        return torch.randn(4, 3, 8, 8).to(memory_format=torch.channels_last)

    return loop(model, optimizer, make)


def functional_weights():
    """No module at all: weights are tensors of the script's."""
    torch.manual_seed(0)
    w1, w2 = (torch.randn(6, 6) / 2).requires_grad_(), torch.randn(1, 6).requires_grad_()
    optimizer = torch.optim.Adam([w1, w2], lr=1e-2)
    for _ in range(STEPS):
        x = torch.randn(8, 6)
        answer = F.linear(torch.tanh(F.linear(x, w1)), w2)
        fit, small = two_terms(answer, x, w1)
        loss = fit + small
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [w1.detach(), w2.detach(), *state([], [optimizer])]


def grown():
    """A module is made, and another is put in place of one, in the middle of the run."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    loop(model, optimizer, lambda: torch.randn(8, 6), 20)
    model[1] = nn.GELU()
    model.insert(2, nn.Linear(6, 6))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return loop(model, optimizer, lambda: torch.randn(8, 6), 40)


class Drawn(torch.utils.data.Dataset):
    def __len__(self):
        return 240

    def __getitem__(self, index):
        return torch.randn(6, generator=torch.Generator().manual_seed(index))


def workers():
    """Data comes from a forked process."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    held = torch.utils.data.DataLoader(
        Drawn(), 12, shuffle=True, num_workers=1, multiprocessing_context="fork"
    )
    for x in held:
        loop(model, optimizer, lambda x=x: x, 1)
    return state([model], [optimizer])


def hooks_on_tensors():
    """The user counts what passes through a tensor in the middle, and keeps another's gradient."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    seen = torch.zeros(())

    def count(gradient):
        seen.add_(1)
        return gradient * 0.9

    for _ in range(STEPS):
        x = torch.randn(8, 6)
        hidden = model[1](model[0](x))
        hidden.register_hook(count)
        answer = model[2](hidden)
        answer.retain_grad()
        fit, small = two_terms(answer, x, model[0].weight)
        loss = fit + 0.1 * small
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen += answer.grad.sum()
    return [seen, *state([model], [optimizer])]


def hooks_on_modules():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    seen = torch.zeros(())
    model[2].register_full_backward_hook(lambda *a: seen.add_(1) and None)
    model[0].weight.register_post_accumulate_grad_hook(lambda p: seen.add_(1) and None)
    return [seen, *loop(model, optimizer, lambda: torch.randn(8, 6))]


def kept_graph():
    """Two backward passes through one graph."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    return loop(
        model,
        optimizer,
        lambda: torch.randn(8, 6),
        before=lambda step, answer, loss: (0.5 * answer.mean()).backward(retain_graph=True),
    )


def functional_gradients():
    """torch.func: no backward call, no optimizer, vectorised over models."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 1))
    values = {n: p.detach() for n, p in model.named_parameters()}

    def loss_of(values, x):
        return (torch.func.functional_call(model, values, (x,)) - x[:1]).square().mean()

    for _ in range(20):
        single = torch.func.vmap(torch.func.grad(loss_of), in_dims=(None, 0))
        found = single(values, torch.randn(5, 6))
        values = {n: v - 0.1 * found[n].mean(0) for n, v in values.items()}
    return [*values.values(), torch.get_rng_state()]


def parametrised():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6)),
        nn.ReLU(),
        nn.utils.parametrizations.weight_norm(nn.Linear(6, 1)),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return loop(model, optimizer, lambda: torch.randn(8, 6))


def tied():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Linear(6, 1))
    model[2].weight = model[0].weight
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return loop(model, optimizer, lambda: torch.randn(8, 6))


def sparse():
    torch.manual_seed(0)
    words, head = nn.Embedding(20, 6, sparse=True), nn.Linear(6, 1)
    model = nn.Sequential(words, head)
    both = torch.optim.SparseAdam(words.parameters()), torch.optim.Adam(head.parameters())
    for _ in range(STEPS):
        asked = torch.randint(20, (8,))
        fit = (model(asked) - asked[:, None] / 20).square().mean()
        small = head.weight.square().mean()
        loss = fit + small
        for optimizer in both:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in both:
            optimizer.step()
    return state([model], both)


class Rotation(nn.Module):
    def __init__(self):
        super().__init__()
        self.phase = nn.Parameter(torch.randn(6, 3, dtype=torch.complex64))
        self.head = nn.Linear(3, 1)

    def forward(self, x):
        return self.head((x.to(self.phase.dtype) @ self.phase).abs())


def complex_weights():
    torch.manual_seed(0)
    model = Rotation()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return loop(model, optimizer, lambda: torch.randn(8, 6), weight=model.head.weight)


def closures():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 1))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
    x = torch.randn(16, 6)

    def closure():
        fit, small = two_terms(model(x), x, model[0].weight)
        loss = fit + 0.1 * small
        optimizer.zero_grad()
        loss.backward()
        return loss

    for _ in range(20):
        optimizer.step(closure)
    return state([model], [optimizer])


class Fragile(nn.Module):
    """Its forward pass fails now and then, on sampled steps too."""

    def __init__(self):
        super().__init__()
        self.first, self.drop, self.head = nn.Linear(6, 6), nn.Dropout(0.1), nn.Linear(6, 1)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        hidden = self.drop(self.first(x))
        if self.calls % 3 == 2:
            raise ValueError("a bad batch")
        return self.head(hidden)


def errors_in_forward():
    torch.manual_seed(0)
    model = Fragile()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(STEPS):
        try:
            loop(model, optimizer, lambda: torch.randn(8, 6), 1)
        except ValueError:
            continue
    return state([model], [optimizer])


def skipped_steps():
    """Half precision whose scale overflows: the scaler leaves steps out."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=4)
    for step in range(STEPS):
        x = torch.randn(8, 6) * (1e38 if step % 9 == 5 else 1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            fit, small = two_terms(model(x).float(), x, model[0].weight)
            loss = fit + 0.1 * small
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return [torch.tensor(scaler.get_scale()), *state([model], [optimizer])]


def two_stages():
    """A head first, then everything at another rate: fine-tuning."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1))
    head = torch.optim.SGD(model[2].parameters(), lr=1e-2)
    loop(model, head, lambda: torch.randn(8, 6), 25)
    whole = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    return loop(model, whole, lambda: torch.randn(8, 6), 30)


LOOPS = {
    "checkpointed": lambda: checkpointed(False),
    "checkpointed_reentrant": lambda: checkpointed(True),
    "channels_last": channels_last,
    "functional_weights": functional_weights,
    "grown": grown,
    "workers": workers,
    "hooks_on_tensors": hooks_on_tensors,
    "hooks_on_modules": hooks_on_modules,
    "kept_graph": kept_graph,
    "functional_gradients": functional_gradients,
    "parametrised": parametrised,
    "tied": tied,
    "sparse": sparse,
    "complex_weights": complex_weights,
    "closures": closures,
    "errors_in_forward": errors_in_forward,
    "skipped_steps": skipped_steps,
    "two_stages": two_stages,
}
WITHOUT_MODULES = {"functional_weights", "functional_gradients"}
WITHOUT_STEPS = {"functional_gradients"}
