"""The cut of long prompts: ComfyUI's and A1111's, by small chunks of numbers."""

from __future__ import annotations

import pytest

from remix.prompt import Run, cut

COMMA = 0


def sizes(rule: str, *sections: list[Run[int]], size: int = 75) -> list[int]:
    return [len(chunk.tokens) for chunk in cut(sections, size, rule, COMMA)]


def words(count: int, *commas: int) -> list[int]:
    return [COMMA if at in commas else at + 1 for at in range(count)]


@pytest.mark.parametrize("rule", ["comfy", "a1111"])
@pytest.mark.parametrize(
    ("sections", "found"),
    [
        ([[]], [0]),
        ([[Run(words(75))]], [75]),
        ([[Run(words(76))]], [75, 1]),
        ([[Run(words(160))]], [75, 75, 10]),
        ([[Run(words(3))], [Run(words(4))]], [3, 4]),
        ([[Run(words(3))], []], [3]),
        ([[], [Run(words(3))]], [0, 3]),
        ([[Run(words(3))], [], []], [3, 0]),
    ],
)
def test_chunks_are_filled_and_begin_at_breaks(rule: str, sections: list[list[Run[int]]], found: list[int]) -> None:
    assert sizes(rule, *sections) == found


@pytest.mark.parametrize(
    ("commas", "found"),
    [((60,), [61, 19]), ((55,), [56, 24]), ((54,), [75, 5]), ((74,), [75, 5]), ((20, 70), [71, 9]), ((75,), [75, 5])],
)
def test_a1111_ends_a_chunk_at_a_comma_of_its_last_20_tokens(commas: tuple[int, ...], found: list[int]) -> None:
    assert sizes("a1111", [Run(words(80, *commas))]) == found
    assert sizes("comfy", [Run(words(80, *commas))]) == [75, 5]


def test_comfyui_keeps_a_run_of_few_tokens_together() -> None:
    assert sizes("comfy", [Run(words(72)), Run(words(7), 1.2)]) == [72, 7]
    assert sizes("comfy", [Run(words(72)), Run(words(8), 1.2)]) == [75, 5]
    assert sizes("a1111", [Run(words(72)), Run(words(7), 1.2)]) == [75, 4]


def test_embeddings_are_not_cut() -> None:
    assert sizes("a1111", [Run(words(70)), Run(words(10), 1.2, whole=True)]) == [70, 10]


def test_weights_move_with_their_tokens() -> None:
    first, second = cut([[Run(words(70, 60)), Run([7] * 8, 1.5)]], 75, "a1111", COMMA)
    assert first.weights == (1.0,) * 61
    assert second.weights == (1.0,) * 9 + (1.5,) * 8
    assert second.tokens[-1] == 7


def test_vectors_of_an_embedding_are_not_compared_with_a_comma() -> None:
    class Vector:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("the host's vectors are tensors, which have no single truth value")

        __hash__ = None  # type: ignore[assignment]

    vectors = [Vector(), Vector()]
    (chunk,) = cut([[Run([1, 2], 1.0), Run(vectors, 1.2, whole=True)]], 9, "a1111", 2)
    assert len(chunk.tokens) == 4
    assert chunk.weights == (1.0, 1.0, 1.2, 1.2)
