//! Gates: the pages in front of the dashboard, each one card with a sentence and at most one form.
//!
//! They never need a script, and no address of theirs is told to another page.

use askama::Template;
use http::header::REFERRER_POLICY;
use http::{HeaderValue, Response, StatusCode};

use super::Form;
use crate::dashboard::page;
use crate::error::Error;
use crate::platform::Body;
use crate::site;
use crate::tenant::TenantScope;

/// A page of this kind.
#[derive(Template)]
#[template(path = "gate.html")]
pub(in crate::dashboard) struct Gate {
    company: String,
    initial: char,
    title: String,
    intro: String,
    problem: String,
    form: Option<Form>,
    /// Where else one may go: address and name.
    ways: Vec<(&'static str, &'static str)>,
    status: StatusCode,
}

impl Gate {
    /// A gate with nothing but words.
    pub(in crate::dashboard) fn new(
        scope: &TenantScope,
        title: impl Into<String>,
        intro: impl Into<String>,
    ) -> Self {
        let company = scope.company_name().to_owned();
        Self {
            initial: site::initial(&company),
            company,
            title: title.into(),
            intro: intro.into(),
            problem: String::new(),
            form: None,
            ways: Vec::new(),
            status: StatusCode::OK,
        }
    }

    /// With a form.
    pub(in crate::dashboard) fn form(mut self, form: Form) -> Self {
        self.form = Some(form);
        self
    }

    /// With a way elsewhere.
    pub(in crate::dashboard) fn way(mut self, address: &'static str, name: &'static str) -> Self {
        self.ways.push((address, name));
        self
    }

    /// Saying what went wrong, with the status that goes with it.
    pub(in crate::dashboard) fn problem(mut self, error: &Error) -> Self {
        let facts = error.facts();
        (self.problem, self.status) = (facts.detail.into_owned(), facts.status);
        self
    }

    /// The page. Its address may have a token in it, which no other page is told.
    pub(in crate::dashboard) fn draw(self) -> Result<Response<Body>, Error> {
        let mut response = page(&self)?;
        *response.status_mut() = self.status;
        response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        Ok(response)
    }

    #[cfg(test)]
    pub(in crate::dashboard) fn sample(text: &str) -> Self {
        let field = super::Field::line("password", "a", text, text).needed().autofill("new-password");
        Self {
            company: text.into(),
            initial: 'A',
            title: format!("{text}!"),
            intro: text.into(),
            problem: text.into(),
            form: Some(Form::new("", "/dashboard/x", "Go").with(field)),
            ways: vec![("/dashboard/x", "Elsewhere")],
            status: StatusCode::OK,
        }
    }
}
