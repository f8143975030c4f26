//! From address and key to the endpoint that answers.

use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};

use super::answer::{Answer, Reply};
use super::config::AppMode;
use super::core::Core;
use super::fault::Fault;
use super::refusal::Refusal;
use super::request::{Request, uuid_text};
use super::state::Moment;

/// What is served, with the ids the address holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    Info,
    Parameters,
    Meta,
    Site,
    Chat,
    ChatStop(String),
    Completion,
    CompletionStop(String),
    Messages,
    Feedback(String),
    Suggested(String),
    Feedbacks,
    Conversations,
    Delete(String),
    Rename(String),
    Variables(String),
    Upload,
    Preview(String),
    AudioToText,
    TextToAudio,
    Annotations,
    Annotation(String),
    AnnotationReply(String),
    AnnotationJob(String),
    EndUser(String),
    Variable(String, String),
    RunWorkflow(Option<String>),
    RunDetail(String),
    RunEvents(String),
    WorkflowStop(String),
    WorkflowLogs,
    Form(String),
    Index,
}

impl Endpoint {
    fn methods(&self) -> &'static [&'static str] {
        match self {
            Endpoint::Info | Endpoint::Parameters | Endpoint::Meta | Endpoint::Site => &["GET"],
            Endpoint::Messages | Endpoint::Suggested(_) | Endpoint::Feedbacks => &["GET"],
            Endpoint::Conversations | Endpoint::Variables(_) => &["GET"],
            Endpoint::Chat | Endpoint::ChatStop(_) | Endpoint::Completion | Endpoint::CompletionStop(_) => &["POST"],
            Endpoint::Feedback(_) | Endpoint::Rename(_) => &["POST"],
            Endpoint::Delete(_) => &["DELETE"],
            Endpoint::Preview(_) | Endpoint::AnnotationJob(_) | Endpoint::EndUser(_) => &["GET"],
            Endpoint::Upload | Endpoint::AudioToText | Endpoint::TextToAudio => &["POST"],
            Endpoint::AnnotationReply(_) => &["POST"],
            Endpoint::Annotations => &["GET", "POST"],
            Endpoint::Annotation(_) => &["PUT", "DELETE"],
            Endpoint::Variable(..) => &["PUT"],
            Endpoint::RunWorkflow(_) | Endpoint::WorkflowStop(_) => &["POST"],
            Endpoint::RunDetail(_) | Endpoint::RunEvents(_) | Endpoint::WorkflowLogs => &["GET"],
            Endpoint::Form(_) => &["GET", "POST"],
            Endpoint::Index => &["GET"],
        }
    }

    fn allows(&self, method: &str) -> bool {
        self.methods().contains(&method) || (method == "HEAD" && self.methods().contains(&"GET"))
    }
}

impl Core {
    /// Finds the endpoint, checks method and key, and lets the endpoint answer.
    pub(super) fn route(self: &Arc<Self>, request: &Request, now: Moment) -> Reply {
        let Some(endpoint) = self.find(&request.path) else {
            return Reply::Whole(self.unknown_route());
        };
        if request.method == "OPTIONS" {
            return Reply::Whole(self.options(&endpoint, request));
        }
        if endpoint == Endpoint::Index {
            return Reply::Whole(self.index());
        }
        if !endpoint.allows(&request.method) {
            let refusal = Refusal::new(405, "method_not_allowed", "The method is not allowed for the requested URL.");
            let headers = self.headers("application/json", false);
            return Reply::Whole(Answer { headers, ..self.refuse(&refusal) });
        }
        if self.broken(Fault::JsonBeforeKey)
            && matches!(endpoint, Endpoint::Chat | Endpoint::Completion)
            && let Err(refusal) = request.json(&self.behaviour)
        {
            return Reply::Whole(self.refuse(&refusal));
        }
        let app = match self.authenticate(request, &endpoint) {
            Ok(app) => app,
            Err(refusal) => {
                if endpoint == Endpoint::Chat && self.broken(Fault::RowBeforeKey) {
                    self.leave_row(request, now);
                }
                return Reply::Whole(self.refuse(&refusal));
            }
        };
        self.dispatch(app, endpoint, request, now)
    }

