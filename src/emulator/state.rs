//! What one app remembers: its users, their conversations and messages, running tasks and feedback.
//!
//! Nothing is shared between apps; a user name means another person under another key.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::memory::Memory;

/// A moment in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// Whole seconds since the epoch.
    pub fn unix_seconds(self) -> i64 {
        i64::try_from(self.0 / 1_000_000).unwrap_or(i64::MAX)
    }

    /// Seconds since an earlier moment, at least one microsecond.
    pub fn seconds_since(self, earlier: Moment) -> f64 {
        self.0.saturating_sub(earlier.0).max(1) as f64 / 1e6
    }
}

/// The memory of one app.
#[derive(Debug)]
pub struct State {
    rng: fastrand::Rng,
    users: HashMap<String, HashMap<String, Conversation>>,
    /// Who owns a conversation, for requests that ask by id alone.
    owners: HashMap<String, String>,
    /// Where a message is.
    messages: HashMap<String, MessageHome>,
    /// Turns under way by task id.
    pub running: HashMap<String, Running>,
    /// Feedback in the order of its first giving.
    pub feedbacks: Vec<Feedback>,
    /// Deleted conversations and who owned them.
    pub deleted: HashMap<String, String>,
    /// Deleted conversations themselves, kept only where a fault needs them.
    pub graveyard: HashMap<String, (String, Conversation)>,
    /// What each end user said last, for the faults that remember it.
    pub latest_queries: HashMap<String, String>,
    /// How many `/info` were answered.
    pub infos: u64,
    /// Uploaded files by id.
    pub files: HashMap<String, StoredFile>,
    /// End users by their id.
    pub end_users: HashMap<String, String>,
    /// Annotations in the order of their making.
    pub annotations: Vec<Annotation>,
    /// Annotations answer chat turns.
    pub annotation_reply: bool,
    /// Jobs that switched that.
    pub jobs: Vec<String>,
    /// What agents and workflows remember.
    pub memory: Memory,
    /// Users since their first turn, kept only where they can have twins.
    pub newcomers: HashMap<String, Newcomer>,
    /// What only faults remember.
    pub slips: Slips,
    next_sequence: u64,
}

/// A user whose first turn was seen.
#[derive(Debug, Clone, Default)]
pub struct Newcomer {
    /// Its rows; the first one is found by its name.
    pub rows: BTreeSet<String>,
    /// The first turn was answered.
    pub answered: bool,
}

/// What faults remember between requests.
#[derive(Debug, Default)]
pub struct Slips {
    /// Conversations that cannot be continued.
    pub locked: HashSet<String>,
    /// Messages whose answer nobody has asked for yet.
    pub unread: HashSet<String>,
    /// Places that each user's refused turns never gave back.
    pub leaked: HashMap<String, usize>,
    /// Message ids by what was asked.
    pub replies: HashMap<String, String>,
}

/// One conversation.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The inputs of its first turn.
    pub inputs: Map<String, Value>,
    /// The opening statement.
    pub introduction: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    /// Its place among all conversations of the app.
    pub sequence: u64,
    /// Its messages in order of insertion, which is the order of `created_at`.
    pub messages: Vec<Message>,
    /// Shown in lists.
    pub listed: bool,
    /// Visible at all.
    pub committed: bool,
}

/// One message of a conversation.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// The inputs it was answered with.
    pub inputs: Map<String, Value>,
    /// What the user said.
    pub query: String,
    /// What was answered; empty until the end.
    pub answer: String,
    /// Why generation failed.
    pub error: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    /// `like` or `dislike`.
    pub rating: Option<&'static str>,
    /// Files the user sent with it.
    pub files: Vec<Attachment>,
}

/// An uploaded file.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The end of its name, in lower case.
    pub extension: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
    /// Who uploaded it.
    pub user: String,
    /// A message uses it.
    pub used: bool,
}

/// A file of a message.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Id of the attachment.
    pub id: String,
    /// Id of the file.
    pub file: String,
    /// Name of the file.
    pub name: String,
    /// Media type of the file.
    pub media_type: String,
    /// Bytes of the file.
    pub size: usize,
    /// `image` or `document`.
    pub kind: String,
}

