// The official Node client (dify-client) against the emulator. Argument: the JSON line of `serve --json` in a file.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ChatClient, CompletionClient, DifyClient } from "dify-client";

const served = JSON.parse(readFileSync(process.argv[2], "utf8"));
const user = "sdk-node";

/** The events of a stream, blocks split at blank lines. */
async function events(response) {
  assert.match(response.headers["content-type"], /^text\/event-stream/);
  let text = "";
  response.data.setEncoding("utf8");
  for await (const chunk of response.data) text += chunk;
  const payloads = text.split("\n").filter((line) => line.startsWith("data:"));
  return payloads.map((line) => JSON.parse(line.slice("data:".length)));
}

async function chat() {
  const api = new ChatClient(served.apps.chat, served.base_url);
  const first = await api.createChatMessage({ name: "Ada" }, "hello", user, false);
  assert.ok(first.data.answer.includes("user: hello"), first.data.answer);
  const conversation = first.data.conversation_id;
  const second = await events(await api.createChatMessage({ name: "Ada" }, "again", user, true, conversation));
  const text = second.filter((event) => event.event === "message").map((event) => event.answer).join("");
  assert.ok(text.endsWith("user: again"), text);
  assert.equal(second.at(-1).event, "message_end");
  const messages = await api.getConversationMessages(user, conversation);
  assert.deepEqual(messages.data.data.map((message) => message.query).sort(), ["again", "hello"]);
  const listed = await api.getConversations(user, null, 5);
  assert.ok(listed.data.data.some((entry) => entry.id === conversation));
  const renamed = await api.renameConversation(conversation, "by the client", user, false);
  assert.equal(renamed.data.name, "by the client");
  const liked = await api.messageFeedback(first.data.message_id, "like", user);
  assert.deepEqual(liked.data, { result: "success" });
  const deleted = await api.deleteConversation(conversation, user);
  assert.ok([200, 204].includes(deleted.status));
  await assert.rejects(api.createChatMessage({ name: "Ada" }, "x", user, false, conversation), (error) => {
    assert.equal(error.response.status, 404);
    return true;
  });
}

async function application() {
  const api = new DifyClient(served.apps.chat, served.base_url);
  const form = (await api.getApplicationParameters(user)).data.user_input_form;
  assert.equal(form[0]["text-input"].variable, "name");
  const data = new FormData();
  data.append("user", user);
  data.append("file", new Blob(["text"], { type: "text/plain" }), "a.txt");
  const upload = await api.fileUpload(data);
  assert.equal(upload.data.name, "a.txt");
}

async function completion() {
  const api = new CompletionClient(served.apps.completion, served.base_url);
  const whole = await api.createCompletionMessage({ query: "hello" }, user, false);
  assert.ok(whole.data.answer.includes("Q=hello"), whole.data.answer);
  const streamed = await events(await api.createCompletionMessage({ query: "hello" }, user, true));
  const text = streamed.filter((event) => event.event === "message").map((event) => event.answer).join("");
  assert.equal(text.trim(), whole.data.answer.trim());
}

async function workflow() {
  const api = new CompletionClient(served.apps.workflow, served.base_url);
  const whole = await api.runWorkflow({ name: "Ada", count: 2 }, user, false);
  assert.equal(whole.data.data.outputs.greeting, "Hello Ada x2!");
  const streamed = await events(await api.runWorkflow({ name: "Ada", count: 2 }, user, true));
  assert.equal(streamed.at(-1).event, "workflow_finished");
}

for (const test of [chat, application, completion, workflow]) {
  await test();
  console.log(`ok dify-client (node) ${test.name}`);
}
