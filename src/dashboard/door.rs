//! The door of the dashboard: signing in and out in a browser.
//!
//! It never says which of e-mail address and password was wrong, and never sends anybody to another site.

use askama::Template;
use http::Response;
use serde::Deserialize;

use super::{page, see_other, set_cookie};
use crate::config::SESSION_S;
use crate::error::Error;
use crate::platform::Body;
use crate::routes::Call;
use crate::sessions::{self, Login};
use crate::site;
use crate::tenant::TenantScope;
use crate::tenant::auth::Member;

/// `GET /dashboard/sign-in`.
///
/// # Errors
/// None.
pub async fn show(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    page(&Door::new(&scope, &inside(call.query("next").as_deref()), "", ""))
}

/// `POST /dashboard/sign-in`: gives the session cookie and goes on to where somebody wanted to be.
///
/// # Errors
/// [`Error::Invalid`] for the form. What else is wrong is said on the page, with the e-mail address as it was typed.
pub async fn enter(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<SignIn>().await?;
    let next = inside(given.next.as_deref());
    let login = Login { email: given.email, password: given.password };
    match sessions::page(&scope, &login).await {
        Ok(value) => {
            let mut response = see_other(&next)?;
            set_cookie(&mut response, &value, SESSION_S)?;
            Ok(response)
        }
        Err(error @ (Error::WrongLogin | Error::TooMany(_))) => {
            let facts = error.facts();
            let mut response = page(&Door::new(&scope, &next, &login.email, &facts.detail))?;
            *response.status_mut() = facts.status;
            Ok(response)
        }
        Err(error) => Err(error),
    }
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
pub(super) fn encoded(text: &str) -> String {
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

#[derive(Template)]
#[template(path = "door.html")]
pub(super) struct Door<'a> {
    company: &'a str,
    initial: char,
    next: &'a str,
    email: &'a str,
    problem: &'a str,
}

impl<'a> Door<'a> {
    fn new(scope: &'a TenantScope, next: &'a str, email: &'a str, problem: &'a str) -> Self {
        let company = scope.company_name();
        Self { company, initial: site::initial(company), next, email, problem }
    }

    #[cfg(test)]
    pub(super) fn sample(text: &'a str) -> Self {
        Self { company: text, initial: 'A', next: HOME, email: text, problem: text }
    }
}

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
