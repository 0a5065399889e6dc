"""LoRA tags in prompts become LoRAs of the frames, with strengths that travel with their prompts."""

from __future__ import annotations

import pytest

from remix.engine import tags
from remix.engine.tags import with_tags_applied
from remix.errors import Unsupported
from remix.plan import Frame, Keyframe, Lora, Model, Recipe, Schedule, plan


def schedule(*prompts: str, **changes: object) -> Schedule:
    keyframes = tuple(Keyframe(prompt=prompt, negative="grey") for prompt in prompts)
    return plan(Recipe(frames=3, keyframes=keyframes, **changes))  # type: ignore[arg-type]


def strengths(frame: Frame) -> dict[str, float]:
    return {lora.name: lora.strength for lora in frame.loras}


def test_a_schedule_without_tags_is_unchanged() -> None:
    plain = schedule("a cat", "a <b> dog")
    assert with_tags_applied(plain) is plain


def test_strengths_travel_with_their_prompts() -> None:
    found = with_tags_applied(schedule("a cat <lora:ink:0.8>", "a dog<lora:ink:0.4><lora:oil>"))
    assert [strengths(frame) for frame in found] == [
        {"ink": 0.8, "oil": 0.0},
        {"ink": 0.6, "oil": 0.5},
        {"ink": 0.4, "oil": 1.0},
    ]
    assert found.prompts == ("a cat ", "a dog")
    assert set(found.texts) == {"a cat ", "a dog", "grey"}


def test_prompts_that_differ_in_their_tags_alone_are_one_prompt() -> None:
    found = with_tags_applied(schedule("a cat<lora:ink:0>", "a cat<lora:ink:1>"))
    assert [frame.prompt.items for frame in found] == [(("a cat", 1.0),)] * 3
    assert [strengths(frame)["ink"] for frame in found] == [0, 0.5, 1]


def test_strengths_are_added_to_those_of_the_recipe() -> None:
    model = Model(loras=(Lora("ink", 0.5), Lora("oil", 0.25)))
    found = with_tags_applied(schedule("a cat<lora:ink:0.25>", model=model))
    assert strengths(found[0]) == {"ink": 0.75}
    keyframes = (Keyframe(prompt="a cat<lora:ink:0.25:0.25>", loras={"ink": 0.1}),)
    assert strengths(with_tags_applied(plan(Recipe(1, keyframes)))[0]) == {"ink": 0.35}


@pytest.mark.parametrize("tag", ["<lora:ink:0.5:1>", "<lora:ink:te=0.5:unet=1>"])
def test_a_tag_may_have_another_strength_for_the_text_encoder(tag: str) -> None:
    found = with_tags_applied(schedule(f"a cat {tag}", "a dog", model=Model(loras=(Lora("ink", 0.5, text=0.25),))))
    assert [frame.loras for frame in found] == [
        (Lora("ink", 1.5, text=0.75),),
        (Lora("ink", 1.0, text=0.5),),
        (Lora("ink", 0.5, text=0.25),),
    ]


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("<hypernet:ink:1>", "only A1111 reads"),
        ("<lora:ink:1:1:16>", "more than a LoRA and its strength"),
        ("<lora:ink:strong>", "not a number"),
    ],
)
def test_other_tags_are_refused(tag: str, why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        with_tags_applied(schedule(f"a cat {tag}"))


def test_tags_are_applied_once_for_all_steps_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[Schedule] = []

    def counted(schedule: Schedule) -> Schedule:
        applied.append(schedule)
        return with_tags_applied(schedule)

    monkeypatch.setattr(tags, "with_tags_applied", counted)
    film, other = (plan(Recipe(frames=1, keyframes=[Keyframe(prompt=f"a <lora:{name}:1>")])) for name in "xy")
    take = tags.TagsApplied()
    assert take(film) is take(film)
    assert [lora.name for lora in take(other)[0].loras] == ["y"]
    assert applied == [film, other]
