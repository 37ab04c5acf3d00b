"""Losses and what they are made of, seen where a backward pass begins."""

from collections.abc import Mapping
from types import CodeType, FrameType

import torch
from torch import Tensor

from unstuck.watcher.collector import Watched
from unstuck.watcher.extra_pass import TensorHooks, hooked, undisturbed
from unstuck.watcher.modules import Modules
from unstuck.watcher.naming import called_on, clean, handed_in
from unstuck.watcher.optimizers import Optimizers
from unstuck.watcher.ranks import backward_talks
from unstuck.watcher.recorder import Recorder
from unstuck.watcher.statistics import dense, norms, one
from unstuck.watcher.terms import Terms, discover, named_scalars

Site = tuple[CodeType, int] | tuple[CodeType, int, str]  # a place in a script, and for whom
MOST_BYTES = 2 << 30  # of gradients held at once for the cosines; above, shares only by value


class Losses:
    """Names each loss, records its value and terms, applies changed weights."""

    def __init__(
        self,
        recorder: Recorder,
        watched: Watched,
        modules: Modules,
        optimizers: Optimizers,
    ) -> None:
        self._recorder = recorder
        self._watched = watched
        self._modules = modules
        self._optimizers = optimizers
        self._interventions = watched.interventions
        self._sites: dict[Site, str] = {}
        self._local: dict[tuple[CodeType, int], str] = {}  # what it is called where it is called
        self._handed_in: set[tuple[CodeType, int]] = set()  # places where that is an argument
        self.tensor_hooks = TensorHooks()
        self._hooks_on_tensors = False  # the user has put some on the running step's graph
        self._one_pass_only: set[str] = set()  # losses whose graph fails in an extra pass
        self._is_root: dict[str, bool] = {}  # loss -> what backward is called on is the loss
        self.asked = False  # somebody wants the next loss's terms
        self.found: Terms | None = None  # and these are they

    def before_backward(self, root: Tensor, frame: FrameType) -> tuple[Tensor, str]:
        """Record what `root` stands for; returns it, reweighted if asked, and the loss's name."""
        name = self._name(frame)
        clock = self._recorder.clock
        if clock.backward(name):
            self._recorder.new_step()
        self._optimizers.backward(name)
        self._hooks_on_tensors = self.tensor_hooks.take()
        closely = self._recorder.schedule.layers
        if closely or self._modules.listening:
            self._modules.commit(closely)
            self._watched.commit(closely)
        changed = bool(self._interventions)
        loss = root
        self.found = None
        if closely or changed or self.asked or not self._is_root.get(name, False):
            scalars = named_scalars(frame)
            local = self._local[frame.f_code, frame.f_lasti]
            if self._hooks_on_tensors:  # they would see the terms' weights being asked for
                for key in [key for key, (called, _) in scalars.items() if called != local]:
                    del scalars[key]
            terms = discover(root, local, scalars)
            self._is_root[name] = terms.loss is root
            self.found = terms
            loss = terms.loss
            if changed:
                root, terms = self._changed(name, root, terms)
                loss = terms.loss
            if closely:
                self._record(name, terms)
        self._recorder.loss(name, loss)
        if self._modules.latents:
            self._modules.forget_latents()
        self._watched.step_event("before_backward", name, root, loss)
        return root, name

    def _changed(self, name: str, root: Tensor, terms: Terms) -> tuple[Tensor, Terms]:
        """Where the backward pass begins with the live changes, and what that is made of."""
        excess = self._interventions.calls.excess(terms.loss)
        begun, made_of = self._interventions.loss(name, root, terms)
        if begun is not root or excess is not None:
            written = terms.loss.detach()
            if excess is not None:
                written = written - excess.reshape(written.shape)
            self._recorder.scalar(f"objective/{name}", written)
        return begun, made_of

    def _name(self, frame: FrameType) -> str:
        """The loss's name; two places of one script never share a name.

        A function that is handed losses (`step(optimizer, loss)`) has one for each name that its
        callers give them.
        """
        place = (frame.f_code, frame.f_lasti)
        site: Site = place
        if place in self._handed_in or place not in self._local:
            local = self._local.setdefault(place, called_on(frame) or "loss")
            caller = handed_in(frame, local)
            if caller is not None:
                self._handed_in.add(place)
                site = (*place, caller[1] or local)
        if site not in self._sites:
            self._sites[site] = self._unique(site[-1] if len(site) == 3 else local, frame)
        return self._sites[site]

    def _unique(self, wanted: str, frame: FrameType) -> str:
        taken = set(self._sites.values())
        name = clean(wanted)
        if name in taken:
            name = f"{frame.f_code.co_name}.{name}"
        unique, count = name, 1
        while unique in taken:
            count += 1
            unique = f"{name}.{count}"
        return unique

    def _record(self, loss: str, terms: Terms) -> None:
        if not terms.terms:
            return
        names = list(terms.terms)
        both = [*terms.terms.values(), *terms.weights.values()]

        def named(values: list[float]) -> dict[str, float]:
            value, weight = values[: len(names)], values[len(names) :]
            parts = [abs(v * w) for v, w in zip(value, weight, strict=True)]
            whole = sum(parts)
            found: dict[str, float] = {}
            for n, v, w, p in zip(names, value, weight, parts, strict=True):
                found[f"term/{loss}/{n}"] = v
                found[f"weight/{loss}/{n}"] = w
                found[f"share/{loss}/{n}"] = p / whole if whole else 0.0
            return found

        self._recorder.vector(both, named)
        if len(names) > 1 and self._recorder.schedule.terms:
            self._record_gradients(loss, terms)

    def _record_gradients(self, loss: str, terms: Terms) -> None:
        """One backward pass per term, into nobody's `.grad`: shares, cosines, pull on latents."""
        parameters = self._optimizers.trained_by(loss)
        size = sum(p.numel() * p.element_size() for p in parameters)
        if (
            not parameters
            or size * len(terms.terms) > MOST_BYTES
            or self._one_pass(loss, parameters)
        ):
            return
        held = self._modules.latents.items()
        latents = [(name, z) for name, calls in held for z in calls if z.requires_grad]
        inputs = [*parameters, *(z for _, z in latents)]
        try:
            gradients = self._term_gradients(terms, parameters, inputs)
        except RuntimeError as error:  # a graph that can be walked only once, or no memory
            self._one_pass_only.add(loss)
            self._recorder.note({f"terms/{loss}/error": str(error)[:200]})
            return
        count = len(parameters)
        of_terms = {n: g[:count] for n, g in gradients.items()}
        self._record_shares(loss, of_terms)
        self._watched.sampled("term_gradients", loss, parameters, of_terms)
        for name, found in gradients.items():
            self._record_pull(f"{loss}:{name}", latents, found[count:])

    def _term_gradients(
        self, terms: Terms, parameters: list[Tensor], inputs: list[Tensor]
    ) -> dict[str, list[Tensor | None]]:
        found: dict[str, list[Tensor | None]] = {}
        self._modules.busy = True  # forwards in the passes are recomputations
        try:
            with undisturbed(self._modules.models.values(), parameters):
                for name, term in terms.terms.items():
                    weight = terms.weights[name].reshape(term.shape).to(term.dtype)
                    found[name] = list(
                        torch.autograd.grad(
                            term, inputs, weight, retain_graph=True, allow_unused=True
                        )
                    )
        finally:
            self._modules.busy = False
        return found

    def _one_pass(self, loss: str, parameters: list[Tensor]) -> bool:
        """Whether the user's own hooks, or other ranks, would notice the extra backward passes."""
        models = self._modules.models.values()
        return (
            self._hooks_on_tensors
            or loss in self._one_pass_only
            or hooked(models, parameters)
            or backward_talks(models)
        )

    def _record_shares(self, loss: str, gradients: Mapping[str, list[Tensor | None]]) -> None:
        names = list(gradients)
        flat = {n: [dense(g) for g in found if g is not None] for n, found in gradients.items()}
        zero = torch.zeros(())
        sizes = [norms(f).norm() if f else zero for f in flat.values()]
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        dots = [_dot(gradients[a], gradients[b]) for a, b in pairs]

        def named(values: list[float]) -> dict[str, float]:
            size = dict(zip(names, values[: len(names)], strict=True))
            whole = sum(size.values())
            found = {f"gradient_share/{loss}/{n}": s / whole for n, s in size.items() if whole}
            for (a, b), dot in zip(pairs, values[len(names) :], strict=True):
                if size[a] and size[b]:
                    found[f"gradient_cosine/{loss}/{a}:{b}"] = dot / (size[a] * size[b])
            return found

        self._recorder.vector([*sizes, *dots], named)

    def _record_pull(
        self, term: str, latents: list[tuple[str, Tensor]], gradients: list[Tensor | None]
    ) -> None:
        """Cosine between the term's gradient on a latent and its deviation from the batch mean."""
        parts: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {}
        for (name, z), gradient in zip(latents, gradients, strict=True):
            if gradient is not None:
                values = z.detach().float()
                deviation = values - values.mean(dim=0, keepdim=True)
                g = gradient.float()
                parts.setdefault(name, []).append(
                    ((g * deviation).sum(), g.square().sum(), deviation.square().sum())
                )
        for name, found in parts.items():
            dot, g2, d2 = (torch.stack(list(column)).sum() for column in zip(*found, strict=True))
            cosine = dot / (g2.sqrt() * d2.sqrt()).clamp_min(1e-30)
            key = f"latent/{name}/pull/{term}"
            self._recorder.vector([cosine], one(key))


def _dot(one: list[Tensor | None], other: list[Tensor | None]) -> Tensor:
    products = [
        (dense(a).float() * dense(b).float()).sum()
        for a, b in zip(one, other, strict=True)
        if a is not None and b is not None and not a.is_sparse
    ]
    return torch.stack(products).sum() if products else torch.zeros(())
