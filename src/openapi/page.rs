//! The API's page for people: the same two sources as `openapi.json`, as HTML.
//!
//! It never needs a script, and never loads anything from another host.

use askama::Template;
use http::Response;

use super::types::{Api, Operation};
use super::{api, route, who};
use crate::error::Error;
use crate::platform::Body;
use crate::routes::Call;
use crate::site;

/// `GET /docs/api`.
///
/// # Errors
/// None.
pub async fn show(call: Call) -> Result<Response<Body>, Error> {
    let root = &call.app.config.root;
    let api = api()?;
    site::page(&Page { company: root.company_url("acme-plumbing"), groups: groups(&api), types: types(&api) })
}

#[derive(Template)]
#[template(path = "api.html")]
struct Page {
    company: String,
    groups: Vec<Group>,
    types: Vec<Named>,
}

/// Addresses that the same callers may call.
struct Group {
    name: &'static str,
    addresses: Vec<Address>,
}

struct Address {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    who: &'static str,
    parts: Vec<Part>,
}

/// What is taken, or answered with a status.
struct Part {
    name: &'static str,
    pieces: Vec<Piece>,
}

struct Named {
    name: &'static str,
    about: String,
    pieces: Vec<Piece>,
}

/// Some of a type's text; the name of another type is a link to it.
struct Piece {
    text: String,
    link: bool,
}

fn groups(api: &Api) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for operation in &api.operations {
        let Some(route) = route(operation) else { continue };
        let (name, who) = who(&route.run);
        let parts = parts(api, operation);
        let address = Address { method: route.method, path: route.path, summary: route.summary, who, parts };
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.addresses.push(address),
            None => groups.push(Group { name, addresses: vec![address] }),
        }
    }
    groups
}

fn parts(api: &Api, operation: &Operation) -> Vec<Part> {
    let part = |(name, text, _): &(&'static str, &'static str, _)| {
        let name = match *name {
            "query" => "Query",
            "takes" => "Takes",
            status => status,
        };
        Part { name, pieces: pieces(api, text) }
    };
    operation.parts.iter().map(part).collect()
}

fn types(api: &Api) -> Vec<Named> {
    let named = |known: &super::types::Type| Named {
        name: known.name,
        about: known.about.clone(),
        pieces: pieces(api, known.text),
    };
    api.types.iter().map(named).collect()
}

/// A type's text, its lines moved to the left, cut at the names of other types.
fn pieces(api: &Api, text: &str) -> Vec<Piece> {
    let last = text.lines().last().unwrap_or("");
    let margin = last.len() - last.trim_start().len();
    let lines = text.lines().enumerate().map(|(at, line)| match at {
        0 => line,
        _ => line.get(margin..).unwrap_or(line.trim_start()),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut pieces = Vec::new();
    let mut plain = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let name = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if api.types.iter().any(|known| known.name == name) {
            pieces.push(Piece { text: std::mem::take(&mut plain), link: false });
            pieces.push(Piece { text: name.to_owned(), link: true });
            plain.push_str(word.get(name.len()..).unwrap_or(""));
        } else {
            plain.push_str(word);
        }
    }
    pieces.push(Piece { text: plain, link: false });
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_address_and_links_every_type() {
        let api = api().unwrap();
        let page = Page { company: "http://acme.localhost".into(), groups: groups(&api), types: types(&api) };
        let html = page.render().unwrap();
        for operation in &api.operations {
            assert!(
                html.contains(&format!("{} <wbr>{}", operation.method, operation.path)),
                "{}",
                operation.path
            );
        }
        for link in html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(html.contains(&format!("id=\"{link}\"")), "#{link} leads nowhere");
        }
        assert!(!html.contains("<script") && !html.contains(" style="));
    }
}
