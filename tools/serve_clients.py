"""The Python half of serve_clients.sh: the official OpenAI client and Inspect against a server of ours.

    python tools/serve_clients.py URL TOKEN

Holds for any model: nothing depends on what it says, only on what must be equal, bounded or refused.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request

import openai

CHAT = [{"role": "user", "content": "Tell me a short story about a cat."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def equal(got, want, what):
    if got != want:
        raise SystemExit(f"FAILED: {what}: got {got!r}, want {want!r}")


def holds(condition, what):
    if not condition:
        raise SystemExit(f"FAILED: {what}")


def raises(kind, what, call):
    """Checks that call raises an API error of a kind, and returns it."""
    try:
        call()
    except kind as error:
        return error
    raise SystemExit(f"FAILED: {what}: no {kind.__name__}")


def collect(stream):
    """Joins a chat's stream: texts and finish reasons by choice, and the usage."""
    texts, finishes, usage = {}, {}, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            if choice.finish_reason:
                finishes[choice.index] = choice.finish_reason
    return texts, finishes, usage


def check_models(client):
    listed = client.models.list().data
    equal(len(listed), 1, "number of models")
    equal(client.models.retrieve(listed[0].id).id, listed[0].id, "retrieved model")
    return listed[0].id


def check_chat(client, model):
    ask = dict(model=model, messages=CHAT, max_tokens=24, temperature=0.9, top_p=0.95, seed=11)
    whole = client.chat.completions.create(**ask)
    text = whole.choices[0].message.content
    holds(isinstance(text, str) and whole.choices[0].finish_reason in ("stop", "length"), "a chat has text and an end")
    equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens, "usage")
    holds(0 < whole.usage.completion_tokens <= 24, "the limit of tokens is kept")
    equal(client.chat.completions.create(**ask).choices[0].message.content, text, "the same seed's answer")
    texts, finishes, usage = collect(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    equal((texts[0], finishes[0], usage), (text, whole.choices[0].finish_reason, whole.usage), "the stream of the same answer")
    several = client.chat.completions.create(**ask, n=3)
    equal([c.index for c in several.choices], [0, 1, 2], "indices of choices")
    equal(several.choices[0].message.content, text, "the first of three choices")
    texts, finishes, _ = collect(client.chat.completions.create(**ask, n=3, stream=True))
    equal([texts[i] for i in range(3)], [c.message.content for c in several.choices], "the stream of three choices")
    parts = [{"role": "user", "content": [{"type": "text", "text": CHAT[0]["content"]}]}]
    equal(client.chat.completions.create(**ask | {"messages": parts}).choices[0].message.content, text, "the answer to a list of parts")


def check_logprobs(client, model):
    ask = dict(model=model, messages=CHAT, max_tokens=12, temperature=0, logprobs=True, top_logprobs=3)
    answer = client.chat.completions.create(**ask)
    tokens = answer.choices[0].logprobs.content
    joined = b"".join(bytes(t.bytes) for t in tokens).decode("utf-8", "replace")
    equal(joined, (getattr(answer.choices[0].message, "reasoning_content", None) or "") + answer.choices[0].message.content, "text of the scored tokens")
    for token in tokens:
        values = [t.logprob for t in token.top_logprobs]
        equal((len(values), values), (3, sorted(values, reverse=True)), "order of the alternatives")
        holds(token.logprob <= 1e-6, "a log-probability is not positive")
        holds(abs(token.logprob - values[0]) < 1e-4, "a greedy token is the most probable")
    streamed = [t.logprob for chunk in client.chat.completions.create(**ask, stream=True) for c in chunk.choices if c.logprobs for t in c.logprobs.content]
    holds(len(streamed) == len(tokens) and all(abs(a - t.logprob) < 1e-4 for a, t in zip(streamed, tokens)), "scores of the stream")


def check_stop(client, model):
    ask = dict(model=model, messages=CHAT, max_tokens=24, temperature=0)
    text = client.chat.completions.create(**ask).choices[0].message.content
    stop = text[len(text) // 2 :][:5].strip()
    holds(stop, "the answer is long enough to be stopped")
    stopped = client.chat.completions.create(**ask, stop=[stop, "\x00never"]).choices[0]
    equal((stopped.message.content, stopped.finish_reason), (text.split(stop)[0], "stop"), "the stopped answer")
    texts, finishes, _ = collect(client.chat.completions.create(**ask, stop=stop, stream=True))
    equal((texts[0], finishes[0]), (text.split(stop)[0], "stop"), "the stopped stream")


def check_tools(client, model):
    question = [{"role": "user", "content": "What is the weather in Paris? Use the tool."}]
    ask = dict(model=model, tools=[WEATHER], tool_choice="auto", max_tokens=64, temperature=0)
    choice = client.chat.completions.create(**ask, messages=question).choices[0]
    calls = choice.message.tool_calls or []
    for call in calls:
        json.loads(call.function.arguments)
    equal(choice.finish_reason == "tool_calls", bool(calls) and choice.finish_reason != "length", "the end of an answer with calls")
    streamed = []
    for chunk in client.chat.completions.create(**ask, messages=question, stream=True):
        for delta in chunk.choices[0].delta.tool_calls or []:
            equal(delta.index, len(streamed), "index of a streamed call")
            streamed.append((delta.id, delta.function.name, delta.function.arguments))
    equal(streamed, [(c.id, c.function.name, c.function.arguments) for c in calls], "streamed calls")
    made = choice.message.model_dump() if calls else {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}],
    }
    results = [{"role": "tool", "tool_call_id": c["id"], "content": "sunny"} for c in made["tool_calls"]]
    after = client.chat.completions.create(**ask, messages=[*question, made, *results])
    holds(after.choices[0].finish_reason in ("stop", "length", "tool_calls"), "an answer to a tool's result")
    print(f"    (the model made {len(calls)} calls)")


