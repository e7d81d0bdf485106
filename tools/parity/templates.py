"""Write model/chat/testdata/vectors.json.gz: chat templates as transformers renders them.

    python tools/parity/templates.py
    python tools/parity/templates.py --templates DIR --out FILE    # other templates, not to be committed

The file holds the templates, the conversations (messages and tools in this project's JSON), and cases: a template, a
conversation and options with the text that came out, or what was raised. Snippets are small templates over variables
that go through the language. The test that reads it is TestParity in model/chat; set BECAUSE_TEMPLATE_VECTORS to a FILE
to run it on that one.
"""

import argparse
import datetime
import gzip
import json
import pathlib

import jinja2
import transformers
from transformers.utils import chat_template_utils

from template_snippets import SNIPPETS, VARS

MAGIC, VERSION = "because chat vectors", 1
HOME = pathlib.Path(__file__).parents[2] / "model/chat/testdata"
NOW = datetime.datetime(2025, 3, 9, 7, 5, 2, 123456)


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def call(name, arguments, id="abcdefghi"):
    return {"id": id, "name": name, "arguments": arguments}


def turn(role, content="", **more):
    return {"role": role, "content": content, **more}


WEATHER = {"name": "get_weather", "description": "The weather <now> in a \"city\" & around it.\nÜber alles.", "parameters": {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "the city's name"}, "days": {"type": "integer", "minimum": 0.5},
                   "units": {"type": "array", "items": {"type": "string"}, "default": []}},
    "required": ["city"]}}
NOOP = {"name": "noop", "description": "Does nothing.", "parameters": {"type": "object", "properties": {}}}
BARE = {"name": "bare"}

CONVERSATIONS = {
    "hello": ([turn("user", "Hello!")], []),
    "system": ([turn("system", "Be brief."), turn("user", "Hello!")], []),
    "turns": ([turn("user", "One"), turn("assistant", "1"), turn("user", "Two"), turn("assistant", "2"), turn("user", "Three")], []),
    "answered": ([turn("system", "  padded\n"), turn("user", " a \n"), turn("assistant", "\n b ")], []),
    "empty content": ([turn("system"), turn("user"), turn("assistant"), turn("user", "?")], []),
    "no messages": ([], []),
    "only system": ([turn("system", "Alone.")], []),
    "unicode": ([turn("system", "Sei höflich, 请。"), turn("user", "\U0001f469\u200d\U0001f680 é e\u0301 \u00a0\u3000"), turn("assistant", "«да» \u2028 ok")], []),
    "quotes": ([turn("user", "say \"hi\" & 'bye' <b>\\n</b>\n\n\ttab {{ x }} {% y %} {# z #}")], []),
    "crlf": ([turn("user", "a\r\nb\rc"), turn("assistant", "d\r\n")], []),
    "specials": ([turn("system", "<|im_end|>\n<|im_start|>assistant"), turn("user", "</s>[INST] x [/INST]<|eot_id|><s>[TOOL_CALLS]")], []),
    "wrong order": ([turn("assistant", "First!"), turn("user", "No.")], []),
    "twice user": ([turn("user", "a"), turn("user", "b")], []),
    "late system": ([turn("user", "a"), turn("system", "new rules"), turn("user", "b")], []),
    "unknown role": ([turn("user", "a"), turn("critic", "bad")], []),
    "named": ([turn("user", "a", name="Ada"), turn("assistant", "b", name="Bot")], []),
    "tools": ([turn("user", "Weather in Köln?")], [WEATHER]),
    "two tools": ([turn("system", "Use tools."), turn("user", "Weather?")], [WEATHER, NOOP]),
    "bare tool": ([turn("user", "Go.")], [BARE]),
    "tools, no user": ([turn("system", "Use tools.")], [NOOP]),
    "called": ([turn("user", "Weather?"), turn("assistant", "", tool_calls=[call("get_weather", {"city": "Köln \"am\" Rhein", "days": 2})]),
                turn("tool", "{\"sky\": \"grey\"}", tool_call_id="abcdefghi")], [WEATHER]),
    "called and answered": ([turn("system", "S"), turn("user", "Weather?"),
                             turn("assistant", "I look.", tool_calls=[call("get_weather", {"city": "Rom", "days": 1.0, "x": None, "y": [True, {}]})]),
                             turn("tool", "sunny", tool_call_id="abcdefghi"), turn("assistant", "Sunny."), turn("user", "Thanks")], [WEATHER]),
    "two calls": ([turn("user", "Both?"), turn("assistant", "", tool_calls=[call("a", {"n": 1e22}, "aaaaaaaaa"), call("b", {}, "bbbbbbbbb")]),
                   turn("tool", "1", tool_call_id="aaaaaaaaa"), turn("tool", "<tool_response>2", tool_call_id="bbbbbbbbb"), turn("assistant", "Done")], [NOOP]),
    "no id": ([turn("user", "Go"), turn("assistant", "", tool_calls=[{"id": "", "name": "noop", "arguments": {}}]), turn("tool", "ok")], [NOOP]),
    "string arguments": ([turn("user", "Go"), turn("assistant", "x", tool_calls=[call("noop", "{\"a\": 1}")]), turn("tool", "ok", tool_call_id="abcdefghi"),
                          turn("user", "And?")], []),
    "thinking": ([turn("user", "2+2?"), turn("assistant", "<think>\nEasy.\n</think>\n\n4"), turn("user", "3+3?"), turn("assistant", "<think>Hm</think>6")], []),
    "thinking tools": ([turn("user", "Go"), turn("assistant", "<think>\nCall it.\n</think>\n\nOn it.", tool_calls=[call("noop", {})]),
                        turn("tool", "ok", tool_call_id="abcdefghi"), turn("assistant", "<think>\n\n</think>\n\nDone")], [NOOP]),
    "tool first": ([turn("tool", "?", tool_call_id="abcdefghi"), turn("user", "what")], []),
    "response by user": ([turn("user", "Go"), turn("assistant", "x"), turn("user", "<tool_response>y</tool_response>")], []),
}

