//! How the outbox is delivered: when, how often, in which order, and what a receiver that fails changes.

use bulkhead_tests::company::Company;
use bulkhead_tests::native::{Fault, Part, alone, run};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::website::Page;
use futures_util::future::join;
use http::Method;
use serde_json::json;

use super::{Ground, ids, signature};

#[test]
fn what_fails_is_tried_again_with_longer_waits_then_given_up_and_sent_again_by_hand() {
    alone(async {
        let ground = Ground::new(&["lead.new"], Page::Status(500)).await;
        ground.lead("Vera").await;
        let left = "select extract(epoch from next_at - now())::float8 from outbox where company_id = $1::text::uuid";
        for (attempt, wait_s) in
            [5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0]
                .into_iter()
                .enumerate()
        {
            assert_eq!(ground.received().len(), attempt + 1);
            let left: f64 = ground.acme.rows(left).await[0].get(0);
            assert!(
                (wait_s * 0.9 - 5.0..=wait_s * 1.1).contains(&left),
                "{left} s after attempt {}",
                attempt + 1
            );
            ground.due().await;
            ground.round().await;
        }
        let [dead] = &ground.deliveries("?state=dead").await[..] else { panic!("not given up") };
        assert_eq!((&dead["attempts"], &dead["last_error"]), (&json!(10), &json!("it answered 500")));
        ground.round().await;
        assert_eq!(ground.received().len(), 10);
        ground.answers(Page::Status(200));
        let again = format!("/v1/deliveries/{}/replay", dead["delivery_id"].as_str().unwrap());
        ground.call("POST", &again, None, 202).await;
        ground.core.native.idle().await;
        assert_eq!(ground.deliveries("?state=delivered").await.len(), 1);
        let received = ground.received();
        assert_eq!((received.len(), ids(&received).len()), (11, 1), "one id, however often");
    });
}

#[test]
fn the_round_of_each_minute_visits_only_those_with_something_due() {
    alone(async {
        let ground = Ground::new(&["lead.new"], Page::Status(500)).await;
        let quiet = Company::new(ground.core.stand, "plumbing").await;
        ground.lead("Vera").await;
        // Of other tests' companies something may be due as well.
        let visited = async || {
            ground.core.native.take_sent();
            ground.round_of_due().await;
            let sent = ground.core.native.take_sent();
            let names = |id: &str, part: Part| {
                let of = sent.iter().filter(|sent| sent.part == part);
                of.filter(|sent| String::from_utf8_lossy(&sent.body).contains(id)).count()
            };
            assert_eq!(names(&quiet.id, Part::Postgres) + names(&quiet.id, Part::Redis), 0);
            assert_eq!(names(&ground.acme.id, Part::Redis), 0);
            names(&ground.acme.id, Part::Postgres)
        };
        let later = "update outbox set next_at = now() + interval '1 hour' where company_id = $1::text::uuid returning 1";
        ground.acme.rows(later).await;
        // Where the round begins is this company's neighbour.
        assert_eq!((visited().await, ground.received().len()), (0, 1), "nothing is due");
        ground.due().await;
        assert_eq!(
            (visited().await, ground.received().len()),
            (3, 2),
            "it asks, takes, and writes what came of it"
        );
        let enabled = |enabled: bool| Some(json!({ "enabled": enabled }));
        let path = format!("/v1/webhooks/{}", ground.webhook);
        ground.call("PATCH", &path, enabled(false), 200).await;
        ground.due().await;
        assert_eq!(
            (visited().await, ground.received().len()),
            (0, 2),
            "what is for a webhook that is off waits"
        );
        ground.call("PATCH", &path, enabled(true), 200).await;
        ground.core.native.idle().await;
        ground.answers(Page::Status(200));
        ground.due().await;
        visited().await;
        assert_eq!(ground.waits().await, 0);
    });
}