def check_completions(client, model):
    ask = dict(model=model, max_tokens=8, temperature=0)
    first, second = "The capital of France is", "One, two, three,"
    alone = [client.completions.create(**ask, prompt=p).choices[0].text for p in (first, second)]
    equal([c.text for c in client.completions.create(**ask, prompt=[first, second]).choices], alone, "two prompts at once")
    echoed = client.completions.create(**ask, prompt=first, echo=True, logprobs=2).choices[0]
    equal(echoed.text, first + alone[0], "the echoed prompt with its answer")
    scores = echoed.logprobs
    equal(len({len(scores.tokens), len(scores.token_logprobs), len(scores.text_offset), len(scores.top_logprobs)}), 1, "length of the scores")
    equal(scores.token_logprobs[0], None, "the first token's score")
    holds(all(p <= 1e-6 for p in scores.token_logprobs[1:]), "log-probabilities are not positive")
    texts = "".join(c.text for chunk in client.completions.create(**ask, prompt=first, echo=True, stream=True) for c in chunk.choices)
    equal(texts, echoed.text, "the stream of an echoed prompt")
    again = client.completions.create(**ask | {"max_tokens": 0}, prompt=echoed.text, echo=True, logprobs=0).choices[0]
    equal(again.text, echoed.text, "a prompt that is only scored")
    if again.logprobs.tokens == scores.tokens:  # a text may have other tokens than its parts
        worst = max(abs(a - b) for a, b in zip(again.logprobs.token_logprobs[1:], scores.token_logprobs[1:]))
        holds(worst < 1e-2, f"scored and generated log-probabilities agree; they differ by {worst}")
    raises(openai.BadRequestError, "suffix", lambda: client.completions.create(**ask, prompt=first, suffix="x"))


def check_errors(client, model, url, token):
    ask = lambda **more: client.chat.completions.create(**{"model": model, "messages": CHAT, "max_tokens": 4} | more)
    equal(raises(openai.BadRequestError, "temperature", lambda: ask(temperature=3)).param, "temperature", "the field at fault")
    unknown = raises(openai.BadRequestError, "unknown parameter", lambda: ask(extra_body={"temprature": 1}))
    equal((unknown.param, unknown.code), ("temprature", "unknown_parameter"), "an unknown parameter")
    raises(openai.BadRequestError, "required tool", lambda: ask(tools=[WEATHER], tool_choice="required"))
    raises(openai.BadRequestError, "JSON mode", lambda: ask(response_format={"type": "json_object"}))
    raises(openai.NotFoundError, "another model", lambda: ask(model="no-such-model"))
    long = [{"role": "user", "content": "word " * 300_000}]
    equal(raises(openai.BadRequestError, "a long prompt", lambda: ask(messages=long)).code, "context_length_exceeded", "a long prompt")
    if token != "none":
        stranger = openai.OpenAI(base_url=url + "/v1", api_key="wrong", max_retries=0)
        raises(openai.AuthenticationError, "wrong token", lambda: stranger.models.list())


