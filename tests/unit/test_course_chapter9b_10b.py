"""Vision Transformers, segmentation, detection, visualisation, video: mechanisms, exact facts."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unstuck.cases.course import detector, saliency, segmentation, video, vit
from unstuck.cases.course.data import clips, scenes


def tiny_vit(**knobs: object) -> vit.ViT:
    torch.manual_seed(0)
    return vit.ViT(vit.Recipe(width=8, **knobs)).eval()  # type: ignore[arg-type]


@pytest.mark.entry("9B.02", "10A.20")
def test_patches_of_224_px_are_196_tokens_of_768_numbers() -> None:
    patches = F.unfold(torch.zeros(1, 3, 224, 224), 16, stride=16).transpose(1, 2)
    assert patches.shape == (1, 196, 768)
    recipe = vit.Recipe(width=8, patch=16)
    torch.manual_seed(0)
    assert vit.ViT(recipe, channels=3, size=224).position.shape[1] == 196 + 1
    recipe = vit.Recipe(width=8, patch=16, pool="mean")
    assert vit.ViT(recipe, channels=3, size=224).position.shape[1] == 196


@pytest.mark.entry("10A.20")
def test_patch_convolution_is_one_linear_map_of_every_patch() -> None:
    model = tiny_vit()
    x = torch.randn(2, 1, 28, 28)
    patches = F.unfold(x, 7, stride=7).transpose(1, 2)
    expected = patches @ model.embed.weight.flatten(1).T + model.embed.bias
    torch.testing.assert_close(model.embed(x).flatten(2).transpose(1, 2), expected)


@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize("positions", [True, False])
@pytest.mark.entry("9B.03")
def test_without_positions_the_picture_is_a_bag_of_patches(pool: str, positions: bool) -> None:
    model = tiny_vit(pool=pool, positions=positions)
    x = torch.randn(3, 1, 28, 28)
    tiles = F.unfold(x, 7, stride=7)[..., torch.randperm(16)]
    shuffled = F.fold(tiles, (28, 28), 7, stride=7)
    assert torch.allclose(model(x), model(shuffled), atol=1e-5) != positions


@pytest.mark.entry("9B.39")
def test_attention_of_the_class_token_is_a_share() -> None:
    looks = tiny_vit().looked(torch.randn(2, 1, 28, 28))[1]
    assert looks.shape == (2, 16)
    assert (looks > 0).all()
    assert (looks.sum(1) < 1).all()  # the rest goes to the class token itself


@pytest.mark.entry("9B.13", "9B.12")
def test_bed_of_nails_pools_back_and_nearest_copies() -> None:
    x = torch.rand(1, 2, 3, 3) + 0.1
    nails = segmentation.bed_of_nails(x)
    torch.testing.assert_close(F.max_pool2d(nails, 2), x)
    assert float((nails != 0).float().mean()) == 0.25
    assert (nails[..., 1::2, :] == 0).all()
    copied = F.interpolate(x, scale_factor=2, mode="nearest")
    torch.testing.assert_close(F.avg_pool2d(copied, 2), x)
    torch.testing.assert_close(
        copied, F.conv_transpose2d(x, torch.ones(2, 1, 2, 2), None, 2, groups=2)
    )


@pytest.mark.entry("9B.14")
def test_max_unpooling_equals_the_library_and_undoes_pooling_where_the_maximum_was() -> None:
    x = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    pooled, indices = F.max_pool2d(x, 2, return_indices=True)
    back = segmentation.max_unpool(pooled, indices)
    torch.testing.assert_close(back, F.max_unpool2d(pooled, indices, 2))
    torch.testing.assert_close(back[back != 0], x[back != 0])
    torch.testing.assert_close(F.max_pool2d(back, 2), pooled)


def convolution_matrix(weight: Tensor, size: int, stride: int) -> Tensor:
    """C with conv(x) = C x for one channel of size x size."""
    columns = torch.eye(size * size).view(-1, 1, size, size)
    return F.conv2d(columns, weight, stride=stride).flatten(1).T


@pytest.mark.entry("9B.15")
def test_transposed_convolution_is_multiplication_by_the_transposed_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, y = torch.randn(1, 1, 3, 3, generator=generator), torch.randn(1, 1, 3, 3)
    C = convolution_matrix(weight, 7, 2)
    up = F.conv_transpose2d(y, weight, stride=2)
    torch.testing.assert_close(up.flatten(), C.T @ y.flatten())
    assert not torch.allclose(C.T @ C, torch.eye(49), atol=0.1)  # no inverse, no "deconvolution"
    stamped = torch.zeros(7, 7)
    for i in range(3):
        for j in range(3):
            stamped[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += y[0, 0, i, j] * weight[0, 0]
    torch.testing.assert_close(up[0, 0], stamped)


@pytest.mark.entry("9B.12", "9B.15")
def test_checkerboard_comes_from_uneven_overlap_not_from_copying() -> None:
    even = torch.ones(1, 1, 6, 6)
    assert F.interpolate(even, scale_factor=2, mode="nearest").std() == 0
    overlap = F.conv_transpose2d(even, torch.ones(1, 1, 3, 3), stride=2)[0, 0, 2:-2, 2:-2]
    assert set(overlap.unique().tolist()) == {1, 2, 4}  # 3 is no multiple of 2: a checkerboard
    fitting = F.conv_transpose2d(even, torch.ones(1, 1, 4, 4), stride=2)[0, 0, 2:-2, 2:-2]
    assert fitting.std() == 0
    assert segmentation.bed_of_nails(even).std() > 0


@pytest.mark.entry("9B.16")
@pytest.mark.parametrize("skips", [True, False])
def test_unet_keeps_the_size_and_hands_detail_across_only_with_skips(skips: bool) -> None:
    torch.manual_seed(0)
    model = segmentation.UNet(4, skips).eval()
    x = torch.randn(1, 3, 32, 32)
    assert model(x).shape == (1, segmentation.CLASSES, 32, 32)
    with torch.no_grad():
        for parameter in model.bottom.parameters():
            parameter.zero_()  # nothing passes the bottom
    assert torch.allclose(model(x), model(x.flip(3)), atol=1e-6) != skips


def test_iou_of_masks_counts_pixels() -> None:
    true = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1]]])
    said = torch.tensor([[[0, 0, 0, 1], [0, 0, 0, 1]]])
    everywhere = torch.ones_like(true, dtype=torch.bool)
    assert segmentation.iou(said, true, everywhere)[:2].tolist() == pytest.approx([4 / 6, 2 / 4])
    assert segmentation.borders(true)[0].tolist() == [[False, True, True, False]] * 2


@pytest.mark.entry("9B.24")
def test_region_proposals_are_2700_anchors_of_which_each_has_six_numbers() -> None:
    features = torch.zeros(1, 8, 15, 20)
    scores, offsets = nn.Conv2d(8, 2 * 9, 1)(features), nn.Conv2d(8, 4 * 9, 1)(features)
    assert scores.numel() / 2 == offsets.numel() / 4 == 20 * 15 * 9 == 2700


@pytest.mark.entry("9B.22")
def test_regions_of_any_size_are_pooled_to_one_grid() -> None:
    features = torch.randn(8, 15, 20)
    for height, width in ((5, 4), (3, 2), (14, 7)):
        pooled = F.adaptive_max_pool2d(features[:, 1 : 1 + height, 2 : 2 + width], 7)
        assert pooled.shape == (8, 7, 7)
        assert pooled.amax() == features[:, 1 : 1 + height, 2 : 2 + width].amax()


@pytest.mark.entry("9B.33")
def test_bilinear_sampling_between_pixels_reads_a_slope_that_rounding_misses() -> None:
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    plane = (2 * x + 3 * y)[None, None]
    place = torch.tensor([5.2, 3.7])  # x, y in pixels
    read = F.grid_sample(plane, (2 * place / 7 - 1).view(1, 1, 1, 2), align_corners=True)
    assert read.item() == pytest.approx(2 * 5.2 + 3 * 3.7, rel=1e-5)
    assert abs(plane[0, 0, 4, 5].item() - read.item()) > 0.4  # the nearest pixel


@pytest.mark.entry("9B.25")
def test_yolo_output_is_30_numbers_a_cell() -> None:
    assert 2 * 5 + 20 == 30
    places, kinds = detector.Detector(4)(torch.zeros(2, 3, 32, 32))
    assert places.shape == (2, 8, 8, 2, 5)
    assert kinds.shape == (2, 8, 8, 4)


@pytest.mark.entry("9B.28")
def test_iou_of_boxes() -> None:
    a = torch.tensor([0.0, 0, 2, 2])
    others = torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [0, 0, 1, 1]])
    assert detector.iou(a, others).tolist() == pytest.approx([1, 1 / 3, 0, 1 / 4])
    assert detector.iou(others, a).tolist() == detector.iou(a, others).tolist()


@pytest.mark.entry("9B.29")
def test_suppression_keeps_the_surest_of_what_overlaps() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3.9], [10, 10, 14, 14], [0, 1, 4, 5]])
    kept = detector.nms(boxes, torch.tensor([0.8, 0.9, 0.3, 0.7]))
    assert kept.tolist() == [1, 2]


def test_targets_say_the_boxes_they_were_made_from() -> None:
    drawn = scenes.draw(20, detector.SIZE, 3)
    full, aims, kinds = detector.targets(drawn)
    assert int(full.sum()) == int((drawn.kinds >= 0).sum()) == int((kinds >= 0).sum())
    said = {tuple(round(v, 2) for v in box) for box in detector.to_boxes(aims)[full].tolist()}
    assert said == {tuple(box) for box in drawn.boxes[drawn.kinds >= 0].tolist()}
    assert float(aims[full][:, 1:3].abs().max()) <= 0.5


def test_true_boxes_score_one_and_a_duplicate_or_a_shifted_box_costs() -> None:
    drawn = scenes.draw(30, detector.SIZE, 1)
    true = [
        (boxes[kinds >= 0], torch.full((int((kinds >= 0).sum()),), 0.9), kinds[kinds >= 0])
        for boxes, kinds in zip(drawn.boxes, drawn.kinds, strict=True)
    ]
    assert detector.mean_average_precision(true, drawn) == pytest.approx(1)
    surer = [(b.repeat(2, 1), torch.cat([c, c + 0.05]), k.repeat(2)) for b, c, k in true]
    doubled = detector.mean_average_precision(surer, drawn)
    assert doubled == pytest.approx(1)  # the second of a pair comes after all that are surer
    mixed = [(b.repeat(2, 1), c.repeat(2), k.repeat(2)) for b, c, k in true]
    assert detector.mean_average_precision(mixed, drawn) < 0.9
    moved = [(b + 6, c, k) for b, c, k in true]
    assert detector.mean_average_precision(moved, drawn) < 0.2


@pytest.fixture
def gap_net() -> tuple[saliency.GapNet, Tensor, Tensor]:
    torch.manual_seed(0)
    return saliency.GapNet(3).eval(), torch.randn(3, 3, 32, 32), torch.tensor([0, 2, 3])


@pytest.mark.entry("9B.36", "9B.37")
def test_mean_of_the_class_activation_map_is_the_score(
    gap_net: tuple[saliency.GapNet, Tensor, Tensor],
) -> None:
    model, x, kinds = gap_net
    score = model(x).gather(1, kinds[:, None])[:, 0]
    maps = saliency.cam(model, x, kinds)
    torch.testing.assert_close(maps.mean((1, 2)) + model.head.bias[kinds], score)


@pytest.mark.entry("9B.38")
def test_grad_cam_of_a_gap_net_is_cam_over_the_map_size_rectified(
    gap_net: tuple[saliency.GapNet, Tensor, Tensor],
) -> None:
    model, x, kinds = gap_net
    maps = saliency.cam(model, x, kinds)
    size = maps.shape[1] * maps.shape[2]
    assert (maps < 0).any()
    torch.testing.assert_close(saliency.grad_cam(model, x, kinds), F.relu(maps) / size)


@pytest.mark.entry("9B.35")
def test_saliency_is_the_slope_of_the_score(
    gap_net: tuple[saliency.GapNet, Tensor, Tensor],
) -> None:
    model, x, kinds = (part.double() if i < 2 else part for i, part in enumerate(gap_net))
    found = saliency.saliency(model, x, kinds)
    step = 1e-6 * torch.eye(3).double()
    slopes = []
    for colour in range(3):
        up, down = x.clone(), x.clone()
        up[:, :, 9, 17] += step[colour]
        down[:, :, 9, 17] -= step[colour]
        with torch.no_grad():
            slopes.append((model(up) - model(down)).gather(1, kinds[:, None])[:, 0] / 2e-6)
    expected = torch.stack(slopes).abs().amax(0)
    torch.testing.assert_close(found[:, 9, 17], expected, rtol=1e-4, atol=1e-8)


def test_a_map_hits_where_its_peak_lies_on_the_shape() -> None:
    masks = torch.zeros(2, 8, 8, dtype=torch.long)
    masks[:, 4:, 4:] = 1
    maps = torch.zeros(2, 4, 4)
    maps[0, 3, 3] = maps[1, 0, 0] = 1
    assert saliency.hits(maps, masks) == 0.5


def test_scenes_are_what_their_masks_and_boxes_say() -> None:
    drawn = scenes.draw(40, 32, 5)
    for masks, boxes, kinds in zip(drawn.masks, drawn.boxes, drawn.kinds, strict=True):
        for box, kind in zip(boxes[kinds >= 0], kinds[kinds >= 0], strict=True):
            x0, y0, x1, y1 = box.int().tolist()
            inside = masks[y0:y1, x0:x1] == kind + 1
            assert float(inside.float().mean()) > 0.35
            assert inside.any(0).all()
            assert inside[1:].any(1).all()  # a triangle's tip may be thinner than its pixel row
            masks[y0:y1, x0:x1] = 0
        assert not masks.any()
    assert torch.equal(drawn.pictures, scenes.draw(40, 32, 5).pictures)


@pytest.mark.entry("10B.02")
def test_raw_video_makes_eleven_gigabytes_a_minute() -> None:
    frame = 1920 * 1080 * 3
    assert frame / 1e6 == pytest.approx(6.2, abs=0.05)
    assert frame * 30 / 1e6 == pytest.approx(186, abs=1)
    assert frame * 30 * 60 / 1e9 == pytest.approx(11, abs=0.3)


@pytest.mark.entry("10B.03", "10B.08", "10B.12")
def test_clip_and_filter_sizes() -> None:
    assert 16 / 5 == 3.2
    early = nn.Conv2d(3 * 16, 8, 3)
    assert early.weight.shape == (8, 48, 3, 3)
    assert nn.Conv3d(1, 1, 3).weight.numel() == 27 == 3 * nn.Conv2d(1, 1, 3).weight.numel()


def event(at: int) -> Tensor:
    x = torch.zeros(1, 12, 16, 16)
    generator = torch.Generator().manual_seed(0)
    x[:, at : at + 3] = torch.randn(1, 3, 16, 16, generator=generator)
    return x


@pytest.mark.entry("10B.10")
def test_3d_convolution_moves_with_time_and_early_fusion_does_not() -> None:
    torch.manual_seed(0)
    slow, conv = video.Slow3D(3), nn.Conv2d(12, 4, 3, padding=1)
    early, late = slow.conv1(event(3)[:, None]), slow.conv1(event(5)[:, None])
    torch.testing.assert_close(early[:, :, 1:-3], late[:, :, 3:-1])
    torch.testing.assert_close(slow(event(3)), slow(event(5)))  # the mean over time: invariant
    assert not torch.allclose(conv(event(3)), conv(event(5)), atol=0.1)


@pytest.mark.entry("10B.21")
def test_inflated_network_sees_a_still_clip_as_the_2d_network_sees_its_frame() -> None:
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, stride=2, padding=1)
    frame = torch.randn(2, 3, 8, 8)
    still = frame[:, :, None].expand(-1, -1, 7, -1, -1)
    flat, deep = F.relu(first(frame)), F.relu(video.inflated(first, 3)(still))
    torch.testing.assert_close(deep, flat[:, :, None].expand_as(deep))
    flat, deep = second(flat), video.inflated(second, 5)(deep)
    assert deep.shape[2] == 1  # 7 - 2 - 4 frames: no padding in time
    torch.testing.assert_close(deep[:, :, 0], flat)


@pytest.mark.entry("10B.21")
def test_zero_padding_in_time_breaks_inflation_at_the_ends_and_replication_does_not() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3, padding=1)
    frame = torch.randn(1, 3, 8, 8)
    still = frame[:, :, None].expand(-1, -1, 5, -1, -1)
    wide = video.inflated(conv, 3)
    expected = conv(frame)[:, :, None].expand(-1, -1, 5, -1, -1)
    zeros = wide(F.pad(still, (0, 0, 0, 0, 1, 1)))
    torch.testing.assert_close(zeros[:, :, 1:-1], expected[:, :, 1:-1])
    assert not torch.allclose(zeros[:, :, 0], expected[:, :, 0], atol=1e-2)
    repeated = wide(F.pad(still, (0, 0, 0, 0, 1, 1), mode="replicate"))
    torch.testing.assert_close(repeated, expected)


@pytest.mark.entry("10B.05", "10B.07")
def test_order_of_frames_is_lost_to_single_frames_and_to_pooling() -> None:
    x = torch.randn(2, video.FRAMES, 16, 16)
    for kind, blind in {
        "single": True,
        "late-pool": True,
        "late": False,
        "early": False,
        "3d": False,
    }.items():
        torch.manual_seed(0)
        model = video.made(video.Recipe(model=kind, width=3))
        assert torch.allclose(model(x), model(x.flip(1)), atol=1e-5) == blind, kind


def test_motions_are_what_they_are_called() -> None:
    drawn = clips.draw(60, 0)
    steps = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}
    for frames, motion in zip(drawn.frames, drawn.motions.tolist(), strict=True):
        name = clips.MOTIONS[motion]
        if name in steps:
            angles = torch.fft.fft2((frames > 0.8).float())[:, (0, 1), (1, 0)].angle()
            turned = (angles[1:] - angles[:-1] + math.pi) % (2 * math.pi) - math.pi
            x, y = (-turned.mean(0)).tolist()  # phase falls as the shape moves on
            row, column = steps[name]
            along = y * row + x * column
            assert along > 2 * abs(y * column + x * row), name