    fn dispatch(self: &Arc<Self>, app: usize, endpoint: Endpoint, request: &Request, now: Moment) -> Reply {
        let app = self.app_asked(app, &endpoint, request);
        let whole = match endpoint {
            Endpoint::Chat => return self.chat(app, request, now),
            Endpoint::Completion => return self.completion(app, request, now),
            Endpoint::Info => Ok(self.info(app)),
            Endpoint::Parameters => Ok(self.parameters(app, request)),
            Endpoint::Meta => Ok(self.json(200, &self.apps[app].meta())),
            Endpoint::Site => Ok(self.site(app)),
            Endpoint::ChatStop(task) => self.stop(app, AppMode::Chat, &task, request),
            Endpoint::CompletionStop(task) => self.stop(app, AppMode::Completion, &task, request),
            Endpoint::Messages => self.list_messages(app, request),
            Endpoint::Feedback(id) => self.rate(app, &id, request, now),
            Endpoint::Suggested(id) => self.suggested(app, &id, request),
            Endpoint::Feedbacks => self.list_feedbacks(app, request),
            Endpoint::Conversations => self.list_conversations(app, request),
            Endpoint::Delete(id) => self.delete_conversation(app, &id, request),
            Endpoint::Rename(id) => self.rename_conversation(app, &id, request, now),
            Endpoint::Variables(id) => self.list_variables(app, &id, request),
            Endpoint::Upload => self.upload(app, request, now),
            Endpoint::Preview(id) => self.preview(app, &id, request),
            Endpoint::AudioToText => self.audio_to_text(app, request),
            Endpoint::TextToAudio => self.text_to_audio(app, request),
            Endpoint::Annotations if request.method == "POST" => self.create_annotation(app, request, now),
            Endpoint::Annotations => Ok(self.list_annotations(app, request)),
            Endpoint::Annotation(id) if request.method == "PUT" => self.update_annotation(app, &id, request, now),
            Endpoint::Annotation(id) => self.delete_annotation(app, &id),
            Endpoint::AnnotationReply(action) => self.switch_annotation_reply(app, &action, request),
            Endpoint::AnnotationJob(job) => self.annotation_job(app, &job),
            Endpoint::EndUser(id) => self.end_user(app, &id),
            Endpoint::Variable(id, variable) => self.update_variable(app, &id, &variable, request, now),
            Endpoint::RunWorkflow(pinned) => return self.run_workflow(app, pinned.as_deref(), request, now),
            Endpoint::RunDetail(id) => self.run_detail(app, &id),
            Endpoint::RunEvents(id) => {
                return self
                    .run_events(app, &id, request)
                    .unwrap_or_else(|refusal| Reply::Whole(self.refuse(&refusal)));
            }
            Endpoint::WorkflowStop(_) if self.broken(Fault::WorkflowStopOfAnyApp) => {
                Ok(self.json(200, &json!({"result": "success"})))
            }
            Endpoint::WorkflowStop(task) => self.stop_workflow(app, &task, request),
            Endpoint::WorkflowLogs => self.list_logs(app, request),
            Endpoint::Form(token) if request.method == "POST" => {
                let reply = self.submit_form(app, &token, request);
                return reply.unwrap_or_else(|refusal| Reply::Whole(self.refuse(&refusal)));
            }
            Endpoint::Form(token) => self.show_form(app, &token),
            Endpoint::Index => Ok(self.index()),
        };
        Reply::Whole(whole.unwrap_or_else(|refusal| self.refuse(&refusal)))
    }

