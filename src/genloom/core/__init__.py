"""The contract: fields, players, phases, models, capabilities. Depends on torch alone, to be read in one sitting."""

from genloom.core.capabilities import (
    CanCompress,
    CanDecode,
    CanEncode,
    CanSample,
    CanStream,
    CanTranslate,
    Decoding,
    HasLikelihood,
    HasStyles,
    Sampling,
)
from genloom.core.config import config_from_json, config_to_json
from genloom.core.model import Model
from genloom.core.play import Loss, Optimizer, Phase, Player, Step, derive_seed
from genloom.core.reading import CanContinue, Reading
from genloom.core.spec import (
    CONTINUOUS,
    Batch,
    Column,
    DataSpec,
    Field,
    batch_size,
    spec_from_json,
    spec_to_json,
    the_class,
    the_item,
    the_prompt,
)

__all__ = [
    "CONTINUOUS",
    "Batch",
    "CanCompress",
    "CanContinue",
    "CanDecode",
    "CanEncode",
    "CanSample",
    "CanStream",
    "CanTranslate",
    "Column",
    "DataSpec",
    "Decoding",
    "Field",
    "HasLikelihood",
    "HasStyles",
    "Loss",
    "Model",
    "Optimizer",
    "Phase",
    "Player",
    "Reading",
    "Sampling",
    "Step",
    "batch_size",
    "config_from_json",
    "config_to_json",
    "derive_seed",
    "spec_from_json",
    "spec_to_json",
    "the_class",
    "the_item",
    "the_prompt",
]
