//! One's own account on pages: the address, the second step of signing in, and where one is signed in.
//!
//! It never writes: [`crate::accounts`], [`crate::two_step`] and [`crate::team`] do.

use http::Response;

use super::Frame;
use super::view::qr::Qr;
use super::view::{Field, Form, Item, Part, Row as _, Stamp, View, rows, value};
use crate::accounts::{self, Own};
use crate::error::Error;
use crate::mail;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;
use crate::{team, two_step};

const SECURITY: &str = "/dashboard/sessions";
const VERIFY: &str = "/dashboard/account/verification";

/// `GET /dashboard/sessions`: what protects one's account, and one's own sessions.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, SECURITY);
    let own = accounts::own(&member).await?;
    let has_post = member.scope.has_post();
    let sessions = rows(team::sessions(member).await?, "sessions")?;
    let sessions = sessions.iter().map(|session| {
        let this = session.holds("this");
        let address = format!("{SECURITY}/{}/remove", session.text("session_id"));
        let until = session.text("expires_at").chars().take(10).collect::<String>();
        Item {
            title: if this { "This browser" } else { "Another browser or program" }.into(),
            lines: vec![format!("Ends by itself on {until}.")],
            when: Stamp::parse(&session.text("created_at")),
            actions: vec![Form::button("End", address).danger("End this session?".into())],
            ..Item::default()
        }
    });
    let sessions = Part::list("Where you are signed in", sessions.collect(), "Nowhere.");
    let (address, change) = address(&own, has_post);
    let (state, form) = second_step(&own);
    let view =
        View::new(frame, "Security", "Your own account: how you sign in, and where you are.").part(address);
    change.into_iter().fold(view, View::part).part(state).part(form).part(sessions).draw()
}

/// The address, and the form that changes it, where mail can be sent.
fn address(own: &Own, has_post: bool) -> (Part, Option<Part>) {
    let mut actions = Vec::new();
    let mut lines = Vec::new();
    if let Some(new) = &own.new_email {
        lines.push(format!("{new} takes its place as soon as the link in the mail to it is used."));
    }
    if !has_post {
        lines.push(mail::IMPOSSIBLE.to_owned());
    } else if !own.email_verified {
        actions.push(Form::button("Mail me a link", VERIFY));
    }
    let (tags, calls) = match own.email_verified {
        true => (vec!["confirmed".to_owned()], Vec::new()),
        false => (Vec::new(), vec!["not confirmed".to_owned()]),
    };
    let item = Item { title: own.email.clone(), lines, tags, calls, actions, ..Item::default() };
    let change = Form::new("Another address", "/dashboard/account/email", "Mail a link to it")
        .with(Field::line("email", "email", "New e-mail address", "").needed().autofill("email"))
        .with(password());
    (Part::list("Your address", vec![item], ""), has_post.then(|| Part::form(change)))
}

/// Whether signing in takes a code, and the form that changes that.
fn second_step(own: &Own) -> (Part, Part) {
    let heading = "Two-step sign-in";
    if own.two_step {
        let left = own.recovery_codes;
        let state =
            format!("It is on: signing in takes a code of your app. {left} of your recovery codes are left.");
        let off = Form::new("Turn it off", "/dashboard/account/totp/end", "Turn it off")
            .with(password())
            .with(code("Code").help("Of your app, or a recovery code."))
            .danger("Turn two-step sign-in off?".into());
        return (Part::text(heading, state), Part::form(off));
    }
    let state = "It is off. With it, whoever learns your password still cannot sign in: a code of an app on your phone is wanted as well.";
    let on = Form::new("Turn it on", "/dashboard/account/totp", "Begin").with(password()).plain();
    (Part::text(heading, state), Part::form(on))
}

/// `POST /dashboard/account/totp`: shows the new secret, this once, and asks for a first code.
///
/// # Errors
/// As [`two_step::begin`].
pub async fn totp_begin(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, SECURITY);
    let made = value(two_step::begin(member, call).await?)?;
    let secret = made.text("secret");
    let groups: Vec<&str> = (0..secret.len()).step_by(4).filter_map(|at| secret.get(at..at + 4)).collect();
    let uri = made.text("uri");
    let qr = Qr::of(&uri, "The key as a QR code");
    let item =
        Item { title: "Open it in an app on this phone".into(), address: Some(uri), ..Item::default() };
    let confirm = Form::new("Then", "/dashboard/account/totp/confirm", "Turn it on")
        .with(code("The code that the app shows now").help("Six digits."))
        .plain();
    View::new(frame, "Set up your app", "Any app for codes (TOTP) will do. Its clock must be right.")
        .below(SECURITY, "Security")
        .part(Part::text("Point your app at this", "").qr(qr))
        .part(Part::list("Or", vec![item], ""))
        .part(Part::text("Or type this key there", groups.join(" ")))
        .part(Part::form(confirm))
        .draw()
}

/// `POST /dashboard/account/totp/confirm`: shows the recovery codes, this once.
///
/// # Errors
/// As [`two_step::confirm`].
pub async fn totp_confirm(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, SECURITY);
    let made = value(two_step::confirm(member, call).await?)?;
    let codes = made.texts("recovery_codes").into_iter().map(|code| Item { title: code, ..Item::default() });
    View::new(
        frame,
        "Two-step sign-in is on",
        "Keep these codes where you keep your passwords: each lets you in once, should you lose your phone. They are not shown again.",
    )
    .below(SECURITY, "Security")
    .part(Part::list("Recovery codes", codes.collect(), ""))
    .draw()
}

fn password() -> Field {
    Field::line("password", "password", "Your password", "").needed().autofill("current-password")
}

fn code(label: &'static str) -> Field {
    Field::line("text", "code", label, "").needed().autofill("one-time-code")
}
