"""The words that names of series are made of: `errD_real` -> err, d, real."""

import re

TRAIN = {"train", "training", "trn", "tr", "learn"}  # the last is CatBoost's
VALIDATION = {
    *("val", "valid", "validation", "eval", "evaluation", "dev", "test", "testing", "holdout"),
    *("heldout", "vl"),
}
D = {"d", "dis", "disc", "discrim", "discriminator", "critic", "netd"}
G = {"g", "gen", "generator", "netg", "ae"}  # the last is the autoencoder of a VQGAN
LOSS = {
    *("loss", "losses", "cost", "criterion", "nll", "logloss", "mlogloss", "crossentropy"),
    *("xentropy", "xent"),
}
GAME_LOSS = LOSS | {"err"}  # errD, errG; elsewhere an error is a metric
TOTAL = {"loss", "losses", "cost", "total", "sum", "overall", "all", "err", "full"}
SMOOTHED = {
    *("ema", "avg", "average", "smooth", "smoothed", "mean", "running", "std", "epoch", "best"),
    *("lowest", "min"),
}
ADVERSARIAL = {"adv", "gan", "adversarial", "fool", "fooling", "cheat"}
REGULARISER = {
    *("kl", "kld", "kldiv", "reg", "regularizer", "regulariser", "regularization", "penalty"),
    *("gp", "r1", "r2", "commit", "commitment", "decay", "entropy", "tv", "prior"),
}
RECONSTRUCTION = {
    *("l1", "l2", "mse", "mae", "rec", "recon", "reconstruction", "pixel", "pix", "perceptual"),
    *("content", "const", "cycle", "cyc", "idt", "identity", "bce", "box", "bbox", "cls", "dfl"),
}
ERROR = {"mse", "rmse", "mae", "rmsle", "l1", "l2", "squared"}  # what a regression minimises
METRIC = {
    *("acc", "accuracy", "accuracies", "top1", "top5", "psnr", "ssim", "map", "map50", "auc"),
    *("iou", "miou", "dice", "jaccard", "precision", "recall", "r2", "bleu", "rouge", "chrf"),
    *("reward", "rewards", "rew", "return", "returns", "score", "rmse", "rmsle", "mape", "error"),
    *("ppl", "perplexity", "wer", "cer", "fid", "lpips", "bpc", "bpd", "bpb", "snr", "ndcg"),
    *("mrr", "hits", "kappa", "mcc", "bits", "err", "errors", "auroc", "auprc", "f1", "hd95"),
    *("mpjpe", "epe", "mse", "mae", "cider", "meteor", "jga"),
}
# what is no loss, though it stands in a group `losses/` or beside a network's name
NO_LOSS = {
    *("scores", "sign", "signs", "values", "q", "explained", "variance", "clipfrac", "frac"),
    *("fraction", "ratio", "weight", "weights", "coef", "coeff", "coefficient", "factor", "alpha"),
    *("temperature", "prob", "probs", "logit", "logits", "acc", "accuracy", "likelihood", "out"),
    *("output", "outputs", "pred", "preds", "x", "z", "num", "count", "std", "lr", "steps", "grad"),
    *("updates", "confidence"),
}
RETURNS = {"rew", "reward", "rewards", "return", "returns"}  # what an agent earns
PREFERENCES = {"chosen", "rejected"}  # of answers, not rewards: their loss is meant to fall
SPEED = {
    *("time", "runtime", "seconds", "second", "sec", "secs", "duration", "fps", "throughput"),
    *("eta", "dt", "speed", "samples", "tokens", "ms", "elapsed", "it", "latency", "mfu", "flops"),
    "flos",
}
STEP_TIME = {"dt", "step time", "iter time", "time step", "time iter", "sec it", "batch time"}
_STEP = {
    *("step", "global step", "iteration", "iter", "iters", "it", "itr", "trainer global step"),
    *("train step", "steps", "iterations", "update", "updates", "num updates", "n iter", "batch"),
    *("training step", "train iter", "batches", "train global step", "training iteration"),
    *("time total timesteps", "total timesteps", "timesteps total", "timesteps", "timestep"),
    *("env steps", "total steps", "total env steps", "num env steps"),
}
_EPOCH = {"epoch", "epochs", "ep", "trainer epoch", "train epoch", "epoche", "époque", "época"}
_WALL = {"wall time", "timestamp", "walltime", "datetime"}
_WHOLE = {  # what is told apart by case only, and what people write in Chinese
    "mAP": "map",
    "IoU": "iou",
    "mIoU": "miou",
    "LpIPS": "lpips",
    "损失": " loss ",
    "训练": " train ",
    "验证": " val ",
    "测试": " test ",
    "准确率": " acc ",
    "精度": " acc ",
    "正确率": " acc ",
    "学习率": " lr ",
    "误差": " error ",
    "集": " ",
    "轮次": " epoch ",
    "轮数": " epoch ",
    "步数": " step ",
    "迭代": " iter ",
    "損失": " loss ",
    "訓練": " train ",
    "驗證": " val ",
    "測試": " test ",
    "準確率": " acc ",
    "學習率": " lr ",
    "誤差": " error ",
}
_GLUED = re.compile(
    r"^(train|val|valid|test|eval|d|g|ae|dis|disc|gen|adv|kl|rec|recon)(loss|acc|err)$"
)
_GLUED_AFTER = re.compile(r"^(loss|err)(d|g)$")
_RATE = re.compile(r"lr\d{1,3}")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PIECE = re.compile(r"[^\W_]+")
LONGEST = 2_000  # characters of a name that are looked at


def words_of(raw: str) -> tuple[str, ...]:
    """
    >>> words_of("errD_real"), words_of("metrics/mAP50(B)"), words_of("trainloss")
    (('err', 'd', 'real'), ('metrics', 'map50', 'b'), ('train', 'loss'))
    >>> words_of("验证集损失"), words_of("l_g_pix"), words_of("x/lr0")
    (('val', 'loss'), ('loss', 'g', 'pix'), ('x', 'lr', '0'))
    """
    text = raw[:LONGEST]
    for word, plain in _WHOLE.items():
        if word in text:
            text = text.replace(word, plain)
    found: list[str] = []
    for piece in _PIECE.findall(_CAMEL.sub("_", text)):
        word = piece.lower()
        glued = _GLUED.match(word) or _GLUED_AFTER.match(word)
        if glued:
            found += glued.groups()
        elif _RATE.fullmatch(word):
            found += ["lr", word[2:]]
        else:
            found.append(word)
    if found[:1] == ["l"] and set(found[1:2]) & (D | G | ADVERSARIAL | RECONSTRUCTION | {"total"}):
        found[0] = "loss"  # BasicSR's l_pix, l_g_gan
    return tuple(found)


def is_step(raw: str) -> bool:
    """Whether a column numbers the steps of training."""
    return " ".join(words_of(raw)) in _STEP


def is_epoch(raw: str) -> bool:
    return " ".join(words_of(raw)) in _EPOCH


def is_wall(raw: str) -> bool:
    """Whether a column holds the time of day."""
    return " ".join(words_of(raw)) in _WALL
