//! The dashboard: a company's people at work, on pages that the server draws and forms that need no script.
//!
//! It never writes by itself: a form does what the JSON API's handler of the same name does, and then goes back to a page.

use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderValue, Method, Response, StatusCode, Uri};

use askama::Template;

use crate::error::Error;
use crate::ids::RequestId;
use crate::platform::{Body, Level};
use crate::roles::support_may;
use crate::routes::{Call, no_content};
use crate::site;
use crate::tenant::TenantScope;
use crate::tenant::auth::SESSION_COOKIE;

pub mod account;
pub mod agents;
pub mod budget;
pub mod checklist;
pub mod company;
pub mod domains;
pub mod door;
pub mod drafts;
pub mod form;
pub mod hours;
pub mod inbox;
pub mod knowledge;
pub mod leads;
pub mod library;
pub mod links;
pub mod office;
pub mod overview;
pub mod plan;
pub mod plot;
pub mod providers;
pub mod site_editor;
pub mod support;
pub mod team;
pub mod usage;
pub mod view;
pub mod webhooks;
pub mod widget;

/// What stands around each page: whose dashboard it is, where one is in it, and what was just done.
pub struct Frame {
    company: String,
    initial: char,
    /// The tab's address.
    tab: &'static str,
    tabs: Vec<(&'static str, &'static str)>,
    /// Support looks at it, and not one of the company's people.
    support: bool,
    /// By which a form of this page is known when it is sent twice.
    key: String,
    /// What was done before this page was opened.
    said: Option<&'static str>,
}

impl Frame {
    /// The frame of a tab of this company's dashboard.
    #[must_use]
    pub fn new(scope: &TenantScope, call: &Call, tab: &'static str) -> Self {
        let company = scope.company_name().to_owned();
        let support = scope.support().is_some();
        let said = call.query("done").and_then(|code| SAID.iter().find(|(known, _)| *known == code));
        Self {
            initial: site::initial(&company),
            company,
            tab,
            tabs: tabs(support),
            support,
            key: call.request_id.to_string(),
            said: said.map(|(_, sentence)| *sentence),
        }
    }

    /// As a test has it.
    #[cfg(test)]
    pub(crate) fn sample(text: &str) -> Self {
        let key = text.to_owned();
        let (company, tabs) = (text.into(), tabs(false));
        Self { company, initial: 'A', tab: "/dashboard", tabs, support: false, key, said: None }
    }
}

/// The tabs: address and name; one without an address is the heading of those that follow.
const TABS: &[(&str, &str)] = &[
    ("", "Work"),
    ("/dashboard", "Overview"),
    ("/dashboard/inbox", "Inbox"),
    ("/dashboard/leads", "Leads"),
    ("/dashboard/checklist", "Checklist"),
    ("", "Answers"),
    ("/dashboard/knowledge", "Knowledge"),
    ("/dashboard/agents", "Agents"),
    ("/dashboard/contexts", "Contexts"),
    ("", "Shop window"),
    ("/dashboard/site", "Website"),
    ("/dashboard/services", "Services"),
    ("/dashboard/hours", "Hours"),
    ("/dashboard/widget-settings", "Chat widget"),
    ("/dashboard/domains", "Domains"),
    ("", "Models and money"),
    ("/dashboard/providers", "Models"),
    ("/dashboard/budget", "Budget"),
    ("/dashboard/usage", "Usage"),
    ("/dashboard/plan", "Plan"),
    ("", "Company"),
    ("/dashboard/office", "Office"),
    ("/dashboard/company", "Settings"),
    ("/dashboard/team", "Team"),
    ("/dashboard/notifications", "Notifications"),
    ("/dashboard/api-keys", "API keys"),
    ("/dashboard/webhooks", "Webhooks"),
    ("/dashboard/audit", "Audit log"),
    ("/dashboard/sessions", "Security"),
];

/// The tabs that somebody sees: all of them; support those that it may open, without the headings of others.
fn tabs(support: bool) -> Vec<(&'static str, &'static str)> {
    let mut seen: Vec<(&str, &str)> = Vec::with_capacity(TABS.len());
    for tab in
        TABS.iter().filter(|(address, _)| !support || address.is_empty() || support_may("GET", address))
    {
        if tab.0.is_empty() && seen.last().is_some_and(|(address, _)| address.is_empty()) {
            seen.pop();
        }
        seen.push(*tab);
    }
    seen
}

