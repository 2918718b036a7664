//! Typed ids: one macro, one list, so that an agent's id can never be passed where a company's is meant.
//!
//! It never makes an id from a clock or a random source of its own: [`Platform`] gives both.

use crate::platform::Platform;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// A new id: UUID version 7 (RFC 9562), so that rows sort by the time they were made.
            #[must_use]
            pub fn new(platform: &dyn Platform) -> Self {
                let mut random = [0; 10];
                platform.fill_random(&mut random);
                Self(uuid::Builder::from_unix_timestamp_millis(platform.now_ms(), &random).into_uuid())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            /// Takes the hyphenated form only, so that one id has one spelling.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if text.len() != 36 {
                    return Err(InvalidId);
                }
                uuid::Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }
        }
    )*};
}

impl SupportId {
    /// Where a person's id is wanted, in the audit log say: nobody of the company has it.
    pub(crate) const fn as_user(self) -> UserId {
        UserId(self.0)
    }

    /// Where a session's id is wanted: none of the company's people has it.
    pub(crate) const fn as_session(self) -> SessionId {
        SessionId(self.0)
    }
}

/// The text is no id: 36 characters, hexadecimal digits and hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct InvalidId;

ids! {
    /// A company: the compartment everything else is in.
    CompanyId,
    /// A person who signs in to one company's dashboard.
    UserId,
    /// A signed-in session: one refresh-token family.
    SessionId,
    /// An access of the operator's support.
    SupportId,
    /// An end customer's browser, for as long as its visitor token is renewed.
    VisitorId,
    /// An AI agent of a company.
    AgentId,
    /// A conversation between a visitor and an agent.
    ConversationId,
    /// One message of a conversation.
    MessageId,
    /// A note that the company's people wrote about a conversation.
    NoteId,
    /// Something an agent remembers of a visitor beyond one conversation.
    MemoryId,
    /// A group of knowledge entries.
    CategoryId,
    /// A knowledge entry: a question and its answer.
    EntryId,
    /// What may become a knowledge entry.
    DraftId,
    /// A question that no agent could answer: the digest of its text.
    UnansweredId,
    /// A company's account at a model provider, with its sealed key.
    ProviderId,
    /// A budget reservation; also the usage ledger's key, so that a turn is charged once.
    ReservationId,
    /// A visitor who said how to be reached.
    ContactId,
    /// Somebody who wants to hear from the company.
    LeadId,
    /// A key with which a company's own program calls.
    ApiKeyId,
    /// Something that the company's people should look at.
    NoticeId,
    /// A stage of a lead's way.
    StageId,
    /// A label of leads.
    LabelId,
    /// A message written once.
    MessageTemplateId,
    /// A step of following up.
    StepId,
    /// Who is told of what.
    NotificationId,
    /// Something that an owner does or confirms.
    ItemId,
    /// What can be asked for as an appointment.
    AppointmentTypeId,
    /// A day on which the company is closed.
    ClosureId,
    /// A way to pay.
    MethodId,
    /// Something that the company sells.
    ServiceId,
    /// A word of the trade.
    TermId,
    /// A text in front of every prompt.
    ContextId,
    /// A page of the company's site.
    PageId,
    /// A question to somebody who may become a customer.
    QuestionId,
    /// A question that a visitor can ask with one tap.
    ReplyId,
    /// What somebody may do once with a token that was sent to them; an invitation is one.
    LinkId,
    /// An address of the company's own programs that is told of what happens.
    WebhookId,
    /// What is told of what happened, to one webhook or one person.
    DeliveryId,
    /// A name that a company claims as its own.
    DomainId,
    /// Something that happened, as all that are told of it know it.
    EventId,
    /// An entry of the audit log.
    AuditId,
    /// One incoming request, quoted in errors and logs.
    RequestId,
}

impl ApiKeyId {
    /// Its 16 bytes, which stand in the key itself.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The id of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }
}

impl VisitorId {
    /// The id that follows from a digest: UUID version 8 (RFC 9562, section 5.8).
    #[must_use]
    pub fn from_digest(digest: [u8; 32]) -> Self {
        let (half, _) = digest.split_at(16);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(half);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

impl CompanyId {
    /// The id before all others.
    #[must_use]
    pub const fn nil() -> Self {
        Self(uuid::Uuid::nil())
    }

    /// The id that follows from a digest: UUID version 8 (RFC 9562, section 5.8). Such a company sorts anywhere.
    #[must_use]
    pub fn from_digest(digest: [u8; 32]) -> Self {
        let (half, _) = digest.split_at(16);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(half);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}
