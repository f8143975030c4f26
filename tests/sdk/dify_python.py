"""The official Python client (dify-client) against the emulator. Argument: the JSON line of `serve --json` in a file."""

import io
import json
import sys

from dify_client import ChatClient, CompletionClient, DifyClient

served = json.load(open(sys.argv[1]))
keys = served["apps"]
USER = "sdk-python"


def client(kind, app):
    made = kind(keys[app])
    made.base_url = served["base_url"]
    return made


def events(response):
    """The events of a stream, read as the client's documentation shows it."""
    response.raise_for_status()
    assert response.headers["content-type"].startswith("text/event-stream"), response.headers
    found = []
    for line in response.iter_lines(decode_unicode=True):
        if line.startswith("data:"):
            found.append(json.loads(line[len("data:"):]))
    return found


def chat():
    api = client(ChatClient, "chat")
    first = api.create_chat_message(inputs={"name": "Ada"}, query="hello", user=USER, response_mode="blocking")
    first.raise_for_status()
    turn = first.json()
    assert "user: hello" in turn["answer"], turn
    conversation = turn["conversation_id"]
    # the client sends "files": null
    second = events(
        api.create_chat_message({"name": "Ada"}, "again", USER, response_mode="streaming", conversation_id=conversation)
    )
    text = "".join(event["answer"] for event in second if event["event"] == "message")
    assert "user: hello" in text and text.endswith("user: again"), text
    assert second[-1]["event"] == "message_end" and second[-1]["conversation_id"] == conversation
    messages = api.get_conversation_messages(USER, conversation_id=conversation, limit=1)
    messages.raise_for_status()
    page = messages.json()
    assert page["has_more"] and page["data"][0]["query"] == "again", page
    older = api.get_conversation_messages(USER, conversation, first_id=page["data"][0]["id"]).json()
    assert [message["query"] for message in older["data"]] == ["hello"], older
    listed = api.get_conversations(USER, limit=5).json()
    assert conversation in [entry["id"] for entry in listed["data"]], listed
    renamed = api.rename_conversation(conversation, "by the client", USER)
    assert renamed.json()["name"] == "by the client", renamed.text
    liked = api.message_feedback(turn["message_id"], "like", USER)
    assert liked.json() == {"result": "success"}, liked.text
    refused = api.create_chat_message({}, "x", USER)
    assert refused.status_code == 400 and refused.json()["code"] == "invalid_param", refused.text


def application():
    api = client(DifyClient, "chat")
    form = api.get_application_parameters(USER).json()["user_input_form"]
    assert form[0]["text-input"]["variable"] == "name", form
    upload = api.file_upload(USER, {"file": ("a.txt", io.BytesIO(b"text"), "text/plain")})
    assert upload.status_code in (200, 201) and upload.json()["name"] == "a.txt", upload.text


def completion():
    api = client(CompletionClient, "completion")
    whole = api.create_completion_message({"query": "hello"}, "blocking", USER)
    whole.raise_for_status()
    assert "Q=hello" in whole.json()["answer"], whole.text
    streamed = events(api.create_completion_message({"query": "hello"}, "streaming", USER))
    text = "".join(event["answer"] for event in streamed if event["event"] == "message")
    assert text.strip() == whole.json()["answer"].strip(), text


for test in (chat, application, completion):
    test()
    print(f"ok dify-client (python) {test.__name__}")
