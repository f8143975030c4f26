// The same blocking request with the checks of JSON that a k6 user would write.
import http from "k6/http";
import { check } from "k6";

export const options = { vus: 32, iterations: Number(__ENV.REQUESTS) };

const body = JSON.stringify({ inputs: {}, query: "Say hello", response_mode: "blocking", user: "k6" });
const params = { headers: { "Content-Type": "application/json", Authorization: "Bearer app-bench-key-0000000000" } };
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export default function () {
  const response = http.post(`${__ENV.BASE_URL}/completion-messages`, body, params);
  const json = response.json();
  check(response, { "status is 200": (r) => r.status === 200 });
  check(json, {
    "ids are UUIDs": (j) => uuid.test(j.task_id) && uuid.test(j.id) && uuid.test(j.message_id),
    "answer is text": (j) => typeof j.answer === "string" && j.mode === "completion" && j.event === "message",
    "tokens add up": (j) => j.metadata.usage.prompt_tokens + j.metadata.usage.completion_tokens === j.metadata.usage.total_tokens,
    "created_at is seconds": (j) => Number.isInteger(j.created_at) && j.created_at > 1e9 && j.created_at < 4e9,
  });
}