/// Whether an address is a tab of its own.
pub(crate) fn is_tab(address: &str) -> bool {
    TABS.iter().any(|(tab, _)| *tab == address)
}

/// What a form's answer says on the next page. A page takes only these, so that a link cannot put words in its mouth.
const SAID: &[(&str, &str)] = &[
    ("added", "Added."),
    ("answered", "Answered below."),
    ("approved", "Approved. Your assistant knows it from the next question on."),
    ("claimed", "Noted. Put the records below into your DNS, then check."),
    ("dismissed", "Dismissed. It does not show again."),
    ("drafted", "Drafted. Check every fact: nobody sees it until you approve it."),
    ("leads-here", "The record is there: the name leads here."),
    ("leaving", "Asked for. Until the day below any owner can call it off here."),
    ("staying", "Called off: the company stays."),
    ("kept", "Saved. It is still a draft."),
    ("imported", "Imported. Nobody sees anything of it until you approve it."),
    ("nothing-new", "Nothing new was in it: you have it already, or it says too little under a heading."),
    ("updated", "Brought up to date."),
    ("again", "On its way again. Load this page anew to see what came of it."),
    ("ended", "Ended."),
    ("erased", "Erased: nothing of theirs is left but what their answers cost."),
    ("handed-back", "Handed back: the assistant answers again."),
    ("closed", "Closed."),
    ("invited", "Invited: the mail is on its way."),
    ("mailed", "Mailed. Open the link in it within a day."),
    ("noted", "Noted. Only your colleagues see it."),
    ("saved-so", "Saved."),
    ("removed", "Removed."),
    ("reopened", "Open again."),
    ("saved", "Saved. It holds from the next question on."),
    ("set", "Saved. It holds from the next event on."),
    ("told", "The test was taken."),
    ("sent", "Sent. The assistant is silent here until you hand back."),
    ("taken", "Taken over: the assistant is silent here until you hand back."),
    ("two-step-off", "Two-step sign-in is off."),
    ("works", "The key works."),
];

/// Does what a form is for, by way of the API's own handler, and goes on to a page that says so.
///
/// # Errors
/// Those of the work.
pub async fn then(
    work: impl Future<Output = Result<Response<Body>, Error>>,
    to: impl AsRef<str>,
    said: &str,
) -> Result<Response<Body>, Error> {
    work.await?;
    see_other(&format!("{}?done={said}", to.as_ref()))
}

/// A page, which no other site may hold in a frame and no cache keeps.
pub(crate) fn page(template: &impl Template) -> Result<Response<Body>, Error> {
    site::desk(template)
}

/// To another page, by reading it.
pub(crate) fn see_other(to: &str) -> Result<Response<Body>, Error> {
    let to = HeaderValue::from_str(to).map_err(|_| Error::Internal("an address is no header".into()))?;
    let mut response = no_content();
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, to);
    Ok(response)
}

/// Gives the browser a session cookie, or takes it away: an empty value that ends at once.
pub(crate) fn set_cookie(response: &mut Response<Body>, value: &str, seconds: u64) -> Result<(), Error> {
    let cookie =
        format!("{SESSION_COOKIE}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    let mut cookie =
        HeaderValue::from_str(&cookie).map_err(|_| Error::Internal("a cookie is no header".into()))?;
    cookie.set_sensitive(true);
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(())
}

/// The answer to a browser that is refused something: whoever is not signed in and reads goes to the door, all others get a
/// page that says why.
#[must_use]
pub fn refusal(error: &Error, request_id: RequestId, method: &Method, uri: &Uri) -> Response<Body> {
    if matches!(error, Error::Unauthorized) && *method == Method::GET {
        let door = door::address(uri.path_and_query().map_or("", |asked| asked.as_str()));
        if let Ok(response) = see_other(&door) {
            return response;
        }
    }
    let facts = error.facts();
    let refused = Refused {
        title: facts.title,
        detail: &facts.detail,
        signed_out: matches!(error, Error::Unauthorized),
        request_id: matches!(facts.level, Level::Error).then(|| request_id.to_string()),
    };
    match page(&refused) {
        Ok(mut response) => {
            *response.status_mut() = facts.status;
            response
        }
        Err(_) => error.response(request_id),
    }
}

#[derive(Template)]
#[template(path = "refused.html")]
struct Refused<'a> {
    title: &'a str,
    detail: &'a str,
    signed_out: bool,
    /// To tell the operator; `None` where it is nothing of theirs.
    request_id: Option<String>,
}

#[cfg(test)]
mod tests;