def check_company(client, model, url, token):
    """The same request gives the same answer alone and among others."""
    ask = dict(model=model, messages=CHAT, max_tokens=16, temperature=1, seed=5)
    alone = client.chat.completions.create(**ask).choices[0].message.content

    async def together():
        async with openai.AsyncOpenAI(base_url=url + "/v1", api_key=token, max_retries=0) as many:
            others = [many.chat.completions.create(**ask | {"seed": i, "messages": [{"role": "user", "content": f"Count to {i}."}]}) for i in range(8)]
            answers = await asyncio.gather(*others, *(many.chat.completions.create(**ask) for _ in range(8)))
            return [a.choices[0].message.content for a in answers[8:]]

    equal(set(asyncio.run(together())), {alone}, "answers among others")


def check_leaving(client, model, url, token):
    """A client that goes away frees its slot."""
    stream = client.chat.completions.create(model=model, messages=CHAT, max_tokens=200, temperature=1, stream=True)
    next(iter(stream))
    stream.close()
    request = urllib.request.Request(url + "/metrics", headers={"Authorization": "Bearer " + token})
    end = time.time() + 30
    while b"\nbecause_sequences_running 0\n" not in urllib.request.urlopen(request).read():
        holds(time.time() < end, "a client that left frees its slot")
        time.sleep(0.1)


def check_inspect(model, url, token):
    """Runs a plain task and one with a tool, as the model openai-api/local/NAME."""
    os.environ["LOCAL_BASE_URL"], os.environ["LOCAL_API_KEY"] = url + "/v1", token
    os.environ["INSPECT_DISPLAY"] = "none"
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import GenerateConfig
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate, system_message, use_tools
    from inspect_ai.tool import tool

    @tool
    def weather():
        async def execute(city: str) -> str:
            """The weather of a city.

            Args:
                city: Its name.
            """
            return f"sunny in {city}"

        return execute

    samples = [Sample(input=f"What is {i} plus {i}?", target=str(2 * i)) for i in range(1, 5)]
    # At most a few calls: a small model may go on asking.
    tasks = [
        Task(name="plain", dataset=samples, solver=[system_message("Be brief."), generate()], scorer=includes()),
        Task(name="tools", dataset=samples[:2], solver=[use_tools(weather()), generate()], scorer=includes(), message_limit=6),
    ]
    with tempfile.TemporaryDirectory() as logs:
        config = GenerateConfig(max_tokens=32, temperature=0.7, seed=3, logprobs=True, top_logprobs=2)
        for task in tasks:
            log = eval(task, model="openai-api/local/" + model, log_dir=logs, **config.model_dump(exclude_none=True))[0]
            equal((log.status, log.error), ("success", None), f"Inspect's task {task.name}")
            equal([s.error for s in log.samples], [None] * len(log.samples), f"samples of {task.name}")
            holds(all(s.output.usage.output_tokens > 0 for s in log.samples), f"outputs of {task.name}")


def main():
    url, token = sys.argv[1:]
    client = openai.OpenAI(base_url=url + "/v1", api_key=token, max_retries=0)
    model = check_models(client)
    checks = [
        ("chat, streams and choices", lambda: check_chat(client, model)),
        ("log-probabilities", lambda: check_logprobs(client, model)),
        ("stop strings", lambda: check_stop(client, model)),
        ("tools", lambda: check_tools(client, model)),
        ("completions, echo and scores", lambda: check_completions(client, model)),
        ("errors", lambda: check_errors(client, model, url, token)),
        ("the same answer alone and among others", lambda: check_company(client, model, url, token)),
        ("a client that leaves", lambda: check_leaving(client, model, url, token)),
        ("Inspect", lambda: check_inspect(model, url, token)),
    ]
    for what, check in checks:
        began = time.time()
        check()
        print(f"ok  {what} ({time.time() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
