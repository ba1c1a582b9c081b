"""Texts that match a regular expression or are JSON of a schema, as an automaton over a tokenizer's tokens.

`outlines-core` turns expressions into automata over bytes, and these into transitions between states by token: a token
may end inside a character, as tokens of bytes and of a byte-level BPE do. Added here: how many tokens each state is
away from a complete text, so that one of bounded length is never cut off before it is complete.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genloom.errors import BadValue
from genloom.modalities.text import UNKNOWN, Tokenizer

_FAR = np.int32(2**30)  # tokens to a complete text from where there is no way
_HONOURED = (
    "$schema $id $defs definitions $ref title description default examples deprecated readOnly writeOnly type "
    "properties required additionalProperties items minItems maxItems enum const minLength maxLength pattern format "
    "anyOf"
)  # keywords that `outlines-core` keeps to, or that ask for nothing


class Automaton:
    """A `genloom.samplers.decoding.Grammar`."""

    def __init__(self, expression: str, tokenizer: Tokenizer) -> None:
        """Raises BadValue for what is no expression, and for what these tokens cannot spell."""
        try:
            from outlines_core import Index, Vocabulary
        except ImportError:
            raise BadValue("patterns and schemas need outlines-core: pip install 'genloom[grammar]'") from None
        self.size = tokenizer.size
        spelled: dict[bytes, list[int]] = {}
        for token in range(self.size):
            if (piece := tokenizer.piece(token)) and piece != UNKNOWN.encode():
                spelled.setdefault(piece, []).append(token)
        try:
            index = Index(expression, Vocabulary(self.size, spelled))  # the id after the last stands for the end
        except ValueError as error:
            said = " ".join(str(error).split())
            if "incompatible" in said:
                raise BadValue(f"the model's tokens cannot spell a text that matches {_short(expression)}") from None
            raise BadValue(f"{_short(expression)} is no regular expression that is understood: {said[:120]}") from None
        moves: Mapping[int, Mapping[int, int]] = index.get_transitions()
        self._next = {s: {t: n for t, n in to.items() if t < self.size} for s, to in moves.items()}
        self.start: int = index.get_initial_state()
        self._complete = set(index.get_final_states())
        self._far = self._distances()
        self._need: dict[int, Tensor] = {}
        if self.start not in self._far:
            raise BadValue(f"no text matches {_short(expression)}")

    def _distances(self) -> dict[int, int]:
        """Tokens from each state to a complete text, at least; states without a way are missing."""
        back: dict[int, set[int]] = {}
        for state, to in self._next.items():
            for following in to.values():
                back.setdefault(following, set()).add(state)
        far = dict.fromkeys(self._complete, 0)
        queue = deque(self._complete)
        while queue:
            state = queue.popleft()
            for before in back.get(state, ()):
                if before not in far:
                    far[before] = far[state] + 1
                    queue.append(before)
        return far

    def allowed(self, state: int, left: int) -> Tensor:
        """Which tokens may come, (V,) of bool, if the text is to be complete within `left` tokens, these included."""
        if state not in self._need:
            need = np.full(self.size, _FAR, np.int32)
            for token, following in self._next.get(state, {}).items():
                need[token] = 1 + self._far.get(following, _FAR - 1)
            self._need[state] = torch.from_numpy(need)
        return self._need[state] <= min(left, int(_FAR) - 1)

    def follow(self, state: int, token: int) -> int:
        """The state after an allowed token."""
        return self._next[state][token]

    def complete(self, state: int) -> bool:
        """Whether the text may end here."""
        return state in self._complete

    def shortest(self) -> list[int]:
        """The tokens of a shortest text."""
        ids: list[int] = []
        state = self.start
        while self._far[state]:
            token, state = min(self._next[state].items(), key=lambda move: (self._far.get(move[1], _FAR), move[0]))
            ids.append(token)
        return ids


def of_pattern(pattern: str, tokenizer: Tokenizer) -> Automaton:
    """Texts that match a regular expression as a whole. Raises BadValue."""
    return Automaton(pattern, tokenizer)


def of_schema(schema: Any, tokenizer: Tokenizer) -> Automaton:
    """JSON of a schema. Raises BadValue for schemas that cannot be met, and keywords that would not be honoured."""
    try:
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError
        from outlines_core.json_schema import build_regex_from_schema
    except ImportError:
        raise BadValue("patterns and schemas need outlines-core: pip install 'genloom[grammar]'") from None
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise BadValue(f"the schema is none: {' '.join(error.message.split())[:160]}") from None
    _check(schema)
    try:
        expression = build_regex_from_schema(json.dumps(schema))
    except ValueError as error:
        raise BadValue(f"the schema cannot be met: {' '.join(str(error).split())[:160]}") from None
    made = Automaton(expression, tokenizer)
    example = tokenizer.decode(made.shortest())  # what is contradictory shows in the least that would be written
    try:
        valid = Draft202012Validator(schema).is_valid(json.loads(example))
    except ValueError:
        valid = False
    if not valid:
        raise BadValue(f"the schema cannot be met: its parts contradict each other, as in {_short(example)}")
    return made


def _check(schema: Any) -> None:
    """Raises BadValue for the first keyword, at any depth, that would be ignored."""
    if schema is False:
        raise BadValue("the schema cannot be met: it is false, and allows nothing")
    if not isinstance(schema, Mapping):
        return
    for name, value in schema.items():
        if name not in _HONOURED.split():
            raise BadValue(
                f"the schema asks for {name!r}, which cannot be promised token by token: say it by "
                "enum, const, pattern, anyOf, lengths and counts"
            )
        if name in ("properties", "$defs", "definitions"):
            for inner in value.values():
                _check(inner)
        elif name in ("items", "additionalProperties"):
            if value is not False or name == "items":
                _check(value)
        elif name == "anyOf":
            for inner in value:
                _check(inner)
    missing = [p for p in schema.get("required", ()) if p not in schema.get("properties", {})]
    if missing:
        raise BadValue(f"the schema requires {missing[0]!r} and says nothing of it: add it to properties")
    for least, most in (("minItems", "maxItems"), ("minLength", "maxLength")):
        if schema.get(least, 0) > schema.get(most, schema.get(least, 0)):
            raise BadValue(f"the schema cannot be met: {least} {schema[least]} is above {most} {schema[most]}")
    if "enum" in schema and "type" in schema:
        raise BadValue("the schema has enum and type in one place: leave type out, the values have theirs")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
