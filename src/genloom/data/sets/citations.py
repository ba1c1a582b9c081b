"""Whom to cite for a data set, as BibTeX."""

from __future__ import annotations

MNIST = """@article{lecun1998gradient,
  title = {Gradient-based learning applied to document recognition},
  author = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  journal = {Proceedings of the IEEE}, volume = {86}, number = {11}, pages = {2278--2324}, year = {1998}
}"""
DIGITS = """@misc{alpaydin1998optical,
  title = {Optical Recognition of Handwritten Digits}, author = {Alpaydin, Ethem and Kaynak, Cenk},
  howpublished = {UCI Machine Learning Repository}, year = {1998}, doi = {10.24432/C50P49}
}"""
FASHION = """@article{xiao2017fashion,
  title = {Fashion-{MNIST}: a Novel Image Dataset for Benchmarking Machine Learning Algorithms},
  author = {Xiao, Han and Rasul, Kashif and Vollgraf, Roland},
  journal = {arXiv:1708.07747}, year = {2017}
}"""
CIFAR = """@techreport{krizhevsky2009learning,
  title = {Learning Multiple Layers of Features from Tiny Images}, author = {Krizhevsky, Alex},
  institution = {University of Toronto}, year = {2009}
}"""
OLIVETTI = """@inproceedings{samaria1994parameterisation,
  title = {Parameterisation of a Stochastic Model for Human Face Identification},
  author = {Samaria, Ferdinando S. and Harter, Andy C.},
  booktitle = {Proceedings of the Second IEEE Workshop on Applications of Computer Vision},
  pages = {138--142}, year = {1994}
}"""
EMOJI = """@misc{twemoji,
  title = {Twemoji}, author = {{Twitter, Inc. and other contributors}},
  howpublished = {https://github.com/twitter/twemoji}
}
@misc{notoemoji,
  title = {Noto Emoji}, author = {{Google}}, howpublished = {https://github.com/googlefonts/noto-emoji}
}
@misc{emojibase,
  title = {Emojibase}, author = {Johnson, Miles}, howpublished = {https://emojibase.dev}
}"""
OPENMOJI = """@misc{openmoji,
  title = {{OpenMoji}}, author = {Gro{\\ss}, Benedikt and Utz, Daniel and {The OpenMoji Contributors}},
  howpublished = {https://openmoji.org}, year = {2018}
}"""
SHAKESPEARE = """@misc{karpathy2015charrnn,
  title = {The Unreasonable Effectiveness of Recurrent Neural Networks}, author = {Karpathy, Andrej},
  howpublished = {https://karpathy.github.io/2015/05/21/rnn-effectiveness/}, year = {2015}
}"""
PYTHON = """@misc{python,
  title = {The {Python} Standard Library}, author = {{Python Software Foundation}},
  howpublished = {https://docs.python.org/3/library/}
}"""
FUNCTIONS = """@misc{genloom,
  title = {genloom: generative models from your own data}, author = {{The genloom authors}}
}"""
NAMES = """@misc{karpathy2022makemore,
  title = {makemore}, author = {Karpathy, Andrej},
  howpublished = {https://github.com/karpathy/makemore}, year = {2022}
}"""
WIKITEXT = """@article{merity2016pointer,
  title = {Pointer Sentinel Mixture Models},
  author = {Merity, Stephen and Xiong, Caiming and Bradbury, James and Socher, Richard},
  journal = {arXiv:1609.07843}, year = {2016}
}"""
MULTI30K = """@inproceedings{elliott2016multi30k,
  title = {{Multi30K}: Multilingual {English-German} Image Descriptions},
  author = {Elliott, Desmond and Frank, Stella and Sima'an, Khalil and Specia, Lucia},
  booktitle = {Proceedings of the 5th Workshop on Vision and Language},
  pages = {70--74}, year = {2016}, doi = {10.18653/v1/W16-3210}
}"""
SUMMARIES = """@article{sanh2021multitask,
  title = {Multitask Prompted Training Enables Zero-Shot Task Generalization}, author = {Sanh, Victor and others},
  journal = {arXiv:2110.08207}, year = {2021}
}
@article{wang2022selfinstruct,
  title = {{Self-Instruct}: Aligning Language Models with Self-Generated Instructions},
  author = {Wang, Yizhong and Kordi, Yeganeh and Mishra, Swaroop and Liu, Alisa and Smith, Noah A. and
            Khashabi, Daniel and Hajishirzi, Hannaneh},
  journal = {arXiv:2212.10560}, year = {2022}
}"""
PREFERENCES = """@article{bai2022training,
  title = {Training a Helpful and Harmless Assistant with Reinforcement Learning from Human Feedback},
  author = {Bai, Yuntao and others},
  journal = {arXiv:2204.05862}, year = {2022}
}"""
CHITCHAT = """@article{myers2020conversational,
  title = {Conversational Scaffolding: An Analogy-Based Approach to Response Prioritization in Open-Domain Dialogs},
  author = {Myers, Will and Etchart, Tyler and Fulda, Nancy}, year = {2020}
}"""
MOLSETS = """@article{polykovskiy2020molecular,
  title = {Molecular Sets ({MOSES}): A Benchmarking Platform for Molecular Generation Models},
  author = {Polykovskiy, Daniil and others},
  journal = {Frontiers in Pharmacology}, volume = {11}, year = {2020}, doi = {10.3389/fphar.2020.565644}
}"""
CHORALES = """@inproceedings{boulanger2012modeling,
  title = {Modeling Temporal Dependencies in High-Dimensional Sequences: Application to Polyphonic Music Generation
           and Transcription},
  author = {Boulanger-Lewandowski, Nicolas and Vincent, Pascal and Bengio, Yoshua},
  booktitle = {Proceedings of the 29th International Conference on Machine Learning},
  pages = {1159--1166}, year = {2012}
}"""
SPOKEN_DIGITS = """@misc{jackson2018fsdd,
  title = {Free Spoken Digit Dataset}, author = {Jackson, Zohar and others},
  howpublished = {https://github.com/Jakobovski/free-spoken-digit-dataset}, year = {2018}
}"""
ASTERISK = """@misc{asterisksounds,
  title = {Asterisk Core Sounds, English}, author = {Smith, Allison and {Digium, Inc.}},
  howpublished = {https://downloads.asterisk.org/pub/telephony/sounds/}
}"""
OMNIGLOT = """@article{lake2015human,
  title = {Human-level concept learning through probabilistic program induction},
  author = {Lake, Brenden M. and Salakhutdinov, Ruslan and Tenenbaum, Joshua B.},
  journal = {Science}, volume = {350}, number = {6266}, pages = {1332--1338}, year = {2015}
}"""
ADULT = """@misc{becker1996adult,
  title = {Adult}, author = {Becker, Barry and Kohavi, Ronny},
  howpublished = {UCI Machine Learning Repository}, year = {1996}, doi = {10.24432/C5XW20}
}"""
STORIES = """@article{eldan2023tinystories,
  title = {{TinyStories}: How Small Can Language Models Be and Still Speak Coherent {English}?},
  author = {Eldan, Ronen and Li, Yuanzhi},
  journal = {arXiv:2305.07759}, year = {2023}
}
@misc{karpathy2023llama2c,
  title = {llama2.c}, author = {Karpathy, Andrej},
  howpublished = {https://github.com/karpathy/llama2.c}, year = {2023}
}"""
FID = """@inproceedings{heusel2017gans,
  title = {{GANs} Trained by a Two Time-Scale Update Rule Converge to a Local {Nash} Equilibrium},
  author = {Heusel, Martin and Ramsauer, Hubert and Unterthiner, Thomas and Nessler, Bernhard and Hochreiter, Sepp},
  booktitle = {Advances in Neural Information Processing Systems 30}, year = {2017}
}"""
LPIPS = """@inproceedings{zhang2018unreasonable,
  title = {The Unreasonable Effectiveness of Deep Features as a Perceptual Metric},
  author = {Zhang, Richard and Isola, Phillip and Efros, Alexei A. and Shechtman, Eli and Wang, Oliver},
  booktitle = {Proceedings of the IEEE Conference on Computer Vision and Pattern Recognition}, year = {2018}
}"""
MINILM = """@inproceedings{reimers2019sentence,
  title = {Sentence-{BERT}: Sentence Embeddings using {Siamese} {BERT}-Networks},
  author = {Reimers, Nils and Gurevych, Iryna},
  booktitle = {Proceedings of the 2019 Conference on Empirical Methods in Natural Language Processing}, year = {2019}
}"""
MOVING_MNIST = """@inproceedings{srivastava2015unsupervised,
  title = {Unsupervised Learning of Video Representations using {LSTMs}},
  author = {Srivastava, Nitish and Mansimov, Elman and Salakhutdinov, Ruslan},
  booktitle = {International Conference on Machine Learning}, year = {2015}
}"""
VEEGAN = """@inproceedings{srivastava2017veegan,
  title = {{VEEGAN}: Reducing Mode Collapse in {GAN}s using Implicit Variational Learning},
  author = {Srivastava, Akash and Valkov, Lazar and Russell, Chris and Gutmann, Michael U. and Sutton, Charles},
  booktitle = {Advances in Neural Information Processing Systems}, year = {2017}
}"""
PACGAN = """@inproceedings{lin2018pacgan,
  title = {{PacGAN}: The Power of Two Samples in Generative Adversarial Networks},
  author = {Lin, Zinan and Khetan, Ashish and Fanti, Giulia and Oh, Sewoong},
  booktitle = {Advances in Neural Information Processing Systems}, year = {2018}
}"""
SOLIDS = """@software{genloom,
  title = {genloom}, note = {Rendered heads with known factors}, license = {Apache-2.0}
}"""
