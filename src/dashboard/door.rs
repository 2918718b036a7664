//! The door of the dashboard: signing in and out in a browser.
//!
//! It never says which of e-mail address and password was wrong, and never sends anybody to another site.

use http::header::ORIGIN;
use http::{HeaderValue, Response};
use serde::Deserialize;

use super::view::gate::Gate;
use super::view::{Field, Form};
use super::{see_other, set_cookie};
use crate::config::SESSION_S;
use crate::error::Error;
use crate::links::Token;
use crate::platform::Body;
use crate::routes::Call;
use crate::sessions::{self, Login, Step};
use crate::tenant::TenantScope;
use crate::tenant::auth::Member;

/// `GET /dashboard/sign-in`.
///
/// # Errors
/// None.
pub async fn show(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let said = call.query("done").and_then(|code| SAID.iter().find(|(known, _)| *known == code));
    let intro = said.map_or(WELCOME, |(_, sentence)| sentence);
    door(&scope, intro, &inside(call.query("next").as_deref()), "").draw()
}

/// `POST /dashboard/sign-in`: gives the session cookie and goes on to where somebody wanted to be, or asks for a code first.
///
/// # Errors
/// [`Error::Invalid`] for the form. What else is wrong is said on the page, with the e-mail address as it was typed.
pub async fn enter(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<SignIn>().await?;
    let next = inside(given.next.as_deref());
    let login = Login { email: given.email, password: given.password, code: None };
    match sessions::page(&scope, &login).await {
        Ok(Step::In(value)) => signed_in(&value, &next),
        Ok(Step::Code(token)) => second(&scope, &token, &next).draw(),
        Err(error @ (Error::WrongLogin | Error::TooMany(_))) => {
            door(&scope, WELCOME, &next, &login.email).problem(&error).draw()
        }
        Err(error) => Err(error),
    }
}

/// `POST /dashboard/sign-in/code`: the second step.
///
/// # Errors
/// [`Error::Invalid`] for the form. What else is wrong is said on the page.
pub async fn code(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<SecondStep>().await?;
    let next = inside(given.next.as_deref());
    match sessions::page_code(&scope, &given.token, &given.code).await {
        Ok(value) => signed_in(&value, &next),
        Err(error @ (Error::WrongCode | Error::TooMany(_))) => match Token::parse(&given.token) {
            Some(token) => second(&scope, &token, &next).problem(&error).draw(),
            None => Err(error),
        },
        Err(error @ Error::LinkEnded) => door(&scope, SLOW, &next, "").problem(&error).draw(),
        Err(error) => Err(error),
    }
}

/// `POST /enter`: signs in who has just signed up, and comes from the platform's own page.
///
/// # Errors
/// [`Error::CrossSite`] from any other page. What else is wrong is said on the page.
pub async fn arrive(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let root = call.app.config.root.url();
    let mut origins = call.headers.get_all(ORIGIN).iter();
    match (origins.next().map(HeaderValue::to_str), origins.next()) {
        (Some(Ok(origin)), None) if origin.eq_ignore_ascii_case(&root) => {}
        _ => return Err(Error::CrossSite),
    }
    let token = super::form::read(&call.bytes().await?)?.text_of("token");
    match sessions::page_enter(&scope, &token).await {
        Ok(value) => signed_in(&value, HOME),
        Err(error @ Error::LinkEnded) => door(&scope, SLOW, HOME, "").problem(&error).draw(),
        Err(error) => Err(error),
    }
}

fn signed_in(cookie: &str, next: &str) -> Result<Response<Body>, Error> {
    let mut response = see_other(next)?;
    set_cookie(&mut response, cookie, SESSION_S)?;
    Ok(response)
}

/// `POST /dashboard/sign-out`: ends the session, here and wherever else its cookie may have got to.
///
/// # Errors
/// As every batch.
pub async fn leave(member: Member) -> Result<Response<Body>, Error> {
    sessions::logout(member).await?;
    let mut response = see_other(ADDRESS)?;
    set_cookie(&mut response, "", 0)?;
    Ok(response)
}

