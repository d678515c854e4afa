"""The command that measures a converted detector on labelled pictures, beside the original."""

from __future__ import annotations

import typer

from snnconv.cli import detectors
from snnconv.cli.conversion_options import CodeOptions, CodingOptions, ConversionOptions, SearchOptions
from snnconv.cli.option_sets import takes
from snnconv.cli.options import Device, Json, Limit, WorkerCount, show, workers_of
from snnconv.cli.progress import progress_bars
from snnconv.detection import draw_shapes, evaluate
from snnconv.detection.samples import LabelledPictures
from snnconv.errors import ConfigurationError
from snnconv.simulators import simulator_for


@takes(coding=CodingOptions, search=SearchOptions, parameters=CodeOptions, options=ConversionOptions)
def evaluate_detector(
    context: typer.Context,
    model: detectors.Model = "",
    names: detectors.Names = None,
    data: detectors.Data = None,
    layout: detectors.Layout = "yolo",
    annotations: detectors.Annotations = None,
    split: detectors.Split = "val",
    calibration: detectors.Calibration = None,
    samples: detectors.Samples = 64,
    letterbox: detectors.Letterbox = None,
    save: detectors.Save = None,
    limit: Limit = None,
    device: Device = "cpu",
    workers: WorkerCount = None,
    json_file: Json = None,
    *,
    coding: CodingOptions,
    search: SearchOptions,
    parameters: CodeOptions,
    options: ConversionOptions,
) -> None:
    """Measure mean average precision, latency, spikes and energy of a spiking detector beside the original.

    Without --model, --data and --calibration this measures the detector of shapes that comes with snnconv, on pictures
    that it draws. A code that streams is measured after 1, 2, 4, ... steps and at its end.
    """
    if len({bool(model), data is not None, calibration is not None}) > 1:
        raise ConfigurationError(
            "--model, --data and --calibration go together; without all three, the detector of shapes is measured"
        )
    detectors.check_samples(samples)
    detectors.check_layout_options(context, data, layout)
    processes = workers_of(workers)
    original = detectors.detector_of(model, names, letterbox, device)
    code = detectors.coding_of(original, coding, search, parameters)
    pictures: LabelledPictures
    if data is None:
        drawn, truths = draw_shapes(*detectors.HELD_OUT_SHAPES)
        pictures = drawn[:limit].to(device), truths[:limit]
    else:
        pictures = detectors.labelled_pictures(data, layout, names, annotations, split, limit)
    if calibration is None:
        inputs = draw_shapes(samples, detectors.SHAPES[1])[0].to(device)
    else:
        inputs = original.inputs(detectors.calibration_pictures(calibration, samples))
    network = detectors.converted(original, inputs, code, options, save, workers)
    marks = None
    if network.timing is None:  # decoding boxes after every step would take longer than the steps
        marks = [2**power for power in range(simulator_for(network).steps.bit_length())]
    with progress_bars() as progress:
        spiking = original.with_network(network)
        result = evaluate(spiking, pictures, reference=original, at=marks, progress=progress, workers=processes)
    show(str(result), json_file, result.to_dict())
