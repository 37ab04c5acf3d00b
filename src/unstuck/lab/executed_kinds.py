"""What an operation does to an activation: moves it, mixes it, bends it.

Names are those of ATen, the level that every model ends at, whatever wrote it.
"""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor

Kind = Literal["root", "same", "part", "linear", "spatial", "attend", "bend"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# one number of the input a number of the output, only scaled, moved, left out or averaged
SAME = _words("""
    view reshape _unsafe_view _reshape_alias permute transpose t expand clone contiguous _to_copy
    alias detach slice split split_with_sizes chunk squeeze unsqueeze narrow
    constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d
    replication_pad2d replication_pad3d _pad_circular upsample_nearest1d upsample_nearest2d
    upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d upsample_linear1d
    upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d _upsample_bilinear2d_aa
    _upsample_bicubic2d_aa avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d
    max_pool2d_with_indices max_pool3d_with_indices mkldnn_max_pool2d adaptive_avg_pool1d
    _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d mean sum amax
    max native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training
    cudnn_batch_norm miopen_batch_norm _batch_norm_no_update _batch_norm_with_update
    native_layer_norm native_group_norm _fused_rms_norm native_dropout dropout mul div neg add sub
    rsub cat stack index index_select gather flip roll im2col col2im unfold as_strided pixel_shuffle
    pixel_unshuffle channel_shuffle copy copy_ index_put _index_put_impl scatter scatter_add
    index_add index_copy slice_scatter select_scatter repeat masked_fill where grid_sampler_2d
    view_as_real view_as_complex _conj diagonal fill max_unpool2d movedim lift_fresh set_ resize_
""")
CONVOLUTIONS = _words("""
    convolution _convolution cudnn_convolution cudnn_convolution_transpose mkldnn_convolution
    convolution_overrideable slow_conv_dilated2d _slow_conv2d_forward thnn_conv2d slow_conv3d
    _conv_depthwise2d conv_depthwise3d cudnn_convolution_relu
""")
PRODUCTS = _words("""
    mm addmm bmm baddbmm mv addmv dot linear mkldnn_linear _addmm_activation matmul addbmm
    _scaled_mm _int_mm
""")
ATTENTION = _words("""
    _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention
    _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
    _scaled_dot_product_attention_math _scaled_dot_product_fused_attention_overrideable
    scaled_dot_product_attention _native_multi_head_attention _flash_attention_forward
    _transformer_encoder_layer_fwd
""")
RECURRENT = _words("""
    lstm gru rnn_tanh rnn_relu mkldnn_rnn_layer _cudnn_rnn lstm_cell _thnn_fused_lstm_cell
    _thnn_fused_gru_cell
""")
FOURIER = _words("""
    _fft_r2c _fft_c2c _fft_c2r stft istft
""")
PARTS = frozenset({"select", "unbind"})  # one moment of a sequence has nothing of another
FACTORIES = _words("""
    zeros_like ones_like full_like empty_like rand_like randn_like randint_like new_zeros new_ones
    new_full new_empty new_empty_strided bernoulli multinomial normal poisson _fused_dropout
""")
JOINS = frozenset({"add", "sub", "cat"})  # what a skip can be joined by; also written in place


def plain(name: str) -> str:
    """`aten::add_` and `aten::add.Tensor` are both `add`."""
    short = name.rsplit("::", 1)[-1].split(".")[0]
    return short if short in ("copy_", "set_", "resize_") else short.rstrip("_")


def kind_of(name: str, args: Sequence[Any], inside_rnn: bool, active: Sequence[bool]) -> Kind:
    """What `name` does to the activations among its arguments (`active`, of the tensors in order).

    A product of two activations attends; with weights it is linear in each place of its own. A
    convolution with a kernel of one number is such a product, too.
    """
    if inside_rnn or name in RECURRENT or name in FOURIER:
        return "spatial"
    if name in ATTENTION:
        return "attend"
    if name in PRODUCTS:
        return "attend" if sum(active) > 1 else "linear"
    if name in CONVOLUTIONS:
        weight = next((a for a in args[1:] if isinstance(a, Tensor)), None)
        wide = weight is not None and any(k > 1 for k in weight.shape[2:])
        return "spatial" if wide else "linear"
    if name in PARTS:
        return "part"
    return "same" if name in SAME else "bend"


def carriers(name: str, kind: Kind, out: Tensor, inputs: Sequence[Tensor]) -> list[int]:
    """Which of the activations handed in the result is made from, rather than steered by.

    In attention it is the queries; in a sum or product of unequal shapes the one of full shape: a
    gate, a time embedding and a statistic are broadcast.
    """
    if len(inputs) < 2:
        return list(range(len(inputs)))
    if kind == "attend":
        return [0]
    if name in ("mul", "div", "add", "sub", "rsub", "where", "masked_fill", "pow", "lerp"):
        full = [i for i, t in enumerate(inputs) if t.shape == out.shape and not is_broadcast(t)]
        return full or list(range(len(inputs)))
    return list(range(len(inputs)))


def is_broadcast(tensor: Tensor) -> bool:
    """Whether one number stands in several places of it."""
    pairs = zip(tensor.shape, tensor.stride(), strict=True)
    return any(length > 1 and step == 0 for length, step in pairs)


def channel_after(
    name: str, kind: Kind, channel: int | None, before: Tensor, out: Tensor, args: Sequence[Any]
) -> int | None:
    """Which dimension of the result holds the channels; None where that cannot be told."""
    if name in CONVOLUTIONS:
        return 1
    if name in PRODUCTS or name == "embedding":
        return out.ndim - 1 if kind != "attend" else None
    if kind == "attend" or channel is None:
        return None
    if name in ("permute", "transpose", "t"):
        order = list(range(before.ndim))
        if name == "permute":
            order = [d % before.ndim for d in args[1]]
        elif name == "transpose":
            a, b = args[1] % before.ndim, args[2] % before.ndim
            order[a], order[b] = order[b], order[a]
        else:
            order = order[::-1]
        return order.index(channel)
    if out.shape == before.shape:
        return channel
    if name in ("view", "reshape", "_unsafe_view", "_reshape_alias", "unsqueeze", "squeeze"):
        return _kept(channel, before.shape, out.shape)
    return channel if out.ndim == before.ndim else None


def _kept(channel: int, before: Sequence[int], after: Sequence[int]) -> int | None:
    """A dimension of the new shape with the same length and as many numbers in front of it."""
    ahead = _product(before[:channel])
    for place, length in enumerate(after):
        if length == before[channel] and _product(after[:place]) == ahead:
            return place
    return None


def _product(lengths: Sequence[int]) -> int:
    total = 1
    for length in lengths:
        total *= length
    return total
