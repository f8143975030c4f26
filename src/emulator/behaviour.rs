//! In what the imitated servers differ: one field per difference, one value per profile.

use super::config::Profile;
use super::flow_behaviour::{self, FlowBehaviour};
use super::json::JsonStyle;

/// The differences between servers as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// `X-Version` and `X-Env: PRODUCTION`, if the server names itself.
    pub version: Option<&'static str>,
    /// `Access-Control-Expose-Headers` beside `Access-Control-Allow-Origin`.
    pub exposed_headers: Option<&'static str>,
    /// JSON inside `data:` lines.
    pub sse_json: JsonStyle,
    /// JSON of whole bodies.
    pub whole_json: JsonStyle,
    /// Whole bodies except those of generations end with a newline.
    pub newline_after_json: bool,
    /// Media type of blocking generations.
    pub generation_type: &'static str,
    /// What happens to inputs sent on later turns.
    pub later_inputs: LaterInputs,
    /// DELETE of a conversation.
    pub delete: DeletePolicy,
    /// The form of refused parameters.
    pub parameter_errors: ParameterErrors,
    /// What cannot be found by its address.
    pub unknown_route: UnknownRoute,
    /// JSON that is no object.
    pub non_object_body: OddBody,
    /// A user name of more than 255 characters, a `conversation_id` that is a number, a new name of more than 255
    /// characters: refused with 500 where the real server trips over its database.
    pub database_slips: bool,
    /// A list where a number input is expected gives 500.
    pub number_list_slips: bool,
    /// Null and array `inputs` count as empty, a query of another type is turned into text, a blank name is accepted.
    pub lenient_types: bool,
    /// Renaming without a name gives 500.
    pub rename_without_name_slips: bool,
    /// The name of a new conversation is the start of its query; otherwise "New conversation".
    pub name_from_query: bool,
    /// `response_mode: null` counts as blocking.
    pub null_response_mode: bool,
    /// A `conversation_id` of spaces counts as absent.
    pub spaces_are_blank: bool,
    /// An empty answer in blocking mode is refused.
    pub empty_blocking_refused: bool,
    /// 404 messages are followed by guesses at the intended address.
    pub not_found_hints: bool,
    /// `/info` has `mode` and `author_name`.
    pub full_info: bool,
    /// Feedback list, conversation variables, file previews, annotations and `/site` exist, and files tell all about
    /// themselves.
    pub recent_routes: bool,
    /// `metadata` holds `annotation_reply`, usage holds `time_to_first_token` and `time_to_generate`.
    pub recent_metadata: bool,
    /// Agents add their tokens up and measure their latency.
    pub agents_count: bool,
    /// `metadata.retriever_resources` is present.
    pub retriever_resources: bool,
    /// Tokens have a price.
    pub priced: bool,
    /// `text_to_speech` of `/parameters` says whether playback is automatic.
    pub announces_autoplay: bool,
    /// Anybody may send a file that somebody else uploaded.
    pub any_uploader: bool,
    /// Of several parts with one name the first one counts, and the others are not noticed.
    pub first_of_same_name: bool,
    /// An upload without a file gives `bad_request_key_error`.
    pub upload_key_error: bool,
    /// File names may hold slashes.
    pub any_file_name: bool,
    /// The pieces of answers to turns with files are sent as `message_file`.
    pub pieces_as_files: bool,
    /// `has_more` of annotations says only whether the page has as many rows as were asked for.
    pub full_page_means_more: bool,
    /// End users can be looked up.
    pub end_users: bool,
    /// Annotations answer chat turns from the start.
    pub annotation_replies: bool,
    /// Where workflows run and agents think.
    pub flow: FlowBehaviour,
    /// Forms have defaults, which stand for optional variables that are left out.
    pub form_defaults: bool,
    /// `GET /v1/` tells the version.
    pub index: bool,
    /// A generation that is one too many gives 400 `invalid_param` instead of 429.
    pub limit_is_invalid_param: bool,
    /// Parallel first requests of a new user make several end users of it.
    pub end_users_race: bool,
}

/// What happens to the inputs of later turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaterInputs {
    /// Neither validated nor used: the first turn's stay in force.
    Ignored,
    /// Validated, used and stored with the message.
    Applied,
}

/// Who may delete a conversation, and what comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletePolicy {
    /// Anybody, with any key, even what does not exist: 204.
    Anybody204,
    /// The owner: 204, then 404.
    Owner204,
    /// The owner: 200 with a body, then 404.
    Owner200,
}

/// The form of refused parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterErrors {
    /// Short text, three members.
    Plain,
    /// The text of a validation library, three members.
    Pydantic,
    /// Text, `params` and no `status`.
    Reqparse,
}

/// What an unknown address or a malformed id in it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownRoute {
    /// 404 as JSON.
    Json,
    /// 404 as HTML.
    Html,
}

