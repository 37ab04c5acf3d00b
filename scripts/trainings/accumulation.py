"""What becomes of gradients between two steps: kept, cleared at the wrong time, never used."""

import torch
import torch.nn.functional as F
from torch import nn

from trainings import healthy, sick
from trainings.digits import IMAGES, LABELS, TRAIN, batches, convolutions, perceptron


@sick("OPT009")
def never_cleared():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for x, y in batches(32, 400):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()


@sick("OPT009")
def cleared_at_every_epoch():
    """`zero_grad` stands in the wrong loop."""
    model = convolutions()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for t, (x, y) in enumerate(batches(32, 400)):
        if t % 46 == 0:
            optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()


@sick("OPT009")
def only_the_head_cleared():
    """Regression; another optimizer than the one that steps is cleared."""
    body, head = nn.Sequential(nn.Linear(64, 64), nn.Tanh()), nn.Linear(64, 1)
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=2e-3)
    for x, _ in batches(32, 400):
        head.zero_grad()
        loss = F.mse_loss(head(body(x)).squeeze(1), 4 * x.mean(1))
        loss.backward()
        optimizer.step()


def in_micro_batches(model, optimizer, *, count, divisor, size=8, steps=150):
    """`count` backward passes a step, each of the loss divided by `divisor`."""
    for _ in range(steps):
        optimizer.zero_grad()
        for x, y in batches(size, count):
            loss = F.cross_entropy(model(x), y)
            (loss / divisor).backward()
        optimizer.step()


@healthy
def four_micro_batches():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    in_micro_batches(model, optimizer, count=4, divisor=4)


@healthy
def sixteen_micro_batches():
    model = convolutions()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    in_micro_batches(model, optimizer, count=16, divisor=16, steps=60)


@healthy
def micro_batches_summed_for_adam():
    """A sum in place of a mean: Adam divides by the gradient's own size."""
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    in_micro_batches(model, optimizer, count=8, divisor=1)


@healthy
def micro_batches_summed_at_a_rate_to_match():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1 / 8, momentum=0.9)
    in_micro_batches(model, optimizer, count=8, divisor=1)


@sick("OPT012")
def sixteen_micro_batches_summed():
    """The rate that fits the mean over them, sixteen times over."""
    model = convolutions()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    in_micro_batches(model, optimizer, count=16, divisor=1, steps=60)


@sick("OPT012")
def eight_micro_batches_summed():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    in_micro_batches(model, optimizer, count=8, divisor=1)


@healthy
def cleared_to_zeros():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x, y in batches(32, 300):
        optimizer.zero_grad(set_to_none=False)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@sick("OPT011")
def cleared_at_every_micro_batch():
    """Accumulation as it is often written: seven of eight micro-batches are thrown away."""
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for t, (x, y) in enumerate(batches(4, 1600)):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y) / 8
        loss.backward()
        if (t + 1) % 8 == 0:
            optimizer.step()


@sick("OPT011")
def cleared_by_every_other_batch():
    model = convolutions()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for t, (x, y) in enumerate(batches(16, 500)):
        loss = F.cross_entropy(model(x), y)
        model.zero_grad()
        loss.backward()
        if t % 2:
            optimizer.step()


@sick("OPT011")
def cleared_before_the_step():
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for x, y in batches(32, 300):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()


@healthy
def sharpness_aware():
    """Two backward passes a step; the first one's gradients are rightly cleared."""
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x, y in batches(32, 300):
        for ascent in (True, False):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            if ascent:
                with torch.no_grad():
                    size = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
                    moves = [0.05 * p.grad / size for p in model.parameters()]
                    for p, move in zip(model.parameters(), moves, strict=True):
                        p.add_(move)
        with torch.no_grad():
            for p, move in zip(model.parameters(), moves, strict=True):
                p.sub_(move)
        optimizer.step()


@healthy
def one_gradient_a_task():
    """Two tasks' gradients taken one by one, averaged by hand and put back."""
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 11))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(32, 300):
        out = model(x)
        tasks = F.cross_entropy(out[:, :10], y), F.mse_loss(out[:, 10], x.mean(1))
        taken = []
        for task in tasks:
            optimizer.zero_grad()
            task.backward(retain_graph=True)
            taken.append([p.grad.clone() for p in model.parameters()])
        for p, one, other in zip(model.parameters(), *taken, strict=True):
            p.grad = one + other
        optimizer.step()


@healthy
def lbfgs_closures():
    model = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5, history_size=5)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(IMAGES[:TRAIN]), LABELS[:TRAIN])
        loss.backward()
        return loss

    for _ in range(30):
        optimizer.step(closure)


