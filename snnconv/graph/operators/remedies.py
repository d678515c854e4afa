"""Remedies: why operators outside the vocabulary, and some inside it, are refused, and what to do about each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remedy:
    """Why operators are refused before a population, and what the user can do; ``names`` are separated by spaces.

    A name that ends with ``*`` stands for all names that begin like it.
    """

    names: str
    reason: str
    remedy: str


_UNKNOWN = Remedy(
    "", "the operator is not in the vocabulary", "write it with supported operators, or move it out of the model"
)

#: Of a function of one signal whose values nothing else takes: all others become tables, or are the output's own.
COMPARED = Remedy("", "a comparison takes what it gives, and jumps", "do what helps the comparison behind it")

_REMEDIES = (
    # Norms over the signal itself.
    Remedy(
        "layer_norm native_layer_norm group_norm native_group_norm instance_norm rms_norm _fused_rms_norm",
        "it normalises by statistics of the sample itself",
        "norms over axes of a sample convert: leave axis 0 alone, and let eps be above 0",
    ),
    Remedy(
        "linalg_vector_norm norm std var var_mean std_mean",
        "it is a statistic of the signal that is not linear",
        "statistics along axes of a sample convert: name the axes, without axis 0",
    ),
    Remedy(
        "div",
        "it divides by a signal that is not known to be above 0",
        "add a small number to a divisor that is never below 0, as a root, a square, exp or relu is: "
        "x / (s.abs() + 0.001); or divide by a constant",
    ),
    # Recurrence.
    Remedy(
        "lstm gru rnn_tanh rnn_relu quantized_lstm _pack_padded_sequence _pad_packed_sequence",
        "its sequences are packed, or its steps lie along the axis of samples",
        "give sequences of one length as one tensor, [samples, steps, features] with batch_first=True: layers on them "
        "are unrolled",
    ),
    # Tables.
    Remedy(
        "embedding one_hot embedding_renorm embedding_bag _embedding_bag _embedding_bag_forward_only",
        "it looks a table up by numbers that it computes from the signal, and so jumps",
        "look tables up by inputs of whole numbers, in front of the network, or on its output; of a loop that writes a "
        "text, convert the step, which scores all positions, and write the loop around snnconv.Decoder",
    ),
    # Precision, rounding, quantisation.
    Remedy(
        "_to_copy to type_as whole_cast",
        "it changes the type of a signal",
        "keep to the model's own precision: no torch.autocast, half(), to(dtype) or int() in forward",
    ),
    Remedy(
        "round floor ceil trunc frac fix",
        "it rounds",
        "leave rounding out: spikes round by themselves; round(relu(x) * s) / s, a quantised activation, is relu(x), "
        "clamped where it saturates",
    ),
    Remedy(
        "fake_quantize* fused_moving_avg_obs_fake_quant _fused_moving_avg_obs_fq_helper* _fake_quantize* "
        "_choose_qparams_per_tensor choose_qparams_optimized",
        "it is the fake quantization of a training for whole numbers",
        "load the weights into the float model: model.load_state_dict(trained.state_dict(), strict=False)",
    ),
    Remedy(
        "quantized::* quantize_per_tensor quantize_per_channel dequantize quantize_per_tensor_dynamic int_repr "
        "quantized_decomposed::*",
        "it computes with quantised numbers",
        "convert the model as it was before quantization, in floating point",
    ),
    # Products of signals, attention.
    Remedy(
        "scaled_dot_product_attention _scaled_dot_product* _native_multi_head_attention _transformer_encoder_layer_fwd",
        "what it is made of, products, a softmax and a mask, does not convert as it stands here",
        "give a mask that comes with the samples as booleans or whole numbers that only a softmax depends on, or name "
        "one that is the same for all of them in constants=",
    ),
    Remedy(
        "log_softmax logsumexp _log_softmax",
        "it is the logarithm of a sum over signals",
        "log_softmax converts at the end of a network only: inside, take scores or their softmax",
    ),
    Remedy(
        "softmax _softmax _safe_softmax",
        "it divides by a sum over signals, and is smooth",
        "softmax converts along an axis of a sample: leave axis 0 alone",
    ),
    Remedy(
        "prod cumprod",
        "it multiplies signals",
        "products of two signals are converted: write it as one, x[:, 0] * x[:, 1] * x[:, 2], with a few factors",
    ),
    Remedy(
        "cdist _cdist_forward pdist pairwise_distance cosine_similarity",
        "a distance is not linear in the signal",
        "measure distances outside the model, on its output",
    ),
    # Functions of one element, or of two.
    Remedy(
        "pow float_power",
        "its base and its exponent are not one signal and one number",
        "give one number as exponent; with a base above 0 a ** b is exp(b * log(a)), made of functions of one signal",
    ),
    Remedy(
        "atan2 hypot",
        "it is a function of two signals, and no product",
        "write it with products and functions of one signal, hypot(x, y) as (x * x + y * y).sqrt(), or make it outside "
        "the model",
    ),
    Remedy(
        "special_*",
        "torch knows no derivative of it, or it is a function of two signals",
        "write it with functions of one signal and products, or make it outside the model, on samples or outputs",
    ),
    # Order, steps and choice.
    Remedy(
        "sort topk argsort kthvalue median nanmedian mode cummax cummin msort quantile nanquantile unique_dim _unique2 "
        "unique_consecutive",
        "it depends on the order of the values",
        "sort or pick outside the model, on its output; for the largest of a few, use max pooling or amax(dim)",
    ),
    Remedy(
        "argmax argmin",
        "it jumps from one index to another",
        "choose at the end of the network, or outside it; inside, pass the scores on",
    ),
    Remedy(
        "max min",
        "over no named axis it compares all samples of the batch; with an axis it also gives indices",
        "name the axes, and take the values alone: amax(dim), amin(dim)",
    ),
    Remedy(
        "gt lt ge le eq ne greater less sgn signbit heaviside bucketize searchsorted logical_* bitwise_* __and__ "
        "__or__ __xor__ isnan isinf isfinite isclose",
        "it compares values, and so jumps",
        "choose between functions of the signal that is compared, where(x > 0, x, a * x), or between signals by a "
        "gate, g * x + (1 - g) * y with g from relu, clamp or sigmoid",
    ),
    Remedy(
        "fmod remainder floor_divide",
        "it jumps at every multiple",
        "take remainders outside the model, on samples or outputs",
    ),
    Remedy(
        "nonzero nonzero_static masked_select index_put index_put_ histc bincount histogram",
        "what it picks, or where it writes, depends on values of the signal",
        "pick with constant indices or masks (buffers), or outside the model",
    ),
    Remedy(
        "item _local_scalar_dense equal allclose is_nonzero",
        "it reads a number out of the signal",
        "keep the signal in tensors, and decide outside the model",
    ),
    Remedy(
        "cond while_loop map scan map_impl switch",
        "its control flow depends on values of the signal",
        "compute both branches and choose by a constant, or decide outside the model",
    ),
    # Numbers that are not real, or not dense.
    Remedy(
        "fft_* _fft_* stft istft",
        "its result is complex",
        "a Fourier transform is linear: multiply by its real and its imaginary matrix, as buffers, or transform "
        "outside the model",
    ),
    Remedy(
        "complex polar real imag angle view_as_real view_as_complex conj _conj* resolve_conj resolve_neg",
        "it computes with complex numbers",
        "write real and imaginary parts as two real tensors",
    ),
    Remedy(
        "to_sparse _to_sparse* to_dense _to_dense sparse_* _sparse_* values indices _indices _values coalesce",
        "it makes a signal sparse, or dense again",
        'keep signals dense; a constant matrix may be sparse: adj @ h, with constants={"adj": adj}',
    ),
    Remedy(
        "linalg_* det inverse cholesky* svd eig* qr lu* _linalg_* triangular_solve pinverse matrix_exp",
        "it is not linear in the matrix that it takes",
        "solve or factorise outside the model",
    ),
    Remedy(
        "torchvision::nms torchvision::roi_align torchvision::roi_pool torchvision::ps_roi_align "
        "torchvision::deform_conv2d",
        "where it looks depends on the signal",
        "convert the network up to its boxes or offsets, and go on outside it; snnconv.detection decodes boxes",
    ),
)


def remedy_for(op: str) -> Remedy:
    """Why the operator ``op`` is refused, and what to do."""
    if op.startswith("result "):
        return Remedy(
            op,
            "it takes places, or counts, that jump from one number to another",
            "take the values alone: amax(dim), a max pooling without return_indices, and in place of max_unpool an "
            "upsampling or a transposed convolution; at the end of the network argmax(dim)",
        )
    for entry in _REMEDIES:
        for name in entry.names.split():
            if op == name or (name.endswith("*") and op.startswith(name[:-1])):
                return entry
    if "::" in op:
        return Remedy(
            op,
            f"it is an operator of another library, {op.partition('::')[0]}",
            "write it with operators of torch, or convert the layers in front of it and behind it by themselves",
        )
    return _UNKNOWN
