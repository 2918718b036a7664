//! The pages behind links that are good once, and the one that asks for such a link.
//!
//! They never use a link by being read: mail programs open links too. Their forms do what the JSON API's routes do.

use http::Response;

use super::see_other;
use super::view::gate::Gate;
use super::view::{Field, Form};
use crate::error::Error;
use crate::links::{self, Purpose, known};
use crate::mail;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::TenantScope;

const DOOR: &str = "/dashboard/sign-in";
const RESET: &str = "/dashboard/sign-in/reset";
const PASSWORD: &str = "/dashboard/sign-in/password";
const EMAIL: &str = "/dashboard/sign-in/email";
const INVITATION: &str = "/dashboard/sign-in/invitation";

/// `GET /dashboard/sign-in/reset`: asks for the address that a link goes to; says that it was asked for.
///
/// # Errors
/// None.
pub async fn reset(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    if call.query("done").is_some() {
        let intro = "If somebody here has this address, a mail is on its way to it. Its link is good for an hour. Look among unwanted mail, too.";
        return Gate::new(&scope, "Look at your mail", intro).way(DOOR, "To the sign-in").draw();
    }
    asking(&scope).draw()
}

/// `POST /dashboard/sign-in/reset`.
///
/// # Errors
/// None: what is wrong is said on the page.
pub async fn reset_ask(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let page = asking(&scope);
    match links::ask(scope, call).await {
        Ok(_) => see_other(&format!("{RESET}?done=asked")),
        Err(error) => page.problem(&error).draw(),
    }
}

fn asking(scope: &TenantScope) -> Gate {
    if !scope.has_post() {
        return Gate::new(scope, "A new password", mail::IMPOSSIBLE).way(DOOR, "To the sign-in");
    }
    let email = Field::line("email", "email", "E-mail", "").needed().autofill("username");
    Gate::new(scope, "A new password", "Which e-mail address do you sign in with? A link goes there.")
        .form(Form::new("", RESET, "Mail me a link").with(email))
        .way(DOOR, "To the sign-in")
}

/// `GET /dashboard/sign-in/password?token=…`: asks for the new password.
///
/// # Errors
/// As every batch; a link that is not good is said on the page.
pub async fn password(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    shown(scope, call, Purpose::Reset).await
}

/// `POST /dashboard/sign-in/password`.
///
/// # Errors
/// As every batch; what is wrong is said on the page.
pub async fn password_set(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let page = Page::of(&scope, &call, Purpose::Reset).await?;
    page.after(links::password(scope, call).await, "password")
}

/// `GET /dashboard/sign-in/email?token=…`: asks to confirm the address.
///
/// # Errors
/// As [`password`].
pub async fn email(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    shown(scope, call, Purpose::Verify).await
}

/// `POST /dashboard/sign-in/email`.
///
/// # Errors
/// As [`password_set`].
pub async fn email_set(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let page = Page::of(&scope, &call, Purpose::Verify).await?;
    page.after(links::email(scope, call).await, "email")
}

/// `GET /dashboard/sign-in/invitation?token=…`: asks for name and password.
///
/// # Errors
/// As [`password`].
pub async fn invitation(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    shown(scope, call, Purpose::Invite).await
}

/// `POST /dashboard/sign-in/invitation`.
///
/// # Errors
/// As [`password_set`].
pub async fn invitation_accept(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let page = Page::of(&scope, &call, Purpose::Invite).await?;
    page.after(links::invitation(scope, call).await, "invitation")
}

async fn shown(scope: TenantScope, call: Call, purpose: Purpose) -> Result<Response<Body>, Error> {
    let token = call.query("token").unwrap_or_default();
    match known(&scope, &token, purpose).await {
        Ok(link) => form(&scope, purpose, link.token.text(), link.email.as_deref().unwrap_or(""), "").draw(),
        Err(Error::LinkEnded) => ended(&scope, purpose).draw(),
        Err(error) => Err(error),
    }
}

/// The pages that a form may lead to, made before the form's work takes scope and call.
struct Page {
    form: Option<Gate>,
    ended: Gate,
}

impl Page {
    async fn of(scope: &TenantScope, call: &Call, purpose: Purpose) -> Result<Self, Error> {
        let given = super::form::read(&call.bytes().await?)?;
        let link = match known(scope, &given.text_of("token"), purpose).await {
            Err(Error::LinkEnded) => None,
            other => Some(other?),
        };
        let form = link.map(|link| {
            form(
                scope,
                purpose,
                link.token.text(),
                link.email.as_deref().unwrap_or(""),
                &given.text_of("name"),
            )
        });
        Ok(Self { form, ended: ended(scope, purpose) })
    }

    /// To the door, or again with what is wrong.
    fn after(self, done: Result<Response<Body>, Error>, said: &str) -> Result<Response<Body>, Error> {
        match (done, self.form) {
            (Ok(_), _) => see_other(&format!("{DOOR}?done={said}")),
            (Err(error), Some(form)) if !matches!(error, Error::LinkEnded) => form.problem(&error).draw(),
            (Err(error), _) => self.ended.problem(&error).draw(),
        }
    }
}

fn form(scope: &TenantScope, purpose: Purpose, token: &str, email: &str, name: &str) -> Gate {
    let token = Field::hidden("token", token);
    let password = Field::line("password", "password", "Password", "")
        .needed()
        .autofill("new-password")
        .help("10 characters or more. A few words make a good one.");
    match purpose {
        Purpose::Invite => {
            let name = Field::line("text", "name", "Your name", name).needed().autofill("name");
            let title = format!("Work at {}", scope.company_name());
            Gate::new(scope, title, format!("You were invited as {email}. Choose a name and a password."))
                .form(
                    Form::new("", INVITATION, "Accept the invitation").with(name).with(password).with(token),
                )
        }
        Purpose::Verify => Gate::new(scope, "Confirm your address", format!("Is {email} yours?"))
            .form(Form::new("", EMAIL, "Yes, confirm it").with(token)),
        _ => {
            let intro = "Choose a new one. You are signed out everywhere then, and sign in with it.";
            Gate::new(scope, "A new password", intro)
                .form(Form::new("", PASSWORD, "Save the password").with(password).with(token))
        }
    }
}

fn ended(scope: &TenantScope, purpose: Purpose) -> Gate {
    let intro = match purpose {
        Purpose::Invite => "Each invitation is good once, for 7 days. Ask whoever invited you for a new one.",
        Purpose::Verify => "Each link is good once, for 24 hours. Sign in to have a new one mailed to you.",
        _ => "Each link is good once, for an hour. Ask for a new one.",
    };
    let page = Gate::new(scope, "This link has ended", intro);
    match purpose {
        Purpose::Reset => page.way(RESET, "Ask for a new link"),
        _ => page.way(DOOR, "To the sign-in"),
    }
}