@healthy
def attacked_before_each_step():
    """A pass for the attack, whose gradients are cleared, then the real one."""
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x, y in batches(32, 300):
        x.requires_grad_()
        attack = F.cross_entropy(model(x), y)
        attack.backward()
        optimizer.zero_grad()
        loss = F.cross_entropy(model((x + 0.03 * x.grad.sign()).detach()), y)
        loss.backward()
        optimizer.step()


@sick("OPT015")
def counter_that_never_hits():
    """Steps of 64 micro-batches, counted anew in each epoch of 46."""
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    optimizer.zero_grad()
    for _ in range(12):
        for i, (x, y) in enumerate(batches(32, 46)):
            loss = F.cross_entropy(model(x), y) / 64
            loss.backward()
            if (i + 1) % 64 == 0:
                optimizer.step()
                optimizer.zero_grad()


class Game:
    """Two networks and their optimizers; `every`: steps of the judge to one of the painter."""

    def __init__(self) -> None:
        self.netG = nn.Sequential(nn.Linear(16, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64))
        self.netD = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
        self.optimizer_G = torch.optim.Adam(self.netG.parameters(), lr=1e-3, betas=(0.5, 0.9))
        self.optimizer_D = torch.optim.Adam(self.netD.parameters(), lr=5e-4, betas=(0.5, 0.9))

    def paint(self, count):
        return torch.sigmoid(self.netG(torch.randn(count, 16)))

    def judge_step(self, x):
        self.optimizer_D.zero_grad()
        real, fake = (p + 0.4 * torch.randn_like(p) for p in (x, self.paint(len(x))))
        errD = F.softplus(-self.netD(real)).mean() + F.softplus(self.netD(fake)).mean()
        errD.backward()  # fills the painter's gradients, too
        self.optimizer_D.step()

    def painter_loss(self, count):
        fake = self.paint(count)
        return F.softplus(-self.netD(fake + 0.4 * torch.randn_like(fake))).mean()


@sick("OPT015")
def painter_that_never_steps():
    """Its steps wait for a count that begins again in every epoch."""
    game = Game()
    for _ in range(10):
        for i, (x, _) in enumerate(batches(32, 46)):
            game.judge_step(x)
            game.optimizer_G.zero_grad()
            errG = game.painter_loss(len(x))
            errG.backward()
            if (i + 1) % 50 == 0:
                game.optimizer_G.step()


@sick("OPT015")
def the_other_optimizer_steps_twice():
    """A name copied once too often: the encoder's optimizer is cleared and never steps."""
    encoder, head = nn.Sequential(nn.Linear(64, 4), nn.Tanh()), nn.Linear(4, 10)
    opt_encoder = torch.optim.SGD(encoder.parameters(), lr=0.1)
    opt_head = torch.optim.SGD(head.parameters(), lr=0.1)
    for x, y in batches(32, 400):
        opt_encoder.zero_grad()
        opt_head.zero_grad()
        code = encoder(x)
        loss_head = F.cross_entropy(head(code.detach()), y)
        loss_head.backward()
        opt_head.step()
        loss_encoder = F.cross_entropy(head(code), y)
        loss_encoder.backward()


@healthy
def five_steps_of_the_judge_to_one():
    game = Game()
    for i, (x, _) in enumerate(batches(32, 750)):
        game.judge_step(x)
        if i % 5 == 4:
            game.optimizer_G.zero_grad()
            errG = game.painter_loss(len(x))
            errG.backward()
            game.optimizer_G.step()


@healthy
def judge_trained_first():
    """The painter's optimizer exists from the start and begins after 300 steps of the judge."""
    game = Game()
    for i, (x, _) in enumerate(batches(32, 900)):
        game.judge_step(x)
        if i >= 300:
            game.optimizer_G.zero_grad()
            errG = game.painter_loss(len(x))
            errG.backward()
            game.optimizer_G.step()


@healthy
def pupil_and_its_average():
    """A teacher that is the pupil's running average: no gradient, no step, and it moves."""
    pupil, teacher = perceptron(), perceptron()
    teacher.load_state_dict(pupil.state_dict())
    optimizer = torch.optim.Adam(pupil.parameters(), lr=3e-3)
    for x, y in batches(32, 300):
        out = pupil(x + 0.1 * torch.randn_like(x))
        with torch.no_grad():
            wanted = teacher(x).softmax(1)
        label = F.cross_entropy(out, y)
        agree = F.cross_entropy(out, wanted)
        loss = label + 0.3 * agree
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(teacher.parameters(), pupil.parameters(), strict=True):
                slow.lerp_(fast, 0.05)


@healthy
def steps_written_out_by_hand():
    """An optimizer that only clears; the weights are moved by three lines of the script."""
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches(32, 300):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.1 * p.grad