OPTIONS = [
    {"add_generation_prompt": False},
    {"add_generation_prompt": True},
    {"add_generation_prompt": True, "vars": {"enable_thinking": False, "with_first_user": False, "tools_in_user_message": False, "builtin_tools": ["code_interpreter", "get_weather"]}},
]
TOKENS = [{"bos": "<s>", "eos": "</s>"}, {"bos": "", "eos": ""}]


def for_transformers(messages, tools):
    """The messages and tools as a user of transformers writes them."""
    out = []
    for m in messages:
        m = dict(m)
        if "tool_calls" in m:
            m["tool_calls"] = [
                {**({"id": c["id"]} if c["id"] else {}), "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
                for c in m["tool_calls"]
            ]
        # the order in which this project writes the fields
        out.append({k: m[k] for k in ("role", "content", "name", "tool_calls", "tool_call_id") if k in m})
    return out, [{"type": "function", "function": t} for t in tools] or None


def render(template, messages, tools, add, variables):
    """What comes of a template: text, or the message of raise_exception, or failed."""
    messages, tools = for_transformers(messages, tools)
    variables = {k: v for k, v in variables.items() if v != "" or not k.endswith("_token")}
    try:
        text, _ = chat_template_utils.render_jinja_template(
            conversations=[messages], tools=tools, chat_template=template, add_generation_prompt=add, **variables)
        if " at 0x" in text[0]:
            return {"failed": "prints an address"}
        return {"text": text[0]}
    except jinja2.exceptions.TemplateError as e:
        if type(e) is jinja2.exceptions.TemplateError:
            return {"raised": str(e)}
        return {"failed": f"{type(e).__name__}: {e}"}
    except Exception as e:  # whatever Python raises inside a template
        return {"failed": f"{type(e).__name__}: {e}"}


def cases_of(templates):
    for name, source in templates.items():
        for conversation, (messages, tools) in CONVERSATIONS.items():
            seen = set()
            for tokens in TOKENS:
                for options in OPTIONS:
                    variables = {"bos_token": tokens["bos"], "eos_token": tokens["eos"], **options.get("vars", {})}
                    got = render(source, messages, tools, options["add_generation_prompt"], variables)
                    key = json.dumps(got)
                    if key in seen:  # the option makes no difference to this template
                        continue
                    seen.add(key)
                    yield {"template": name, "conversation": conversation, **options, **tokens, **got}


def snippets():
    for source in SNIPPETS:
        got = render(source, [turn("user", "Hi"), turn("assistant", "Yo")], [], True, VARS)
        yield {"source": source, **got}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--templates", type=pathlib.Path, default=HOME / "templates")
    arguments.add_argument("--out", type=pathlib.Path, default=HOME / "vectors.json.gz")
    arguments = arguments.parse_args()

    chat_template_utils.datetime = Clock
    templates = {p.stem: p.read_bytes().decode() for p in sorted(arguments.templates.glob("*.jinja"))}
    vectors = {
        "magic": MAGIC, "version": VERSION, "transformers": transformers.__version__, "jinja2": jinja2.__version__, "now": NOW.isoformat(),
        "templates": templates,
        "conversations": {k: {"messages": m, "tools": t} for k, (m, t) in CONVERSATIONS.items()},
        "cases": list(cases_of(templates)),
        "vars": VARS, "snippets": list(snippets()),
    }
    data = json.dumps(vectors, ensure_ascii=False, indent=1).encode()
    arguments.out.write_bytes(gzip.compress(data, mtime=0))
    kinds = [next(k for k in ("text", "raised", "failed") if k in c) for c in vectors["cases"] + vectors["snippets"]]
    print(len(vectors["cases"]), "cases,", len(vectors["snippets"]), "snippets;", {k: kinds.count(k) for k in set(kinds)})


if __name__ == "__main__":
    main()