    fn find(&self, path: &str) -> Option<Endpoint> {
        let segments: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
        let task = |id: &&str| (!id.is_empty()).then(|| (*id).to_owned());
        let recent = |endpoint: Endpoint| self.behaviour.recent_routes.then_some(endpoint);
        match segments.as_slice() {
            ["info"] => Some(Endpoint::Info),
            ["parameters"] => Some(Endpoint::Parameters),
            ["meta"] => Some(Endpoint::Meta),
            ["site"] => recent(Endpoint::Site),
            ["chat-messages"] => Some(Endpoint::Chat),
            ["chat-messages", id, "stop"] => task(id).map(Endpoint::ChatStop),
            ["completion-messages"] => Some(Endpoint::Completion),
            ["completion-messages", id, "stop"] => task(id).map(Endpoint::CompletionStop),
            ["messages"] => Some(Endpoint::Messages),
            ["messages", id, "feedbacks"] => uuid_text(id).map(Endpoint::Feedback),
            ["messages", id, "suggested"] => uuid_text(id).map(Endpoint::Suggested),
            ["app", "feedbacks"] => recent(Endpoint::Feedbacks),
            ["conversations"] => Some(Endpoint::Conversations),
            ["conversations", id] => self.conversation_id(id).map(Endpoint::Delete),
            ["conversations", id, "name"] => self.conversation_id(id).map(Endpoint::Rename),
            ["conversations", id, "variables"] => {
                self.conversation_id(id).and_then(|id| recent(Endpoint::Variables(id)))
            }
            [""] => self.behaviour.index.then_some(Endpoint::Index),
            ["files", "upload"] => Some(Endpoint::Upload),
            ["files", id, "preview"] => uuid_text(id).and_then(|id| recent(Endpoint::Preview(id))),
            ["audio-to-text"] => Some(Endpoint::AudioToText),
            ["text-to-audio"] => Some(Endpoint::TextToAudio),
            ["apps", "annotations"] => recent(Endpoint::Annotations),
            ["apps", "annotations", id] => uuid_text(id).and_then(|id| recent(Endpoint::Annotation(id))),
            ["apps", "annotation-reply", action] => recent(Endpoint::AnnotationReply((*action).to_owned())),
            ["apps", "annotation-reply", _, "status", job] => {
                uuid_text(job).and_then(|job| recent(Endpoint::AnnotationJob(job)))
            }
            ["end-users", id] if self.behaviour.end_users => uuid_text(id).map(Endpoint::EndUser),
            ["conversations", id, "variables", variable] => {
                self.conversation_id(id).and_then(|id| recent(Endpoint::Variable(id, uuid_text(variable)?)))
            }
            _ => self.find_run(&segments),
        }
    }

    /// The endpoints of workflows.
    fn find_run(&self, segments: &[&str]) -> Option<Endpoint> {
        let flow = &self.behaviour.flow;
        let text = |id: &str| (!id.is_empty()).then(|| id.to_owned());
        let newest = |endpoint: Endpoint| flow.newest_features.then_some(endpoint);
        match segments {
            ["workflows", "run"] => Some(Endpoint::RunWorkflow(None)),
            ["workflows", "logs"] => Some(Endpoint::WorkflowLogs),
            ["workflows", "run", id] => text(id).map(Endpoint::RunDetail),
            ["workflows", "tasks", task, "stop"] => text(task).map(Endpoint::WorkflowStop),
            ["workflows", id, "run"] if flow.pinned_workflows => text(id).map(|id| Endpoint::RunWorkflow(Some(id))),
            ["workflow", id, "events"] => text(id).and_then(|id| newest(Endpoint::RunEvents(id))),
            ["form", "human_input", token] => text(token).and_then(|token| newest(Endpoint::Form(token))),
            _ => None,
        }
    }

    /// The normal form of a conversation id.
    pub(super) fn conversation_id(&self, text: &str) -> Option<String> {
        if self.broken(Fault::ConversationIdPrefixed) && text.starts_with("conv-") {
            return Some(text.to_owned());
        }
        uuid_text(text)
    }

    fn options(&self, endpoint: &Endpoint, request: &Request) -> Answer {
        let mut headers = self.headers("text/html; charset=utf-8", true);
        headers.push(("allow", format!("{}, OPTIONS", endpoint.methods().join(", "))));
        if request.header("origin").is_some() && request.header("access-control-request-method").is_some() {
            if self.broken(Fault::PreflightNeedsKey) && request.header("authorization").is_none() {
                return self.refuse(&Refusal::unauthorized("Access token is invalid"));
            }
            if self.behaviour.version.is_none() {
                headers.push(("access-control-allow-origin", "*".to_owned()));
            }
            let wanted = request.header("access-control-request-headers").unwrap_or_default();
            headers.push(("access-control-allow-methods", "DELETE, GET, OPTIONS, PATCH, POST, PUT".to_owned()));
            headers.push(("access-control-allow-headers", wanted.to_owned()));
        }
        Answer { status: 200, headers, body: Vec::new() }
    }

    fn index(&self) -> Answer {
        let version = self.behaviour.version.unwrap_or_default();
        self.json(200, &json!({"welcome": "Dify OpenAPI", "api_version": "v1", "server_version": version}))
    }

