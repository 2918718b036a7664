//! The team on pages: who works here, who is invited, and what was done; and keys of the company's programs.
//!
//! It never writes: [`crate::team`], [`crate::invitations`] and [`crate::api_keys`] do.

use http::{Response, StatusCode};
use serde_json::Value;

use super::Frame;
use super::view::{Field, Form, Item, Part, Row as _, Stamp, Table, View, rows, value};
use crate::api_keys;
use crate::error::Error;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;
use crate::{invitations, mail, team};

const TEAM: &str = "/dashboard/team";
const INVITATIONS: &str = "/dashboard/invitations";
const KEYS: &str = "/dashboard/api-keys";

/// `GET /dashboard/team`: people and their roles, and who is invited.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TEAM);
    let people = rows(team::people(&member).await?, "people")?;
    let has_post = member.scope.has_post();
    let invited = rows(invitations::list(member).await?, "invitations")?;
    let people = people.iter().map(|person| {
        let left = !person.text("ended_at").is_empty();
        let marks = [(left, "left"), (person.holds("two_step"), "two-step sign-in")];
        let marks = marks.into_iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark.to_owned());
        Item {
            title: person.text("name"),
            lines: vec![person.text("email")],
            tags: std::iter::once(person.text("role")).chain(marks).collect(),
            calls: if person.holds("email_verified") {
                Vec::new()
            } else {
                vec!["address not confirmed".into()]
            },
            when: Stamp::parse(&person.text("created_at")),
            ..Item::default()
        }
    });
    let intro = "Who signs in here, and what they may do: a member reads and writes knowledge and answers in the inbox, an admin also agents, models and budget, an owner everything.";
    let view = View::new(frame, "Team", intro).part(Part::list("", people.collect(), "Nobody."));
    let view = view.part(Part::list("Invitations", invited.iter().map(invitation).collect(), "None waits."));
    if !has_post {
        return view.part(Part::text("Invite somebody", mail::IMPOSSIBLE)).draw();
    }
    let roles = ["member", "admin", "owner"];
    let roles = roles.map(|role| (role.to_owned(), role.to_owned(), role == "member"));
    let invite = Form::new("Invite somebody", INVITATIONS, "Invite")
        .with(Field::line("email", "email", "E-mail", "").needed())
        .with(Field::choice("role", "What they will be", roles.into()).help("Only an owner makes owners."));
    view.part(Part::form(invite)).draw()
}

fn invitation(invitation: &Value) -> Item {
    let address = format!("{INVITATIONS}/{}", invitation.text("link_id"));
    let until = invitation.text("expires_at").chars().take(10).collect::<String>();
    let ended = invitation.holds("ended");
    Item {
        title: invitation.text("email"),
        lines: vec![format!("Good until {until}.")],
        tags: vec![invitation.text("role")],
        calls: if ended { vec!["ended".into()] } else { Vec::new() },
        when: Stamp::parse(&invitation.text("created_at")),
        actions: vec![
            Form::button("Mail it again", format!("{address}/resend")),
            Form::button("Take back", format!("{address}/remove"))
                .danger("Take this invitation back?".into()),
        ],
        ..Item::default()
    }
}

/// `GET /dashboard/audit`: what was done here.
///
/// # Errors
/// As every batch.
pub async fn audit(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, "/dashboard/audit");
    let events = rows(team::audit(member).await?, "events")?;
    let events = events.iter().map(|event| {
        let who = match (event.text("actor"), event.text("person")) {
            (actor, person) if person.is_empty() => actor,
            (actor, person) if actor == "support" => format!("{person}, support"),
            (_, person) => person,
        };
        let when = event.text("created_at").chars().take(16).collect();
        vec![when, who, event.text("action").replace(['.', '_'], " "), event.text("target")]
    });
    let head = vec!["Time, UTC", "Who", "What", "To what"];
    let table = Table { caption: "The last events".into(), head, rows: events.collect() };
    View::new(frame, "Audit log", "Who did what; nothing here can be changed.")
        .part(Part::table("", table, "Nothing yet."))
        .draw()
}

/// `GET /dashboard/api-keys`: keys of the company's own programs.
///
/// # Errors
/// As every batch.
pub async fn keys(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, KEYS);
    let keys = rows(api_keys::list(member).await?, "api_keys")?;
    let scopes = [("chat", "Ask agents"), ("models", "See which agents there are")];
    let scopes = scopes.map(|(scope, name)| (scope.to_owned(), name.to_owned(), true));
    let add = Form::new("Add a key", KEYS, "Make the key")
        .with(Field::line("text", "name", "What it is for", "").needed())
        .with(
            Field::line("number", "expires_in_days:optional", "Ends after, days", "")
                .help("Empty: it does not end by itself."),
        )
        .with(Field::several("scopes", "What it may do", scopes.into()))
        .plain();
    let intro = "With a key, your own programs speak to your agents as they speak to OpenAI's API.";
    View::new(frame, "API keys", intro)
        .part(Part::list("", keys.iter().map(key).collect(), "No key yet."))
        .part(Part::form(add))
        .draw()
}

fn key(key: &Value) -> Item {
    let mut tags = key.texts("scopes");
    let revoked = !key.text("revoked_at").is_empty();
    if revoked {
        tags.push("revoked".into());
    }
    let used = key.text("last_used_at").chars().take(10).collect::<String>();
    let used = if used.is_empty() { "Never used.".to_owned() } else { format!("Last used on {used}.") };
    let revoke = Form::button("Revoke", format!("{KEYS}/{}/remove", key.text("api_key_id")))
        .danger(format!("Revoke {}, for good?", key.text("name")));
    Item {
        title: key.text("name"),
        lines: vec![format!("Ends in {}. {used}", key.text("last_four"))],
        tags,
        when: Stamp::parse(&key.text("created_at")),
        actions: if revoked { Vec::new() } else { vec![revoke] },
        ..Item::default()
    }
}

/// `POST /dashboard/api-keys`: makes a key and shows it, this once.
///
/// # Errors
/// As [`api_keys::add`].
pub async fn key_add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, KEYS);
    let made = api_keys::add(member, call).await?;
    if made.status() == StatusCode::NO_CONTENT {
        return Err(Error::Conflict(
            "The key is being made. Load this page again in a moment to see it.".into(),
        ));
    }
    let made = value(made)?;
    View::new(frame, "Your new key", "Copy it now: it is not shown again.")
        .below(KEYS, "API keys")
        .part(Part::text(made.text("name"), made.text("key")))
        .draw()
}
