"""A Ray Serve application that speaks the part of OpenAI's API that because needs: because_ray.serve:app_builder.

With GPUs and vLLM it is Ray Serve's own LLM server. Without, transformers answers on the CPU: no streaming, tool calls
come as the text that the model
wrote, and concurrent requests are put together into batches.
"""

# No annotations from __future__ here: Ray Serve ships the routes' functions by value, and FastAPI must find the types
# of their arguments, not the names of types.

import asyncio
import importlib.util
import random
import time
import uuid
from dataclasses import dataclass, replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from ray import serve

from because_ray import models
from because_ray.errors import JOB, PACKAGE, Failure
from because_ray.sampling import Answer, Ask, Token, generate
from because_ray.text import Text

_MAX_BATCH = 16
_MAX_N = 128

api = FastAPI()


class Refused(Exception):
    """A request that cannot be answered, as OpenAI's API says it."""

    def __init__(self, message: str, param: str = "", status: int = 400, code: str = "") -> None:
        super().__init__(message)
        self.param, self.status, self.code = param, status, code


@api.exception_handler(Refused)
async def _refused(_: Request, e: Refused) -> JSONResponse:
    kind = "invalid_request_error" if e.status < 500 else "server_error"
    error = {"message": str(e), "type": kind, "param": e.param or None, "code": e.code or None}
    return JSONResponse({"error": error}, e.status)


# What Server uses stands before it: Ray Serve takes the class with what it finds at that moment.
def _number(body: dict[str, Any], key: str, default: Any, least: float, most: float, whole: bool = False) -> Any:
    value = body.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not least <= value <= most:
        raise Refused(
            f"{key} is {value!r}; it must be {'an integer' if whole else 'a number'} from {least:g} to {most:g}", key
        )
    return value


@dataclass(frozen=True)
class Settings:
    """What app_builder takes."""

    model: str  # URI, or a hub's name
    name: str = "model"  # that requests ask for
    dtype: str = "float32"
    gpus: float = 0  # of a replica
    replicas: int = 1
    max_len: int = 0  # tokens of prompt and answer; 0: what the model takes
    cpus: float = 1

    @staticmethod
    def of(args: dict[str, Any]) -> "Settings":
        kinds = {"model": str, "name": str, "dtype": str, "gpus": float, "replicas": int, "max_len": int, "cpus": float}
        for key in args:
            if key not in kinds:
                raise Failure(JOB, f"{key}: unknown argument", f"there are {', '.join(kinds)}")
        if not args.get("model"):
            raise Failure(JOB, "model: missing")
        try:
            return Settings(**{k: kinds[k](v) for k, v in args.items()})
        except (TypeError, ValueError) as e:
            raise Failure(JOB, f"serve's arguments: {e}") from e


def app_builder(args: dict[str, Any]) -> serve.Application:
    """Build the application: args are model, name, dtype, gpus, replicas, max_len and cpus."""
    s = Settings.of(args)
    if s.gpus:
        return _vllm(s)
    options = {"num_cpus": s.cpus, "num_gpus": 0}
    app: serve.Application = Server.options(num_replicas=s.replicas, ray_actor_options=options).bind(s)  # type: ignore[attr-defined]
    return app


def _vllm(s: Settings) -> serve.Application:
    if importlib.util.find_spec("vllm") is None:
        raise Failure(
            PACKAGE,
            "vLLM is missing, which serves models on GPUs",
            "pip install vllm in the cluster's image, or ask for gpus=0",
        )
    from ray.serve.llm import LLMConfig, build_openai_app

    engine: dict[str, Any] = {"dtype": s.dtype, "tensor_parallel_size": max(1, int(s.gpus))}
    if s.max_len:
        engine["max_model_len"] = s.max_len
    source = models.local_name(s.model) if not s.model.startswith(("s3://", "gs://")) else s.model
    config = LLMConfig(
        model_loading_config={"model_id": s.name, "model_source": source},
        deployment_config={"num_replicas": s.replicas},
        engine_kwargs=engine,
    )
    app: serve.Application = build_openai_app({"llm_configs": [config]})
    return app