const ADDRESS: &str = "/dashboard/sign-in";

/// The door's address, for somebody who wanted to be elsewhere.
pub(super) fn address(asked: &str) -> String {
    let next = inside(Some(asked));
    if next == HOME { ADDRESS.to_owned() } else { format!("{ADDRESS}?next={}", encoded(&next)) }
}

const HOME: &str = "/dashboard";

/// Where somebody wanted to be, if that is in the dashboard; else its first page. No other path, no other host, and nothing
/// that a browser may read as one.
fn inside(next: Option<&str>) -> String {
    let fits = |next: &&str| {
        next.strip_prefix(HOME).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
            && !next.contains("//")
            && !next.contains("..")
            && !next.starts_with(ADDRESS)
            && next.len() <= 300
            && next.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.?=&%+~".contains(&b))
    };
    next.filter(fits).unwrap_or(HOME).to_owned()
}

/// For a query: what means something there is written as `%` and two digits.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            all.push(char::from(byte));
        } else {
            all.push_str(&format!("%{byte:02X}"));
        }
        all
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    email: String,
    password: String,
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecondStep {
    token: String,
    code: String,
    next: Option<String>,
}

fn door(scope: &TenantScope, intro: &str, next: &str, email: &str) -> Gate {
    let form = Form::new("", ADDRESS, "Sign in")
        .with(Field::line("email", "email", "E-mail", email).needed().autofill("username"))
        .with(Field::line("password", "password", "Password", "").needed().autofill("current-password"))
        .with(Field::hidden("next", next));
    Gate::new(scope, scope.company_name(), intro).form(form).way(RESET, "I forgot my password")
}

fn second(scope: &TenantScope, token: &Token, next: &str) -> Gate {
    let code = Field::line("text", "code", "Code", "").needed().autofill("one-time-code");
    let form = Form::new("", "/dashboard/sign-in/code", "Sign in")
        .with(code.help("Six digits, or one of your recovery codes."))
        .with(Field::hidden("token", token.text()))
        .with(Field::hidden("next", next));
    Gate::new(scope, "One more step", "Type the code that your app shows for this company now.")
        .form(form)
        .way(ADDRESS, "Begin again")
}

const WELCOME: &str = "Sign in to look after your assistant.";
const SLOW: &str = "That took too long. Sign in with your e-mail address and password.";
const RESET: &str = "/dashboard/sign-in/reset";

/// What was done before somebody came to the door.
const SAID: &[(&str, &str)] = &[
    ("password", "Your new password holds. Sign in with it."),
    ("email", "Your address is confirmed. Sign in, or go back to the dashboard where it is open."),
    ("invitation", "Welcome. Sign in with your e-mail address and the password that you have just chosen."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for next in ["/dashboard", "/dashboard/inbox?state=waiting&before=1", "/dashboard?done=saved"] {
            assert_eq!(inside(Some(next)), next);
        }
        for next in [
            "",
            "/",
            "/dashboardx",
            "//evil.example/dashboard",
            "/dashboard//evil.example",
            "/dashboard/../v1/company",
            "/dashboard/\\evil.example",
            "https://evil.example/dashboard",
            "/dashboard/sign-in?next=/dashboard/sign-in",
            "/dashboard/\r\nset-cookie:a=b",
            "javascript:alert(1)",
            "/dashboard/é",
        ] {
            assert_eq!(inside(Some(next)), HOME, "{next}");
        }
        assert_eq!(inside(None), HOME);
        assert_eq!(address("/dashboard"), ADDRESS);
        assert_eq!(address("/dashboard/inbox?q=a+b"), "/dashboard/sign-in?next=/dashboard/inbox%3Fq%3Da%2Bb");
    }
}
