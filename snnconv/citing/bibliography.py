"""The papers that the library follows, as BibTeX would have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Publication:
    """A paper.

    Attributes:
        kind: What BibTeX calls it: "article", "inproceedings" or "misc".
        fields: Its fields, in BibTeX's own notation.
    """

    kind: str
    fields: Mapping[str, str]

    def bibtex(self, key: str) -> str:
        """The entry with the key ``key``."""
        lines = [f"  {name} = {{{value}}}," for name, value in self.fields.items()]
        return "\n".join([f"@{self.kind}{{{key},", *lines, "}"])


def _article(author: str, title: str, journal: str, year: int, **others: str) -> Publication:
    return Publication("article", {"author": author, "title": title, "journal": journal, "year": str(year), **others})


def _talk(author: str, title: str, book: str, year: int, **others: str) -> Publication:
    fields = {"author": author, "title": title, "booktitle": book, "year": str(year), **others}
    return Publication("inproceedings", fields)


#: By the keys that codes, neurons and schedules name in ``papers``.
PUBLICATIONS: Mapping[str, Publication] = {
    "hwang2024onespike": _article(
        "Hwang, Sangwoo and Kung, Jaeha",
        "One-Spike {SNN}: Single-Spike Phase Coding with Base Manipulation "
        "for {ANN}-to-{SNN} Conversion Loss Minimization",
        "IEEE Transactions on Emerging Topics in Computing",
        2024,
        doi="10.1109/TETC.2024.3386893",
        eprint="2403.08786",
        archiveprefix="arXiv",
    ),
    "kim2018weighted": _article(
        "Kim, Jaehyun and Kim, Heesu and Huh, Subin and Lee, Jinho and Choi, Kiyoung",
        "Deep Neural Networks with Weighted Spikes",
        "Neurocomputing",
        2018,
        volume="311",
        pages="373--386",
        doi="10.1016/j.neucom.2018.05.087",
    ),
    "kim2020antlr": _talk(
        "Kim, Jinseok and Kim, Kyungsu and Kim, Jae-Joon",
        "Unifying Activation- and Timing-based Learning Rules for Spiking Neural Networks",
        "Advances in Neural Information Processing Systems",
        2020,
        volume="33",
        pages="19534--19544",
        eprint="2006.02642",
        archiveprefix="arXiv",
    ),
    "kim2020spikingyolo": _talk(
        "Kim, Seijoon and Park, Seongsik and Na, Byunggook and Yoon, Sungroh",
        "Spiking-{YOLO}: Spiking Neural Network for Energy-Efficient Object Detection",
        "Proceedings of the AAAI Conference on Artificial Intelligence",
        2020,
        volume="34",
        pages="11270--11277",
        doi="10.1609/aaai.v34i07.6787",
    ),
    "kim2022gbo": _talk(
        "Kim, Youngeun and Kim, Hyunsoo and Kim, Seijoon and Kim, Sang Joon and Panda, Priyadarshini",
        "Gradient-based Bit Encoding Optimization for Noise-Robust Binary Memristive Crossbar",
        "Design, Automation and Test in Europe Conference",
        2022,
        eprint="2201.01479",
        archiveprefix="arXiv",
    ),
    "li2021calibration": _talk(
        "Li, Yuhang and Deng, Shikuang and Dong, Xin and Gong, Ruihao and Gu, Shi",
        "A Free Lunch From {ANN}: Towards Efficient, Accurate Spiking Neural Networks Calibration",
        "Proceedings of the 38th International Conference on Machine Learning",
        2021,
        pages="6316--6325",
        eprint="2106.06984",
        archiveprefix="arXiv",
    ),
    "lloyd1982": _article(
        "Lloyd, Stuart P.",
        "Least Squares Quantization in {PCM}",
        "IEEE Transactions on Information Theory",
        1982,
        volume="28",
        number="2",
        pages="129--137",
        doi="10.1109/TIT.1982.1056489",
    ),
    "park2019burst": _talk(
        "Park, Seongsik and Kim, Seijoon and Choe, Hyeokjun and Yoon, Sungroh",
        "Fast and Efficient Information Transmission with Burst Spikes in Deep Spiking Neural Networks",
        "Proceedings of the 56th Annual Design Automation Conference",
        2019,
        doi="10.1145/3316781.3317822",
    ),
    "park2020t2fsnn": _talk(
        "Park, Seongsik and Kim, Seijoon and Na, Byunggook and Yoon, Sungroh",
        "{T2FSNN}: Deep Spiking Neural Networks with Time-to-first-spike Coding",
        "57th ACM/IEEE Design Automation Conference",
        2020,
        doi="10.1109/DAC18072.2020.9218689",
    ),
    "rueckauer2017": _article(
        "Rueckauer, Bodo and Lungu, Iulia-Alexandra and Hu, Yuhuang and Pfeiffer, Michael and Liu, Shih-Chii",
        "Conversion of Continuous-Valued Deep Networks to Efficient Event-Driven Networks for Image Classification",
        "Frontiers in Neuroscience",
        2017,
        volume="11",
        pages="682",
        doi="10.3389/fnins.2017.00682",
    ),
    "stoeckl2021fewspike": _article(
        'St{\\"o}ckl, Christoph and Maass, Wolfgang',
        "Optimized Spiking Neurons Can Classify Images with High Accuracy through Temporal Coding with Two Spikes",
        "Nature Machine Intelligence",
        2021,
        volume="3",
        pages="230--238",
        doi="10.1038/s42256-021-00311-4",
    ),
    "wang2022signed": _talk(
        "Wang, Yuchen and Zhang, Malu and Chen, Yi and Qu, Hong",
        "Signed Neuron with Memory: Towards Simple, Accurate and High-Efficient {ANN}-{SNN} Conversion",
        "Proceedings of the Thirty-First International Joint Conference on Artificial Intelligence",
        2022,
        pages="2501--2508",
        doi="10.24963/ijcai.2022/347",
    ),
}