/// What JSON that is no object gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddBody {
    /// 400 `bad_request`.
    Refused,
    /// 500 `unknown`.
    Slips,
    /// 500 `unknown` without `status`.
    SlipsWithoutStatus,
}

impl Behaviour {
    /// The behaviour of a profile.
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Documented => documented(),
            Profile::Dify015 => dify_0_15(),
            Profile::Dify112 => dify_1_12(),
            Profile::Dify113 => dify_1_13(),
        }
    }
}

fn documented() -> Behaviour {
    Behaviour {
        version: None,
        exposed_headers: None,
        sse_json: JsonStyle::Compact,
        whole_json: JsonStyle::Compact,
        newline_after_json: false,
        generation_type: "application/json",
        later_inputs: LaterInputs::Ignored,
        delete: DeletePolicy::Owner204,
        parameter_errors: ParameterErrors::Plain,
        unknown_route: UnknownRoute::Json,
        non_object_body: OddBody::Refused,
        database_slips: false,
        number_list_slips: false,
        lenient_types: false,
        rename_without_name_slips: false,
        name_from_query: true,
        null_response_mode: false,
        spaces_are_blank: true,
        empty_blocking_refused: false,
        not_found_hints: false,
        full_info: true,
        recent_routes: true,
        recent_metadata: false,
        agents_count: true,
        retriever_resources: true,
        priced: true,
        announces_autoplay: true,
        any_uploader: false,
        first_of_same_name: false,
        upload_key_error: false,
        any_file_name: false,
        pieces_as_files: false,
        full_page_means_more: false,
        end_users: true,
        annotation_replies: true,
        flow: flow_behaviour::DOCUMENTED,
        form_defaults: true,
        index: false,
        limit_is_invalid_param: false,
        end_users_race: false,
    }
}

fn dify_0_15() -> Behaviour {
    Behaviour {
        version: Some("0.15.3"),
        exposed_headers: None,
        sse_json: JsonStyle::SpacedAscii,
        whole_json: JsonStyle::SpacedAscii,
        newline_after_json: true,
        generation_type: "application/json",
        later_inputs: LaterInputs::Ignored,
        delete: DeletePolicy::Owner200,
        parameter_errors: ParameterErrors::Reqparse,
        unknown_route: UnknownRoute::Html,
        non_object_body: OddBody::SlipsWithoutStatus,
        database_slips: true,
        number_list_slips: false,
        lenient_types: true,
        rename_without_name_slips: true,
        name_from_query: false,
        null_response_mode: false,
        spaces_are_blank: false,
        empty_blocking_refused: false,
        not_found_hints: false,
        full_info: false,
        recent_routes: false,
        recent_metadata: false,
        agents_count: false,
        retriever_resources: false,
        priced: false,
        announces_autoplay: false,
        any_uploader: true,
        first_of_same_name: true,
        upload_key_error: true,
        any_file_name: true,
        pieces_as_files: false,
        full_page_means_more: false,
        end_users: false,
        annotation_replies: false,
        flow: flow_behaviour::DIFY_0_15,
        form_defaults: false,
        index: true,
        limit_is_invalid_param: false,
        end_users_race: true,
    }
}

fn dify_1_12() -> Behaviour {
    Behaviour {
        version: Some("1.12.1"),
        exposed_headers: Some("X-Env, X-Trace-Id, X-Version"),
        sse_json: JsonStyle::Compact,
        whole_json: JsonStyle::SpacedAscii,
        newline_after_json: true,
        generation_type: "application/json; charset=utf-8",
        later_inputs: LaterInputs::Applied,
        delete: DeletePolicy::Anybody204,
        parameter_errors: ParameterErrors::Pydantic,
        unknown_route: UnknownRoute::Html,
        non_object_body: OddBody::Slips,
        database_slips: true,
        number_list_slips: true,
        lenient_types: false,
        rename_without_name_slips: false,
        name_from_query: true,
        null_response_mode: true,
        spaces_are_blank: true,
        empty_blocking_refused: true,
        not_found_hints: true,
        full_info: true,
        recent_routes: true,
        recent_metadata: true,
        agents_count: true,
        retriever_resources: true,
        priced: true,
        announces_autoplay: false,
        any_uploader: true,
        first_of_same_name: true,
        upload_key_error: false,
        any_file_name: false,
        pieces_as_files: true,
        full_page_means_more: true,
        end_users: false,
        annotation_replies: false,
        flow: flow_behaviour::DIFY_1_12,
        form_defaults: false,
        index: false,
        limit_is_invalid_param: true,
        end_users_race: true,
    }
}

/// As 1.12.1 but for what pull requests are known to have changed: 32686 (owners of deletes), 32985 (closing events).
fn dify_1_13() -> Behaviour {
    Behaviour {
        version: Some("1.13.3"),
        delete: DeletePolicy::Owner204,
        flow: flow_behaviour::DIFY_1_13,
        ..dify_1_12()
    }
}
