"""Small real training loops for the tests of the watcher: each trains and returns all state."""

import torch
import torch.nn.functional as F
from torch import nn


def state(models, optimizers):
    """Every number a loop leaves behind: weights, buffers, optimizer state, random state."""
    tensors = [t for m in models for t in m.state_dict().values()]
    for optimizer in optimizers:
        for held in optimizer.state_dict()["state"].values():
            tensors += [v for v in held.values() if isinstance(v, torch.Tensor)]
    return [*tensors, torch.get_rng_state()]


def mlp(steps=70):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(steps):
        x = torch.randn(8, 10)
        loss = F.cross_entropy(model(x), x[:, :3].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return state([model], [optimizer])


def cnn(steps=65):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(6 * 36, 4),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        x, y = torch.randn(6, 1, 8, 8), torch.randint(4, (6,))
        data = F.cross_entropy(model(x), y)
        decay = sum(p.square().sum() for p in model.parameters())
        loss = data + 1e-3 * decay
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if step % 20 == 19:
            model.eval()
            with torch.no_grad():
                F.cross_entropy(model(x), y)
            model.train()
    return state([model], [optimizer])


def lstm(steps=65):
    torch.manual_seed(0)

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(11, 8)
            self.encoder = nn.LSTM(8, 12, 2, batch_first=True, dropout=0.2)
            self.head = nn.Linear(12, 5)

        def forward(self, x):
            return self.head(self.encoder(self.embedding(x))[0])

    model = Tagger()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    for _ in range(steps):
        x = torch.randint(11, (4, 7))
        loss = F.cross_entropy(model(x).flatten(0, 1), x.flatten() % 5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return state([model], [optimizer])


class Gan:
    """A hand-made GAN class: networks, optimizers and losses are attributes of `self`."""

    def __init__(self):
        self.net_g = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 6))
        self.net_d = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 2))
        self.opt_g = torch.optim.Adam(self.net_g.parameters(), lr=1e-3, betas=(0.5, 0.9))
        self.opt_d = torch.optim.Adam(self.net_d.parameters(), lr=1e-3, betas=(0.5, 0.9))
        self.w1, self.w2, self.w3 = 0.25, 100.0, 15.0

    def train_d(self, real, fake):
        judged = self.net_d(real)[:, 0], self.net_d(fake.detach())[:, 0]
        self.d_real = F.softplus(-judged[0]).mean()
        self.d_fake = F.softplus(judged[1]).mean()
        self.d_loss = (self.d_real + self.d_fake) / 2
        self.opt_d.zero_grad()
        self.d_loss.backward()
        self.opt_d.step()

    def train_g(self, real, fake):
        judged = self.net_d(fake)
        self.adv = F.softplus(-judged[:, 0]).mean()
        self.l1 = F.l1_loss(fake, real)
        self.const = F.mse_loss(fake.mean(0), real.mean(0))
        self.cat = judged[:, 1].square().mean()
        w1, w2, w3 = self.w1, self.w2, self.w3
        self.g_loss = self.adv * w1 + self.l1 * w2 + self.const * w3 + self.cat
        self.opt_g.zero_grad()
        self.g_loss.backward()
        self.opt_g.step()


def gan(steps=65):
    torch.manual_seed(0)
    game = Gan()
    for _ in range(steps):
        real, fake = torch.randn(8, 6), game.net_g(torch.randn(8, 4))
        game.train_d(real, fake)
        game.train_g(real, fake)
    return state([game.net_g, game.net_d], [game.opt_g, game.opt_d])


def accumulated_amp(steps=30, micro=4):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 32), nn.GELU(), nn.Linear(32, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    for _ in range(steps):
        optimizer.zero_grad()
        for _ in range(micro):
            x = torch.randn(4, 10)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                fit = F.mse_loss(model(x).float(), x[:, :1])
                small = model[0].weight.square().mean()
                loss = fit + 0.01 * small
            scaler.scale(loss / micro).backward()
        scaler.step(optimizer)
        scaler.update()
    return state([model], [optimizer])


LOOPS = {"mlp": mlp, "cnn": cnn, "lstm": lstm, "gan": gan, "accumulated_amp": accumulated_amp}