    fn authenticate(&self, request: &Request, endpoint: &Endpoint) -> Result<usize, Refusal> {
        const START: &str = "Authorization header must be provided and start with 'Bearer'";
        if *endpoint == Endpoint::Site && self.broken(Fault::SiteWithoutKey) {
            return Ok(self.app_of_key(request.header("authorization").unwrap_or_default()).unwrap_or(0));
        }
        let Some(header) = request.header("authorization") else {
            if self.broken(Fault::KeyFromQueryOrCookie)
                && let Some(app) = self.app_of_side_channel(request)
            {
                return Ok(app);
            }
            let refusal = Refusal::unauthorized(START);
            let code = if self.broken(Fault::MissingKeyForbiddenCode) { "forbidden" } else { refusal.code };
            return Err(Refusal { code, ..refusal });
        };
        if self.broken(Fault::AnySchemeWord) {
            let token = header.rsplit(char::is_whitespace).next().unwrap_or(header);
            return self.app_of_key(token).ok_or_else(|| Refusal::unauthorized("Access token is invalid"));
        }
        let Some((scheme, token)) = header.trim().split_once(char::is_whitespace) else {
            return Err(Refusal::unauthorized(START));
        };
        let known_scheme =
            scheme == "Bearer" || (scheme.eq_ignore_ascii_case("bearer") && !self.broken(Fault::CaseSensitiveScheme));
        if !known_scheme {
            return Err(Refusal::unauthorized("Authorization scheme must be 'Bearer'"));
        }
        let token = token.trim();
        let lenient = *endpoint == Endpoint::Info && self.broken(Fault::AnyAppTokenOnInfo) && token.starts_with("app-");
        let dataset = *endpoint == Endpoint::Parameters && self.broken(Fault::DatasetKeyOnParameters);
        let lenient = lenient || (dataset && token.starts_with("dataset-"));
        self.app_of_key(token).or(lenient.then_some(0)).ok_or_else(|| Refusal::unauthorized("Access token is invalid"))
    }

    fn app_of_key(&self, token: &str) -> Option<usize> {
        self.apps.iter().position(|app| app.key == token)
    }

    fn app_of_side_channel(&self, request: &Request) -> Option<usize> {
        let in_query = request.query.iter().find_map(|(_, value)| self.app_of_key(value));
        let cookies = request.header("cookie").unwrap_or_default();
        in_query.or_else(|| {
            let mut values = cookies.split(';').filter_map(|pair| pair.split_once('='));
            values.find_map(|(_, value)| self.app_of_key(value.trim()))
        })
    }

    fn info(&self, app: usize) -> Answer {
        let mut info = self.apps[app].info(&self.behaviour);
        let mut last = self.last_info.lock().unwrap_or_else(PoisonError::into_inner);
        let asked_before = {
            let mut state = self.state(app);
            state.infos += 1;
            state.infos > 1
        };
        if self.broken(Fault::InfoOfLastApp)
            && asked_before
            && let Some(other) = last.filter(|other| *other != app)
        {
            let other = self.apps[other].info(&self.behaviour);
            info["name"] = other["name"].clone();
            info["description"] = other["description"].clone();
        }
        *last = Some(app);
        if self.broken(Fault::TagsNull) {
            info["tags"] = Value::Null;
        }
        self.json(200, &info)
    }

    fn site(&self, app: usize) -> Answer {
        let mut site = self.apps[app].site();
        if self.broken(Fault::SiteWithoutLanguage)
            && let Some(members) = site.as_object_mut()
        {
            members.shift_remove("default_language");
        }
        self.json(200, &site)
    }

    fn parameters(&self, app: usize, request: &Request) -> Answer {
        let annotation_reply = self.state(app).annotation_reply;
        let mut parameters = self.apps[app].parameters(&self.behaviour, annotation_reply);
        if self.broken(Fault::CompletionFormNull) && self.apps[app].mode() == AppMode::Completion {
            parameters["user_input_form"] = Value::Null;
        }
        let mut answer = self.json(200, &parameters);
        if self.broken(Fault::KeyInHeader) {
            let key = request.header("authorization").and_then(|h| h.split_whitespace().last());
            answer.headers.push(("x-caller", key.unwrap_or_default().to_owned()));
        }
        answer
    }
}
