//! Discovery: what search engines and link previews read of a company's site.
//!
//! It never tells them anything that the page itself does not show.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::Question;
use super::pages::{LINK_LIST, Link};
use crate::calendar::week::{DAYS, Stretch};
use crate::error::Error;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, content};
use crate::services::offer::Offer;
use crate::tenant::TenantScope;

/// `GET /robots.txt` (RFC 9309): all but what is not a page.
///
/// # Errors
/// None.
pub async fn robots(call: Call) -> Result<Response<Body>, Error> {
    let origin = call.app.config.root.origin(&call.place);
    let sitemap = if call.place == crate::config::Place::Apex {
        String::new()
    } else {
        format!("Sitemap: {origin}/sitemap.xml\n")
    };
    let text = format!("User-agent: *\nDisallow: /dashboard\nDisallow: /v1/\n{sitemap}");
    Ok(content(StatusCode::OK, "text/plain; charset=utf-8", text))
}

/// `GET /sitemap.xml` (<https://www.sitemaps.org/protocol.html>): the company's pages.
///
/// # Errors
/// As every batch.
pub async fn sitemap(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let mut batch = scope.batch();
    let links = batch.add::<Link>(LINK_LIST, params!["home"]);
    let links = batch.send().await?.all(links)?;
    let origin = call.app.config.root.origin(&call.place);
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    // Neither an origin nor a page's short name has a character that XML would read as its own.
    let paths = links.iter().map(|link| format!("pages/{}", link.slug));
    for path in std::iter::once(String::new()).chain(paths) {
        xml.push_str(&format!("<url><loc>{origin}/{path}</loc></url>\n"));
    }
    xml.push_str("</urlset>\n");
    Ok(content(StatusCode::OK, "application/xml; charset=utf-8", xml))
}

/// The company, what it sells, when it is open and what people ask, as <https://schema.org> has it: JSON that can stand in a
/// script element.
pub(super) fn business(
    company: &str,
    origin: &str,
    offers: &[Offer],
    hours: &[Stretch],
    questions: &[Question],
) -> String {
    let hours: Vec<_> = hours.iter().filter_map(open).collect();
    let offers: Vec<_> = offers.iter().map(offer).collect();
    let questions: Vec<_> = questions
        .iter()
        .map(|it| {
            json!({
                "@type": "Question", "name": it.question,
                "acceptedAnswer": { "@type": "Answer", "text": it.answer },
            })
        })
        .collect();
    let business = json!({
        "@type": "LocalBusiness", "@id": format!("{origin}/#business"), "name": company, "url": format!("{origin}/"),
        "openingHoursSpecification": hours, "makesOffer": offers,
    });
    let asked = json!({ "@type": "FAQPage", "@id": format!("{origin}/#questions"), "mainEntity": questions });
    let graph = if questions.is_empty() { vec![business] } else { vec![business, asked] };
    in_script(&json!({ "@context": "https://schema.org", "@graph": graph }))
}

fn open(stretch: &Stretch) -> Option<Value> {
    let day = DAYS.get(usize::try_from(stretch.weekday).ok()?.checked_sub(1)?)?;
    // A day ends before midnight here.
    let clock = |minutes: u32| format!("{:02}:{:02}", minutes.min(1_439) / 60, minutes.min(1_439) % 60);
    Some(json!({
        "@type": "OpeningHoursSpecification", "dayOfWeek": day,
        "opens": clock(stretch.opens), "closes": clock(stretch.closes),
    }))
}

fn offer(offer: &Offer) -> Value {
    let dollars = |cents: u32| format!("{}.{:02}", cents / 100, cents % 100);
    let service = json!({ "@type": "Service", "name": offer.name, "description": offer.description });
    match offer.price_from_cents {
        None => json!({ "@type": "Offer", "itemOffered": service }),
        Some(from) => {
            let mut price = json!({
                "@type": "PriceSpecification", "priceCurrency": "USD", "minPrice": dollars(from),
            });
            if let (Some(to), Some(price)) = (offer.price_to_cents, price.as_object_mut()) {
                price.insert("maxPrice".into(), dollars(to).into());
            }
            json!({ "@type": "Offer", "itemOffered": service, "priceSpecification": price })
        }
    }
}

/// JSON without a character that HTML could take for the end of the element or the start of another: those stand in texts
/// alone, where JSON has another way to write them.
fn in_script(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_company_writes_cannot_leave_the_script() {
        let evil = "</script><img src=x onerror=alert(1)>&<!--";
        let questions = [Question { question: evil.into(), answer: evil.into() }];
        let hours =
            [Stretch { weekday: 1, opens: 420, closes: 1_440 }, Stretch { weekday: 9, opens: 0, closes: 1 }];
        let text = business(evil, "https://acme.example.com", &[], &hours, &questions);
        assert!(!text.contains(['<', '>', '&']), "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        let business = &read["@graph"][0];
        assert_eq!(
            (&business["name"], &business["url"]),
            (&json!(evil), &json!("https://acme.example.com/"))
        );
        let hours = business["openingHoursSpecification"].as_array().unwrap();
        assert_eq!(hours.len(), 1);
        assert_eq!((&hours[0]["dayOfWeek"], &hours[0]["closes"]), (&json!("Monday"), &json!("23:59")));
        assert_eq!(read["@graph"][1]["mainEntity"][0]["acceptedAnswer"]["text"], evil);
    }
}
