use super::signup::{Arrival, Landing};
use super::*;

const EVIL: &str =
    "<img src=x onerror=alert(1)> ![](https://evil.example/x.png) [go](javascript:alert(1)) \"'&";

fn service(name: &str, from: Option<u32>, to: Option<u32>) -> Offer {
    Offer {
        name: name.into(),
        description: "Clears a blocked drain.".into(),
        price_from_cents: from,
        price_to_cents: to,
        unit: "per drain".into(),
        duration_minutes: Some(75),
        includes: "A test under full flow.".into(),
    }
}

fn sample(text: &str) -> Home<'_> {
    let look = Look {
        title: text.into(),
        body: format!("{text} and **{text}**\n\n- {text}\n\n1. {text}\n\n## {text}"),
        accent_color: "#0f6ab4".into(),
    };
    let mut services: Vec<_> = (0..9).map(|_| service(text, Some(15_000), Some(27_500))).collect();
    services[0].description = text.into();
    services[0].includes = text.into();
    services[0].unit = text.into();
    let hours = [Stretch { weekday: 1, opens: 420, closes: 1_080 }];
    let questions = vec![Question { question: text.into(), answer: text.into() }];
    Home::new(text, "https://acme.example.com".into(), look, services, &hours, questions, around(text))
}

fn around(text: &str) -> Around {
    Around {
        closures: vec![Closed { day: "December 24".into(), name: text.into() }],
        payments: vec![Way { name: text.into(), note: text.into() }],
        links: vec![Link { slug: "prices".into(), title: text.into(), here: false }],
    }
}

#[test]
fn the_page_says_what_the_company_is_and_sells() {
    let html = sample("Acme Plumbing").render().unwrap();
    for part in [
        "<h1>Acme Plumbing</h1>",
        "<strong>Acme Plumbing</strong>",
        "$150–$275",
        "Usually takes 1 h 15 min",
        "3 more services",
        "7 AM – 6 PM",
        "<td>Closed</td>",
        "theme.css?v=0f6ab4",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
}

#[test]
fn a_page_of_a_company_with_nothing_has_no_empty_parts() {
    let look = Look { title: "A".into(), body: String::new(), accent_color: String::new() };
    let html =
        Home::new("A", "https://a.example.com".into(), look, Vec::new(), &[], Vec::new(), Around::default())
            .render()
            .unwrap();
    for part in ["id=\"services\"", "id=\"hours\"", "id=\"questions\"", "#services", "#hours"] {
        assert!(!html.contains(part), "{part} is in {html}");
    }
}

#[test]
fn what_a_company_writes_is_text_wherever_it_stands() {
    for html in [Landing::sample(EVIL).render().unwrap(), Arrival::sample(EVIL).render().unwrap()] {
        assert!(
            !html.contains("<img src=x") && !html.contains(EVIL) && !html.contains("alert(1)) \""),
            "{html}"
        );
    }
    let html = sample(EVIL).render().unwrap();
    assert!(!html.contains("<img"), "{html}");
    assert!(!html.contains(EVIL), "{html}");
    assert!(!html.contains("href=\"javascript"), "{html}");
    assert!(!html.contains("alert(1)) \""), "a quote gets out of an attribute: {html}");
}

#[test]
fn pages_need_no_inline_script_or_style() {
    let (landing, arrival) = (Landing::sample("Acme"), Arrival::sample("Acme"));
    let pages = [sample("Acme").render().unwrap(), landing.render().unwrap(), arrival.render().unwrap()];
    for html in pages {
        assert!(!html.contains(" style=") && !html.contains("<style"), "{html}");
        assert!(!html.contains(" onclick=") && !html.contains("<script>"), "{html}");
        assert!(!html.contains("//cdn") && !html.contains("src=\"http"), "{html}");
    }
}

#[test]
fn initials() {
    assert_eq!(initial("acme"), 'A');
    assert_eq!(initial("  «école»"), 'É');
    assert_eq!(initial("…"), '•');
}
