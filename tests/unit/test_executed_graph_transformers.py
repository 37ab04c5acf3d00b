"""Skips of the library's own models, built from small configurations; nothing is downloaded."""

import warnings

import pytest
import torch
from executed_models import around_of, found_in

transformers = pytest.importorskip("transformers")

SMALL = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64,
}  # fmt: skip
TEXT = SMALL | {"vocab_size": 60, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
T5 = {
    "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 60,
    "decoder_start_token_id": 0,
}  # fmt: skip
GPT2 = {
    "n_embd": 32, "n_layer": 3, "n_head": 4, "vocab_size": 60, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
STAGES = {"hidden_sizes": [8, 16, 32, 64], "depths": [2, 2, 2, 2]}
SWIN = {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4]}
SEGFORMER = {
    "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 3, 4],
    "decoder_hidden_size": 32,
}  # fmt: skip


def tokens(length: int = 12):
    return torch.randint(3, 60, (4, length))


def picture(size: int):
    return torch.randn(4, 3, size, size)


# name -> model, configuration, its settings, inputs, skips, of those around a lower resolution
MODELS = {
    # attention and feed-forward of each layer
    "ViT": ("ViTModel", "ViTConfig", SMALL | {"image_size": 32, "patch_size": 8},
            lambda: {"pixel_values": picture(32)}, 6, 0),
    "GPT-2": ("GPT2LMHeadModel", "GPT2Config", GPT2, lambda: {"input_ids": tokens()}, 6, 0),
    "BERT": ("BertModel", "BertConfig", TEXT, lambda: {
        "input_ids": tokens(), "attention_mask": torch.ones(4, 12, dtype=torch.long)}, 6, 0),
    "Llama": ("LlamaForCausalLM", "LlamaConfig", TEXT, lambda: {"input_ids": tokens()}, 6, 0),
    # two a layer of the encoder, three a layer of the decoder
    "T5": ("T5ForConditionalGeneration", "T5Config", T5,
           lambda: {"input_ids": tokens(), "labels": tokens(8)}, 10, 0),
    "ConvNext": ("ConvNextModel", "ConvNextConfig", STAGES,
                 lambda: {"pixel_values": picture(64)}, 8, 0),
    "ResNet": ("ResNetModel", "ResNetConfig", STAGES | {
        "embedding_size": 8, "layer_type": "basic"}, lambda: {"pixel_values": picture(64)}, 8, 0),
    "Swin": ("SwinModel", "SwinConfig", SWIN | {"window_size": 4},
             lambda: {"pixel_values": picture(32)}, 8, 0),
    # eight residual ones; the head joins three finer levels to the coarsest, of which the finest
    # is at the resolution of the join
    "SegFormer": ("SegformerForSemanticSegmentation", "SegformerConfig", SEGFORMER,
                  lambda: {"pixel_values": picture(64)}, 11, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_all_skips_are_found_and_none_is_invented(name: str) -> None:
    model, config, settings, inputs, count, around = MODELS[name]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library's own
        made = getattr(transformers, model)(getattr(transformers, config)(**settings)).eval()
        found = found_in(made, **inputs())
    assert (len(found), around_of(found)) == (count, around), [
        (s.born, s.join.module, s.how) for s in found
    ]