#[test]
fn a_webhook_that_is_gone_or_fails_for_three_days_is_turned_off_and_people_are_told_once() {
    alone(async {
        for (page, ago, off) in [(410, "1 minute", true), (500, "2 days", false), (500, "3 days", true)] {
            let ground = Ground::new(&["lead.new"], Page::Status(page)).await;
            let sql = format!(
                "update webhooks set failing_since = now() - interval '{ago}' where company_id = $1::text::uuid returning 1"
            );
            ground.acme.rows(&sql).await;
            ground.lead("Vera").await;
            let webhook = ground.call("GET", &format!("/v1/webhooks/{}", ground.webhook), None, 200).await;
            assert_eq!(webhook["enabled"], !off, "{page} for {ago}");
            let notices = ground.call("GET", "/v1/notices", None, 200).await;
            let about =
                notices["notices"].as_array().unwrap().iter().filter(|notice| notice["kind"] == "webhook");
            assert_eq!(about.count(), usize::from(off), "{page} for {ago}");
            // While it is off nothing is told, and what waits waits.
            ground.lead("Walter").await;
            ground.due().await;
            ground.round().await;
            assert_eq!(ground.received().len(), if off { 1 } else { 4 }, "{page} for {ago}");
        }
    });
}

#[test]
fn an_answer_of_the_database_that_is_lost_loses_and_doubles_nothing() {
    alone(async {
        let ground = Ground::new(&["lead.new"], Page::Status(200)).await;
        ground.lead("First").await;
        ground.core.native.take_sent();
        ground.lead("Second").await;
        let sent = ground.core.native.take_sent();
        let asked = sent.iter().filter(|sent| sent.part == Part::Postgres).count();
        // The last request says what came of it, the one before takes what is due.
        ground.core.native.break_after(Part::Postgres, asked - 1, Fault::AnswerLost);
        ground.lead("Third").await;
        ground.core.native.mend();
        assert_eq!((ground.received().len(), ground.waits().await), (3, 0));
        ground.core.native.break_after(Part::Postgres, asked - 2, Fault::AnswerLost);
        ground.lead("Fourth").await;
        ground.core.native.mend();
        assert_eq!((ground.received().len(), ground.waits().await), (3, 1), "taken, and nobody knows");
        ground.round().await;
        assert_eq!(ground.received().len(), 3, "it is somebody's for a minute");
        ground.due().await;
        ground.round().await;
        let received = ground.received();
        assert_eq!((received.len(), ids(&received).len(), ground.waits().await), (4, 4, 0));
    });
}

#[test]
fn two_rounds_at_once_deliver_once() {
    alone(async {
        let ground = Ground::new(&["lead.new"], Page::Status(503)).await;
        for name in ["One", "Two", "Three"] {
            ground.lead(name).await;
        }
        let before = ground.received().len();
        ground.answers(Page::Status(200));
        ground.due().await;
        join(ground.round(), ground.round()).await;
        ground.core.native.idle().await;
        let received = ground.received();
        assert_eq!((received.len() - before, ids(&received).len(), ground.waits().await), (3, 3, 0));
    });
}

#[test]
fn a_receiver_that_redirects_hangs_or_never_ends_holds_nothing_up() {
    run(async {
        let elsewhere = format!("/site/{}", uuid::Uuid::new_v4());
        let to = Page::To(Stand::get().website.url(&elsewhere));
        let redirecting = Ground::new(&["lead.new"], to).await;
        redirecting.lead("Vera").await;
        let waiting = redirecting.deliveries("?state=waiting").await;
        assert_eq!(waiting[0]["last_status"], 302);
        assert!(Stand::get().website.requests(&elsewhere).is_empty(), "a redirect was followed");

        let endless = Ground::new(&["lead.new"], Page::Huge(1 << 30)).await;
        let began = std::time::Instant::now();
        endless.lead("Vera").await;
        assert!(began.elapsed().as_secs() < 5, "its answer was read");
        assert_eq!(endless.deliveries("?state=delivered").await.len(), 1);

        let hanging = Ground::new(&["lead.new"], Page::Hang).await;
        let lead = json!({ "name": "Vera", "phone": "555 0100" });
        let began = std::time::Instant::now();
        hanging.call("POST", "/v1/leads", Some(lead), 201).await;
        assert!(began.elapsed().as_secs() < 5, "the visitor waited for it");
        hanging.core.native.idle().await;
        let waiting = hanging.deliveries("?state=waiting").await;
        assert_eq!(waiting[0]["last_error"], "it did not answer in time");
    });
}