/// A stored question with its answer.
#[derive(Debug, Clone)]
pub struct Annotation {
    /// Its id.
    pub id: String,
    /// The question.
    pub question: String,
    /// What is answered.
    pub answer: String,
    /// Unix seconds.
    pub created_at: i64,
}

/// Where a message is.
#[derive(Debug, Clone)]
pub struct MessageHome {
    /// Whose it is.
    pub user: String,
    /// Its conversation; none in completion apps.
    pub conversation: Option<String>,
}

/// A turn under way.
#[derive(Debug, Clone)]
pub struct Running {
    /// Whose it is.
    pub user: String,
    /// Ends it early.
    pub stop: CancellationToken,
    /// It opened its conversation.
    pub first: bool,
    /// What the user said.
    pub query: String,
    /// The conversation; none in completion apps.
    pub conversation: Option<String>,
}

/// A rating of a message.
#[derive(Debug, Clone)]
pub struct Feedback {
    /// Its id.
    pub id: String,
    /// The rated message.
    pub message: String,
    /// Who rated it.
    pub user: String,
    /// `like` or `dislike`.
    pub rating: &'static str,
    /// Free text.
    pub content: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
}

impl State {
    /// An empty memory whose ids follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            users: HashMap::new(),
            owners: HashMap::new(),
            messages: HashMap::new(),
            running: HashMap::new(),
            feedbacks: Vec::new(),
            deleted: HashMap::new(),
            graveyard: HashMap::new(),
            latest_queries: HashMap::new(),
            infos: 0,
            files: HashMap::new(),
            end_users: HashMap::new(),
            annotations: Vec::new(),
            annotation_reply: false,
            jobs: Vec::new(),
            memory: Memory::default(),
            newcomers: HashMap::new(),
            slips: Slips::default(),
            next_sequence: 0,
        }
    }

    /// A fresh random UUID.
    pub fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.rng.u128(..).to_ne_bytes()).into_uuid().to_string()
    }

    /// Opens a conversation of a user under the given id.
    pub fn open(
        &mut self,
        user: &str,
        id: String,
        name: String,
        inputs: Map<String, Value>,
        introduction: String,
        now: Moment,
    ) -> &mut Conversation {
        self.next_sequence += 1;
        self.owners.insert(id.clone(), user.to_owned());
        let second = now.unix_seconds();
        let conversation = Conversation {
            id: id.clone(),
            name,
            inputs,
            introduction,
            created_at: second,
            updated_at: second,
            sequence: self.next_sequence,
            messages: Vec::new(),
            listed: true,
            committed: true,
        };
        self.users.entry(user.to_owned()).or_default().entry(id).insert_entry(conversation).into_mut()
    }

    /// The conversation of a user.
    pub fn conversation(&self, user: &str, id: &str) -> Option<&Conversation> {
        self.users.get(self.known_as(user))?.get(id)
    }

    /// The conversation of a user, to be changed.
    pub fn conversation_mut(&mut self, user: &str, id: &str) -> Option<&mut Conversation> {
        let user = self.known_as(user).to_owned();
        self.users.get_mut(&user)?.get_mut(id)
    }

    /// All conversations of a user, in no order.
    pub fn conversations<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a Conversation> {
        self.users.get(self.known_as(user)).into_iter().flat_map(HashMap::values)
    }

    /// All conversations of all users, in no order.
    pub fn all_conversations(&self) -> impl Iterator<Item = &Conversation> {
        self.users.values().flat_map(HashMap::values)
    }

    /// Who owns a conversation.
    pub fn owner(&self, id: &str) -> Option<&str> {
        self.owners.get(id).map(String::as_str)
    }

    /// Takes a conversation and its messages out.
    pub fn remove(&mut self, user: &str, id: &str) -> Option<Conversation> {
        let user = self.known_as(user).to_owned();
        let conversation = self.users.get_mut(&user)?.remove(id)?;
        self.owners.remove(id);
        for message in &conversation.messages {
            self.messages.remove(&message.id);
        }
        self.deleted.insert(id.to_owned(), user);
        Some(conversation)
    }

    /// Puts a removed conversation back.
    pub fn restore(&mut self, user: &str, conversation: Conversation) {
        let id = conversation.id.clone();
        self.owners.insert(id.clone(), user.to_owned());
        self.users.entry(user.to_owned()).or_default().insert(id, conversation);
    }

    /// Adds a message to a conversation and touches it.
    pub fn add_message(&mut self, user: &str, conversation: &str, message: Message) {
        let home = MessageHome { user: user.to_owned(), conversation: Some(conversation.to_owned()) };
        self.messages.insert(message.id.clone(), home);
        if let Some(conversation) = self.conversation_mut(user, conversation) {
            conversation.messages.push(message);
        }
    }

    /// Remembers a message of a completion app, which nobody can read back but which can be rated.
    pub fn add_lone_message(&mut self, user: &str, id: &str) {
        self.messages.insert(id.to_owned(), MessageHome { user: user.to_owned(), conversation: None });
    }

    /// Where a message is.
    pub fn message_home(&self, id: &str) -> Option<&MessageHome> {
        self.messages.get(id)
    }

    /// A message of a conversation, to be changed.
    pub fn message_mut(&mut self, user: &str, conversation: &str, id: &str) -> Option<&mut Message> {
        // the wanted message is nearly always the last one
        self.conversation_mut(user, conversation)?.messages.iter_mut().rev().find(|m| m.id == id)
    }

    /// The id of an end user of an app, remembered so that it can be looked up.
    pub fn end_user(&mut self, app: usize, user: &str) -> String {
        let id = super::messages::pseudo_uuid(&(app, user));
        self.end_users.insert(id.clone(), user.to_owned());
        id
    }

    /// The stored answer of a message.
    pub fn answer_of(&self, id: &str) -> Option<String> {
        let home = self.message_home(id)?;
        let conversation = self.conversation(&home.user, home.conversation.as_ref()?)?;
        conversation.messages.iter().find(|m| m.id == id).map(|m| m.answer.clone())
    }

    /// Some turn under way of another user whose name differs in its last character only.
    pub fn running_of_namesake(&self, user: &str) -> Option<&Running> {
        let stem = |name: &str| name.char_indices().next_back().map(|(at, _)| name[..at].to_owned());
        let own = stem(user);
        self.running.values().find(|running| running.user != user && stem(&running.user) == own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000)
    }

    fn message(id: &str) -> Message {
        Message {
            id: id.to_owned(),
            inputs: Map::new(),
            query: "q".to_owned(),
            answer: String::new(),
            error: None,
            created_at: 1,
            rating: None,
            files: Vec::new(),
        }
    }

    fn with_conversation() -> State {
        let mut state = State::new(1);
        state.open("anna", "c1".to_owned(), "n".to_owned(), Map::new(), String::new(), moment(5));
        state.add_message("anna", "c1", message("m1"));
        state
    }

    #[test]
    fn a_conversation_is_seen_by_its_owner_only() {
        let state = with_conversation();
        assert!(state.conversation("anna", "c1").is_some());
        assert!(state.conversation("bert", "c1").is_none());
        assert_eq!(state.conversations("bert").count(), 0);
        assert_eq!(state.owner("c1"), Some("anna"));
    }

    #[test]
    fn removing_a_conversation_forgets_its_messages() {
        let mut state = with_conversation();
        assert!(state.remove("bert", "c1").is_none());
        assert!(state.remove("anna", "c1").is_some());
        assert!(state.message_home("m1").is_none());
        assert!(state.owner("c1").is_none());
        assert!(state.deleted.contains_key("c1"));
    }

    #[test]
    fn the_same_seed_gives_the_same_ids_and_they_do_not_repeat() {
        let (mut a, mut b) = (State::new(7), State::new(7));
        let ids: HashSet<String> = (0..100).map(|_| a.uuid()).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.contains(&b.uuid()));
    }

    #[test]
    fn latency_is_never_zero() {
        assert!(moment(5).seconds_since(moment(5)) > 0.0);
        assert_eq!(moment(7).seconds_since(moment(5)), 2.0);
    }
}
