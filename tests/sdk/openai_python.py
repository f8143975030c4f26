"""The official OpenAI client against the echo model. Argument: the JSON line of `serve --model --json` in a file."""

import json
import sys

import openai

served = json.load(open(sys.argv[1]))
MODEL = served["model"]
api = openai.OpenAI(base_url=served["base_url"], api_key="model-key", max_retries=0)
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
    },
}


def said(text):
    return [{"role": "system", "content": "S"}, {"role": "user", "content": text}]


def whole_and_streamed():
    assert [model.id for model in api.models.list()] == [MODEL]
    whole = api.chat.completions.create(model=MODEL, messages=said("hello"))
    assert whole.choices[0].message.content == "ECHO:system: S | user: hello", whole
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    chunks = list(
        api.chat.completions.create(
            model=MODEL, messages=said("hello"), stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content, text
    assert chunks[-1].usage == whole.usage, chunks[-1]


def tools():
    messages = said("tool:add please")
    asked = api.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    call = asked.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"a": 1}), asked
    messages += [
        asked.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "2"},
    ]
    answered = api.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL])
    assert answered.choices[0].message.content.endswith("assistant: calling tool | tool: 2"), answered


def failures():
    for word, kind in (
        ("fail:rate", openai.RateLimitError),
        ("fail:auth", openai.AuthenticationError),
        ("fail:bad", openai.BadRequestError),
        ("fail", openai.InternalServerError),
        ("fail:conn", openai.APIConnectionError),
    ):
        try:
            api.chat.completions.create(model=MODEL, messages=said(word))
        except kind:
            continue
        except openai.APIError as other:
            # a body that breaks off is reported while it is parsed
            assert word == "fail:conn", (word, repr(other))
            continue
        except Exception as other:
            assert word == "fail:conn" and "httpx" in type(other).__module__, (word, repr(other))
            continue
        raise AssertionError(f"{word} did not fail")
    pieces = []
    try:
        for chunk in api.chat.completions.create(model=MODEL, messages=said("failmid more words"), stream=True):
            pieces.append(chunk.choices[0].delta.content)
        raise AssertionError("failmid did not fail")
    except openai.APIError as error:
        assert "fake mid-stream failure" in str(error), error
    assert len([piece for piece in pieces if piece]) == 3, pieces
    try:
        openai.OpenAI(base_url=served["base_url"], api_key="other", max_retries=0).models.list()
        raise AssertionError("a wrong key was accepted")
    except openai.AuthenticationError:
        pass


def text():
    whole = api.completions.create(model=MODEL, prompt="a b")
    assert whole.choices[0].text == "ECHO:user: a b", whole
    streamed = "".join(chunk.choices[0].text for chunk in api.completions.create(model=MODEL, prompt="a b", stream=True))
    assert streamed == "ECHO:user: a b", streamed


for test in (whole_and_streamed, tools, failures, text):
    test()
    print(f"ok openai (python) {test.__name__}")
