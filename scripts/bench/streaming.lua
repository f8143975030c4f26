wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer app-bench-key-0000000000"
wrk.body = '{"inputs":{},"query":"Say hello (0123abcd)","response_mode":"streaming","user":"load-0123456789-0"}'