#[test]
fn receivers_that_hang_keep_no_other_company_s_deliveries_waiting() {
    alone(async {
        let mut grounds;
        // Other tests' companies may come in between; all of these must be on one page of the round.
        loop {
            grounds = Vec::new();
            for _ in 0..11 {
                grounds.push(Ground::new(&["lead.new"], Page::Status(500)).await);
            }
            let last = &grounds[10].acme.id;
            let between =
                format!("select from companies where company_id between $1::text::uuid and '{last}'");
            if grounds[0].acme.rows(&between).await.len() <= 90 {
                break;
            }
        }
        // One that answers, the one that is due last; one that hangs and answered before; and nine that are known to fail.
        let (good, hanging) = grounds.split_last().unwrap();
        for (ago, ground) in hanging.iter().rev().enumerate() {
            ground.lead("Vera").await;
            ground.answers(Page::Hang);
            ground.due_since(ago + 1).await;
        }
        good.lead("Vera").await;
        good.answers(Page::Status(200));
        good.due_since(0).await;
        for ground in [good, &hanging[0]] {
            let works =
                "update webhooks set failing_since = null where company_id = $1::text::uuid returning 1";
            ground.acme.rows(works).await;
        }
        hanging[0].round().await;
        assert_eq!((good.received().len(), good.waits().await), (2, 0));
        // It was among the first four, which are all that are asked at the same time.
        let paths: Vec<&str> = grounds.iter().map(|ground| ground.path.as_str()).collect();
        let asked = Stand::get().website.requests("/site/");
        let asked = asked.into_iter().map(|(path, _)| path).filter(|path| paths.contains(&path.as_str()));
        let asked: Vec<String> = asked.skip(grounds.len()).collect();
        let at = asked.iter().position(|path| *path == good.path).unwrap();
        assert!(at < 4, "{at}: {asked:?}");
        // What the round had no time for was not tried.
        assert!(asked.len() < grounds.len(), "{asked:?}");
        let tries = "select attempts::int, next_at <= now() from outbox where company_id = $1::text::uuid";
        for ground in hanging {
            let row = &ground.acme.rows(tries).await[0];
            let tried = ground.received().len() == 2;
            assert_eq!(
                (row.get::<_, i32>(0), row.get::<_, bool>(1)),
                if tried { (2, false) } else { (1, true) }
            );
        }
    });
}

#[tokio::test]
async fn the_built_worker_delivers_once_it_has_answered_and_follows_no_redirect() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    let (path, elsewhere) =
        (format!("/site/{}", uuid::Uuid::new_v4()), format!("/site/{}", uuid::Uuid::new_v4()));
    let new = json!({ "url": stand.website.url(&path), "events": ["lead.new"] });
    let made = acme.owner(Method::POST, "/v1/webhooks", Some(new), 201).await;
    let deliveries = format!("/v1/webhooks/{}/deliveries", made["webhook"]["webhook_id"].as_str().unwrap());
    let visitor = acme.visitor().await;
    // The newest delivery once it was tried; how many there are by then.
    let tried = async |count: usize| {
        for _ in 0..600 {
            let listed = acme.owner(Method::GET, &deliveries, None, 200).await;
            let [newest, ..] = &listed["deliveries"].as_array().unwrap()[..] else { panic!("{listed}") };
            assert_eq!(listed["deliveries"].as_array().unwrap().len(), count);
            if newest["state"] != "waiting" || !newest["last_error"].is_null() {
                return newest.clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("it was not tried");
    };
    let lead = async || {
        let lead = json!({ "name": "Vera", "phone": "555 0100", "message": "A leak." });
        let (status, kept) = acme.call(&visitor.token, Method::POST, "/v1/leads", Some(lead)).await;
        assert_eq!(status, 201, "{kept}");
    };
    stand.website.put(&path, Page::Hold);
    lead().await;
    // It has answered, though nobody has answered it.
    stand.website.put(&path, Page::Status(200));
    let delivered = tried(1).await;
    assert_eq!(
        (&delivered["state"], &delivered["attempts"]),
        (&json!("delivered"), &json!(1)),
        "{delivered}"
    );
    let [(_, headers, body)] = &stand.website.received(&path)[..] else { panic!("not once") };
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(headers["webhook-signature"], signature(secret, headers, body).as_str());

    stand.website.put(&path, Page::To(stand.website.url(&elsewhere)));
    lead().await;
    let redirected = tried(2).await;
    assert_eq!(
        (&redirected["state"], &redirected["last_status"]),
        (&json!("waiting"), &json!(302)),
        "{redirected}"
    );
    assert!(stand.website.requests(&elsewhere).is_empty(), "a redirect was followed");
}