@serve.deployment(max_ongoing_requests=4 * _MAX_BATCH, health_check_timeout_s=120)
@serve.ingress(api)
class Server:
    """Answers by transformers."""

    def __init__(self, settings: Settings) -> None:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

        torch.set_num_threads(max(1, int(settings.cpus)))
        name = models.local_name(settings.model)
        self._settings = settings
        dtype = getattr(torch, settings.dtype)
        self._model = AutoModelForCausalLM.from_pretrained(name, dtype=dtype).eval()
        tokenizer = AutoTokenizer.from_pretrained(name)
        end = GenerationConfig.from_pretrained(name).eos_token_id if self._model.generation_config else None
        end = AutoConfig.from_pretrained(name).get_text_config().eos_token_id if end is None else end
        self._text = Text(tokenizer, set(end) if isinstance(end, list) else {end} - {None})
        longest = int(getattr(self._model.config.get_text_config(), "max_position_embeddings", 0) or 1 << 20)
        self._longest = min(settings.max_len or longest, longest)

    @serve.batch(max_batch_size=_MAX_BATCH, batch_wait_timeout_s=0.01)
    async def _answer(self, asks: list[Ask]) -> list[Answer]:
        # In a thread, so that health checks are answered meanwhile.
        return await asyncio.to_thread(generate, self._model, self._text.tokenizer, self._text.end, asks)

    async def _answers(self, ask: Ask, n: int) -> list[Answer]:
        return list(await asyncio.gather(*(self._answer(replace(ask, seed=ask.seed + i)) for i in range(n))))

    @api.get("/health")
    @api.get("/-/healthz")
    async def health(self) -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/v1/models")
    async def models(self) -> dict[str, Any]:
        entry = {
            "id": self._settings.name,
            "object": "model",
            "created": 0,
            "owned_by": "because",
            "max_model_len": self._longest,
        }
        return {"object": "list", "data": [entry]}

    @api.post("/v1/chat/completions")
    async def chat(self, request: Request) -> dict[str, Any]:
        from because_ray import rows

        body = await self._body(request)
        if body.get("logprobs") or body.get("top_logprobs"):
            raise Refused("log-probabilities are told by /v1/completions", "logprobs")
        try:
            tools = rows.read_tools(body.get("tools"))
            messages = rows.read_messages("messages", body.get("messages"))
            prompt = self._text.chat_prompt(messages, tools)
        except (Failure, ValueError) as e:
            raise Refused(str(e), "messages") from e
        limit = body.get("max_completion_tokens", body.get("max_tokens"))
        ask, n = self._ask(body, prompt, limit, None)
        answers = await self._answers(ask, n)
        choices = [
            {
                "index": i,
                "message": {"role": "assistant", "content": a.text},
                "finish_reason": a.finish,
                "logprobs": None,
            }
            for i, a in enumerate(answers)
        ]
        return self._reply("chat.completion", "chatcmpl-", choices, len(prompt), answers)

    @api.post("/v1/completions")
    async def completions(self, request: Request) -> dict[str, Any]:
        body = await self._body(request)
        prompts = self._prompts(body.get("prompt"))
        alternatives = _number(body, "logprobs", None, 0, 20, whole=True)
        echo = bool(body.get("echo", False))
        asked = [self._ask(body, p, body.get("max_tokens", 16), alternatives, echo) for p in prompts]
        groups = await asyncio.gather(*(self._answers(ask, n) for ask, n in asked))
        choices: list[dict[str, Any]] = []
        for prompt, answers in zip(prompts, groups, strict=True):
            before = self._decode(prompt) if echo else ""
            for a in answers:
                scored = self._logprobs(a) if alternatives is not None else None
                choices.append(
                    {"index": len(choices), "text": before + a.text, "finish_reason": a.finish, "logprobs": scored}
                )
        read = sum(map(len, prompts))
        return self._reply("text_completion", "cmpl-", choices, read, [a for answers in groups for a in answers])

    async def _body(self, request: Request) -> dict[str, Any]:
        try:
            body = await request.json()
        except ValueError as e:
            raise Refused(f"the body is not JSON: {e}") from e
        if not isinstance(body, dict):
            raise Refused("the body is not a JSON object")
        if body.get("stream"):
            raise Refused("streaming needs vLLM; without GPUs ask with stream false", "stream")
        if body.get("model", self._settings.name) != self._settings.name:
            raise Refused(
                f"there is no model {body['model']!r}, only {self._settings.name!r}", "model", 404, "model_not_found"
            )
        return body

    def _prompts(self, value: Any) -> list[list[int]]:
        """Read one prompt or several, as texts or as tokens."""
        many = value if isinstance(value, list) and value and isinstance(value[0], str | list) else [value]
        out = []
        for p in many:
            if isinstance(p, str):
                tokens = self._text.prompt(p)
            elif isinstance(p, list) and all(type(t) is int for t in p):
                tokens = p
            else:
                raise Refused("it must be a text, a list of texts, or tokens", "prompt")
            if not tokens or not all(0 <= t < self._model.config.get_text_config().vocab_size for t in tokens):
                raise Refused("it is empty, or has tokens outside the vocabulary", "prompt")
            out.append(tokens)
        return out

    def _ask(
        self, body: dict[str, Any], prompt: list[int], limit: Any, logprobs: int | None, echo: bool = False
    ) -> tuple[Ask, int]:
        room = self._longest - len(prompt)
        most = room if limit is None else _number({"max_tokens": limit}, "max_tokens", 0, 0, 1 << 30, whole=True)
        if room < 0 or most > room:
            message = f"{len(prompt)} tokens and an answer of {most} are longer than the {self._longest} of the model"
            raise Refused(message, "max_tokens", code="context_length_exceeded")
        stop = body.get("stop") or []
        stop = [stop] if isinstance(stop, str) else stop
        if not isinstance(stop, list) or not all(isinstance(s, str) for s in stop):
            raise Refused("it must be a text or a list of texts", "stop")
        seed = _number(body, "seed", None, -(1 << 63), (1 << 63) - 1, whole=True)
        ask = Ask(
            prompt,
            most,
            _number(body, "temperature", 1.0, 0, 100),
            _number(body, "top_p", 1.0, 0, 1) or 1e-9,
            random.getrandbits(62) if seed is None else seed,
            tuple(stop),
            logprobs,
            echo,
        )
        return ask, _number(body, "n", 1, 1, _MAX_N, whole=True)

    def _decode(self, ids: list[int]) -> str:
        text: str = self._text.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        return text

    def _logprobs(self, a: Answer) -> dict[str, Any]:
        tokens: list[Token] = a.prompt + a.tokens
        words, offsets, at = [self._decode([t.id]) for t in tokens], [], 0
        for word in words:
            offsets.append(at)
            at += len(word)
        top = [None if t.logprob is None else {self._decode([i]): p for i, p in t.top} for t in tokens]
        return {
            "tokens": words,
            "token_logprobs": [t.logprob for t in tokens],
            "top_logprobs": top,
            "text_offset": offsets,
        }

    def _reply(self, kind: str, prefix: str, choices: list[Any], read: int, answers: list[Answer]) -> dict[str, Any]:
        wrote = sum(len(a.ids) for a in answers)
        usage = {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
        out = {
            "id": prefix + uuid.uuid4().hex,
            "object": kind,
            "created": int(time.time()),
            "model": self._settings.name,
        }
        return out | {"choices": choices, "usage": usage}


__all__ = ["Server", "Settings", "app_builder"]
