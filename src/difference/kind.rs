//! What a difference means.

use serde::{Deserialize, Serialize};

/// Meaning of a difference; the order is that of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// No response, or one that was cut, on one side.
    Transport,
    /// Another status.
    Status,
    /// Another `code` in an error body.
    ErrorCode,
    /// On a continued conversation new inputs were applied on one side and not on the other, or other inputs are on record.
    Inputs,
    /// Another kind of body: JSON, events, empty, text.
    Body,
    /// A header that clients act on.
    Header,
    /// B sends a member that A does not.
    MemberAdded,
    /// A sends a member that B does not.
    MemberRemoved,
    /// A member of another type, or of another shape of time, id or number.
    MemberType,
    /// B sends events that A does not.
    EventAdded,
    /// A sends events that B does not.
    EventRemoved,
    /// The same events in another order.
    EventOrder,
    /// Another number of the same events.
    EventCount,
    /// Lines of a stream beyond its data: event names, ids, retry.
    Framing,
    /// Another number of items in a list.
    Items,
    /// Ids that are the same on one side and differ on the other.
    Id,
    /// A number or truth value.
    Value,
    /// A text.
    Text,
    /// A request that the scenario built otherwise, from what the server had answered before.
    Request,
    /// A request that was sent to one side only.
    Unsent,
}

impl Kind {
    /// All kinds in the order of reports.
    pub const ALL: [Kind; 20] = [
        Kind::Transport,
        Kind::Status,
        Kind::ErrorCode,
        Kind::Inputs,
        Kind::Body,
        Kind::Header,
        Kind::MemberAdded,
        Kind::MemberRemoved,
        Kind::MemberType,
        Kind::EventAdded,
        Kind::EventRemoved,
        Kind::EventOrder,
        Kind::EventCount,
        Kind::Framing,
        Kind::Items,
        Kind::Id,
        Kind::Value,
        Kind::Text,
        Kind::Request,
        Kind::Unsent,
    ];

    /// The name on the command line and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Transport => "transport",
            Kind::Status => "status",
            Kind::ErrorCode => "error-code",
            Kind::Inputs => "inputs",
            Kind::Body => "body",
            Kind::Header => "header",
            Kind::MemberAdded => "member-added",
            Kind::MemberRemoved => "member-removed",
            Kind::MemberType => "member-type",
            Kind::EventAdded => "event-added",
            Kind::EventRemoved => "event-removed",
            Kind::EventOrder => "event-order",
            Kind::EventCount => "event-count",
            Kind::Framing => "framing",
            Kind::Items => "items",
            Kind::Id => "id",
            Kind::Value => "value",
            Kind::Text => "text",
            Kind::Request => "request",
            Kind::Unsent => "unsent",
        }
    }

    /// What a report writes above its groups.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Transport => "No response, or a cut one",
            Kind::Status => "Status",
            Kind::ErrorCode => "Error code",
            Kind::Inputs => "Inputs in force",
            Kind::Body => "Another kind of body",
            Kind::Header => "Header",
            Kind::MemberAdded => "Member only on B",
            Kind::MemberRemoved => "Member only on A",
            Kind::MemberType => "Member of another type",
            Kind::EventAdded => "Event only on B",
            Kind::EventRemoved => "Event only on A",
            Kind::EventOrder => "Order of events",
            Kind::EventCount => "Number of events",
            Kind::Framing => "Lines of a stream",
            Kind::Items => "Number of items",
            Kind::Id => "Identity of ids",
            Kind::Value => "Value",
            Kind::Text => "Text",
            Kind::Request => "Request built from another answer",
            Kind::Unsent => "Sent to one side only",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        let known = || Kind::ALL.map(Kind::as_str).join(", ");
        Kind::ALL.into_iter().find(|k| k.as_str() == text).ok_or_else(|| format!("known are {}", known()))
    }
}
