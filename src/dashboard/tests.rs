use askama::Template as _;

use super::inbox::Shown;
use super::overview::Overview;
use super::view::gate::Gate;
use super::view::{Field, Form, Item, Part, Preview, Stamp, Table, View};
use super::widget::Draft;
use super::*;

const EVIL: &str =
    "<img src=x onerror=alert(1)> ![](https://evil.example/x.png) [go](javascript:alert(1)) \"'&";

fn view(text: &str) -> View {
    let options = || vec![(text.to_owned(), text.to_owned(), true)];
    let form = || {
        Form::new(text, "/dashboard/x", "Go")
            .with(Field::line("text", "a", text, text).needed())
            .with(Field::area("b", text, text, 8_000).help("Help.").counted())
            .with(Field::hidden("c", text))
            .with(Field::document("g", text, 9_000).help("Help."))
            .with(Field::check("d", text, true))
            .with(Field::choice("e", text, options()))
            .with(Field::several("f", text, options()))
            .quiet()
            .danger(text.to_owned())
            .preview(Preview { address: "/dashboard/y".into(), title: "Preview", scripts: false })
    };
    let item = Item {
        title: text.into(),
        address: Some("/dashboard/x".into()),
        lines: vec![text.into()],
        whole: text.into(),
        texts: vec![("Yours", text.into()), ("Theirs", text.into())],
        tags: vec![text.into()],
        calls: vec![text.into()],
        when: Stamp::parse("2026-11-22 09:30:00+00"),
        actions: vec![form()],
        edit: Some(form()),
    };
    let table = Table { caption: text.into(), head: vec!["A"], rows: vec![vec![text.into()]] };
    View::new(Frame::sample(text), text, "Intro.")
        .below("/dashboard", "Overview")
        .link("/dashboard/x", text)
        .narrowed(form())
        .part(Part::list(text, vec![item], "None."))
        .part(Part::table(text, table, "None."))
        .part(Part::text(text, text))
        .part(Part::snippet(text, text.to_owned(), "Copy it."))
        .part(Part::form(form()))
        .part(Part::buttons(vec![form()]))
        .part(Part::list("Empty", Vec::new(), "None of these."))
        .more(Some("/dashboard/x?from=40".into()))
}

fn pages(text: &str) -> Vec<String> {
    let refused =
        Refused { title: "Not found", detail: text, signed_out: true, request_id: Some(text.to_owned()) };
    vec![
        Gate::sample(text).render().unwrap(),
        Overview::sample(text).render().unwrap(),
        Shown::sample(text).render().unwrap(),
        view(text).render().unwrap(),
        Draft::sample(text, "").render().unwrap(),
        Draft::sample(text, text).render().unwrap(),
        refused.render().unwrap(),
    ]
}

#[test]
fn what_people_write_is_text_wherever_it_stands() {
    for html in pages(EVIL) {
        assert!(!html.contains("<img"), "{html}");
        assert!(!html.contains(EVIL), "{html}");
        assert!(!html.contains("href=\"javascript"), "{html}");
        assert!(!html.contains("alert(1)) \""), "a quote gets out of an attribute: {html}");
    }
}

#[test]
fn pages_need_no_inline_script_or_style_and_say_what_they_hold() {
    for html in pages("Acme") {
        assert!(!html.contains(" style=") && !html.contains("<style"), "{html}");
        assert!(!html.contains(" onclick=") && !html.contains("<script>"), "{html}");
        assert!(!html.contains("src=\"http"), "{html}");
        assert!(html.contains("Acme") && html.contains("<h1>"), "{html}");
        assert_eq!(html.matches("<form").count(), html.matches("</form>").count(), "{html}");
        // What changes something is sent, never linked.
        assert!(!html.contains("/remove\">") || html.contains("method=\"post\""), "{html}");
    }
    let html = view("Acme").render().unwrap();
    for part in [
        "aria-current=\"page\">Overview",
        "None of these.",
        "2026-11-22 09:30 UTC",
        "name=\"d\" value=\"false\"",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
}
