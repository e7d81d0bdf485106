from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from because_ray.sampling import Ask, generate
from tests.conftest import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder: Path = tmp_path_factory.mktemp("m") / "model"
    save_tiny(folder)
    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def test_company_does_not_matter(tiny: tuple[Any, Any]) -> None:
    asks = [
        Ask([5, 6, 7], 12, seed=1),
        Ask([9], 5, 0.0),
        Ask(list(range(3, 40)), 20, 0.7, 0.9, seed=4),
        Ask([5, 6, 7], 12, seed=1),
    ]
    together = generate(*tiny, set(), asks)
    for ask, answer in zip(asks, together, strict=True):
        assert generate(*tiny, set(), [ask])[0].ids == answer.ids
        assert len(answer.ids) == ask.max_tokens and answer.finish == "length"
    assert generate(*tiny, set(), [Ask([5, 6, 7], 12, seed=2)])[0].ids != together[0].ids


def test_greedy_is_the_models(tiny: tuple[Any, Any]) -> None:
    import torch

    model, tokenizer = tiny
    want = model.generate(
        torch.tensor([[5, 6, 7]]), do_sample=False, max_new_tokens=10, eos_token_id=-1, pad_token_id=0
    )[0, 3:]
    assert generate(model, tokenizer, set(), [Ask([5, 6, 7], 10, 0.0)])[0].ids == want.tolist()


def test_ends_and_stops(tiny: tuple[Any, Any]) -> None:
    whole = generate(*tiny, set(), [Ask([5], 30, seed=3)])[0]
    ended = generate(*tiny, {whole.ids[4]}, [Ask([5], 30, seed=3)])[0]
    assert ended.finish == "stop" and ended.ids == whole.ids[: whole.ids.index(whole.ids[4]) + 1]
    part = whole.text[3:5]
    stopped = generate(*tiny, set(), [Ask([5], 30, seed=3, stop=("", part))])[0]
    assert stopped.finish == "stop" and stopped.text == whole.text[: whole.text.index(part)]


def test_small_nucleus_is_greedy(tiny: tuple[Any, Any]) -> None:
    a, b = generate(*tiny, set(), [Ask([5], 10, 1.0, 1e-9, seed=1), Ask([5], 10, 0.0)])
    assert a.ids == b.ids


def test_scores_the_prompt(tiny: tuple[Any, Any]) -> None:
    import torch

    model, _ = tiny
    prompt = [5, 6, 7, 8]
    short, got = generate(*tiny, set(), [Ask([3], 2, seed=1), Ask(prompt, 0, logprobs=2, echo=True)])
    logs = torch.log_softmax(model(torch.tensor([prompt])).logits[0].double(), 1)
    assert (
        [t.id for t in got.prompt] == prompt and got.prompt[0].logprob is None and got.ids == [] and len(short.ids) == 2
    )
    for i, t in enumerate(got.prompt[1:]):
        assert t.logprob == pytest.approx(float(logs[i, t.id]), abs=1e-4)
        assert len(t.top) == 2 and t.top[0][1] == pytest.approx(float(logs[i].max()), abs=1e-4)
