"""The sections of a darknet ``.cfg`` that are read, and the options of each."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Sections that give boxes, and those that only networks without any end in: classifiers.
HEADS = frozenset({"yolo", "region", "detection", "Gaussian_yolo"})
CLASSIFIER = frozenset({"softmax", "connected", "avgpool", "cost"})

#: Other names of sections.
ALIASES = {"network": "net", "conv": "convolutional", "max": "maxpool"}

#: Options that shape the network at inference, by section.
USED = {
    "net": frozenset({"width", "height", "channels", "letter_box"}),
    "convolutional": frozenset(
        {"batch_normalize", "filters", "size", "stride", "pad", "padding", "dilation", "groups", "activation"}
    ),
    "maxpool": frozenset({"size", "stride", "padding"}),
    "upsample": frozenset({"stride"}),
    "route": frozenset({"layers", "groups", "group_id"}),
    "reorg": frozenset({"stride", "reverse", "flatten", "extra"}),
    "shortcut": frozenset({"from", "activation"}),
    "dropout": frozenset({"probability"}),
    "yolo": frozenset({"mask", "anchors", "num", "classes", "scale_x_y", "new_coords"}),
    "region": frozenset({"anchors", "num", "classes", "coords", "softmax"}),
}

#: Options that concern only training, or what is done with boxes once they are decoded; their values are not read.
#: An option in neither table is refused, because it might change what the network computes.
UNREAD = {
    "net": _words(
        """
        batch subdivisions time_steps max_batches learning_rate learning_rate_min burn_in policy step steps scale scales
        gamma power momentum decay adam B1 B2 eps sgdr_cycle sgdr_mult angle aspect saturation exposure hue flip blur
        min_crop max_crop mosaic mosaic_bound mixup cutmix gaussian_noise label_smooth_eps ema_alpha resize_step
        max_chart_loss dynamic_minibatch optimized_memory workspace_size_limit_MB max_epochs show_receptive_field
        batches_per_cycle batches_cycle_mult loss_scale use_cuda_graph track augment_speed
        """
    ),
    "convolutional": frozenset({"stopbackward"}),
    "yolo": _words(
        """
        jitter resize random max truth_thresh ignore_thresh iou_thresh iou_thresh_kind iou_loss iou_normalizer
        cls_normalizer obj_normalizer delta_normalizer uc_normalizer max_delta label_smooth_eps focal_loss
        objectness_smooth counters_per_class nms_kind beta_nms
        """
    ),
    "region": _words(
        """
        jitter random max thresh absolute rescore bias_match object_scale noobject_scale class_scale coord_scale
        """
    ),
}
