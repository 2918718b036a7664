//! The overview: what the assistant did and cost in the last month, and what waits for somebody.
//!
//! It never shows what the company keeps from somebody's role: those parts are left out.

use askama::Template;
use http::Response;
use serde::Deserialize;

use super::plot::Plot;
use super::view::{Stamp, dollars};
use super::{Frame, page};
use crate::budget::{BUDGET_READ, Budget};
use crate::checklist::{ITEM_LIST, Item};
use crate::error::Error;
use crate::notices::{NOTICE_LIST, Notice};
use crate::params;
use crate::platform::Body;
use crate::roles::support_has;
use crate::routes::Call;
use crate::support::ENTERED_LIST;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;

/// `GET /dashboard`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let today = member.scope.day(member.scope.platform().now_ms());
    let mut batch = member.scope.batch();
    let denied = batch.add::<Denied>(DENIED_LIST, params![member.user]);
    let person = batch.add::<Person>(PERSON_READ, params![member.user]);
    let days = batch.add::<Day>(DAY_LIST, params![&today]);
    let budget = batch.add::<Budget>(BUDGET_READ, params![&today]);
    let counts = batch.add::<Counts>(COUNT_READ, params![]);
    let notices = batch.add::<Notice>(NOTICE_LIST, params![]);
    let items = batch.add::<Item>(ITEM_LIST, params![]);
    let support = batch.add::<Support>(ENTERED_LIST, params![]);
    let mut rows = batch.send().await?;
    let denied = rows.all(denied)?;
    let person = rows.one(person)?;
    let read = Read {
        support: rows.all(support)?,
        days: rows.all(days)?,
        budget: rows.one(budget)?,
        counts: rows.one(counts)?,
        notices: rows.all(notices)?,
        items: rows.all(items)?,
    };
    let frame = Frame::new(&member.scope, &call, "/dashboard");
    let support = member.scope.support().is_some();
    let may = |area: &str| {
        if support { support_has(area) } else { !denied.iter().any(|denied| denied.permission == area) }
    };
    page(&Overview::new(frame, &person, read, may))
}

struct Read {
    support: Vec<Support>,
    days: Vec<Day>,
    budget: Budget,
    counts: Counts,
    notices: Vec<Notice>,
    items: Vec<Item>,
}

#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct Overview {
    frame: Frame,
    who: String,
    /// The address that is not confirmed yet.
    unconfirmed: Option<String>,
    /// In whose dashboard support is now: who, why, until when.
    support: Vec<(String, String, String)>,
    /// Whether the page on which that is ended is for this person.
    owns: bool,
    /// Label, value, and what to it belongs.
    figures: Vec<(&'static str, String, String)>,
    /// Of the day's budget: what was spent and what there is, micro-dollars.
    meter: Option<(u64, u64)>,
    plots: Vec<Plot>,
    notices: Vec<Told>,
    steps: Vec<Step>,
    /// Steps that are not shown.
    more_steps: usize,
}

struct Told {
    address: String,
    body: String,
    conversation: Option<String>,
    when: Option<Stamp>,
}

struct Step {
    address: String,
    title: String,
    help: String,
    /// A fact's value is asked for; a task is ticked off.
    fact: bool,
    value: String,
}

/// Notices and steps that are shown.
const SHOWN: usize = 5;

impl Overview {
    fn new(frame: Frame, person: &Person, read: Read, may: impl Fn(&str) -> bool) -> Self {
        let Read { support, days, budget, counts, notices, items } = read;
        let mut figures = Vec::new();
        let mut plots = Vec::new();
        let plot = |title, series, values: &dyn Fn(&Day) -> Vec<u64>, write: &dyn Fn(u64) -> String| {
            let days = days.iter().map(|day| (day.day.clone(), values(day))).collect();
            Plot::new(title, series, days, write)
        };
        let plain = |value: u64| value.to_string();
        let mut meter = None;
        if may("budget.read") {
            let (spent, limit) = (budget.ledger_spent_microusd, budget.daily_limit_microusd);
            figures.push(("Spent today", dollars(spent), format!("of {}", dollars(limit))));
            meter = Some((spent, limit.max(1)));
            plots.push(plot("Spent on models", vec!["Spent"], &|day| vec![day.spent_microusd], &dollars));
        }
        if may("conversations.read") {
            figures.push(("Waiting for a person", plain(counts.waiting), "conversations".into()));
            plots.push(plot("Conversations", vec!["Begun"], &|day| vec![day.conversations], &plain));
            let answered = |day: &Day| vec![day.by_model, day.by_knowledge, day.unanswered, day.by_person];
            let series = vec!["By a model", "From your knowledge", "Not answered", "By a person"];
            plots.push(plot("Answers", series, &answered, &plain));
        }
        if may("leads.read") {
            figures.push(("New leads", plain(counts.leads), "who want to hear from you".into()));
            plots.push(plot("Leads", vec!["Left their number"], &|day| vec![day.leads], &plain));
        }
        if may("knowledge.read") {
            figures.push((
                "Entries to confirm",
                plain(counts.to_confirm),
                "prices and rules of your trade".into(),
            ));
        }
        let told = notices.into_iter().filter(|notice| may("notices.read") && notice.seen_at.is_none());
        let told = told.take(SHOWN).map(|notice| Told {
            address: format!("/dashboard/notices/{}/seen", notice.notice_id),
            conversation: notice.conversation_id.map(|id| format!("/dashboard/inbox/{id}")),
            when: Stamp::parse(&notice.created_at),
            body: notice.body,
        });
        let open: Vec<_> =
            items.into_iter().filter(|item| may("checklist.read") && item.done_at.is_none()).collect();
        let more_steps = open.len().saturating_sub(SHOWN);
        let steps = open.into_iter().take(SHOWN).map(|item| Step {
            address: format!("/dashboard/checklist/{}", item.item_id),
            fact: item.kind == "fact",
            title: item.title,
            help: item.help,
            value: item.value,
        });
        let who = format!("Signed in as {}, {}.", person.name, person.role);
        let unconfirmed = (!person.email_verified).then(|| person.email.clone());
        Self {
            frame,
            who,
            unconfirmed,
            owns: person.role == "owner",
            support: if person.role == "support" {
                Vec::new()
            } else {
                support.into_iter().map(Support::told).collect()
            },
            figures,
            meter,
            plots,
            notices: told.collect(),
            steps: steps.collect(),
            more_steps,
        }
    }

    #[cfg(test)]
    pub(super) fn sample(text: &str) -> Self {
        let day = |n: u64| Day {
            day: format!("2026-11-{:02}", n + 1),
            spent_microusd: n * 1_000,
            conversations: n,
            by_model: n,
            by_knowledge: 1,
            unanswered: 2,
            by_person: 0,
            leads: 1,
        };
        let (id, kind) = ("01890a5d-ac96-774b-bcce-b302099a8057", "fact".to_owned());
        let read = Read {
            support: vec![Support { operator: text.into(), reason: text.into(), ends_at: "2026-11-22 09:30:00+00".into() }],
            days: (0..30).map(day).collect(),
            budget: serde_json::from_value(serde_json::json!({
                "daily_limit_microusd": 2, "monthly_tokens": 1, "max_output_tokens": 1, "visitor_turns_per_minute": 1,
                "address_turns_per_minute": 1, "company_turns_per_minute": 1, "concurrent_turns": 1,
                "conversation_questions": 1, "cheaper_models": true, "knowledge_answers": true, "platform_models": false,
                "ledger_spent_microusd": 1, "ledger_tokens": 1,
            }))
            .unwrap(),
            counts: Counts { waiting: 1, leads: 2, to_confirm: 3 },
            notices: vec![Notice {
                notice_id: id.parse().unwrap(),
                kind: "lead".into(),
                conversation_id: Some(id.parse().unwrap()),
                body: text.into(),
                created_at: "2026-11-22 09:30:00+00".into(),
                seen_at: None,
            }],
            items: vec![Item {
                item_id: id.parse().unwrap(),
                slug: "phone".into(),
                kind,
                title: text.into(),
                help: text.into(),
                value: text.into(),
                done_at: None,
            }],
        };
        Self::new(
            Frame::sample(text),
            &Person { name: text.into(), role: "owner".into(), email: text.into(), email_verified: false },
            read,
            |_| true,
        )
    }
}

/// Support that is here now.
#[derive(Deserialize)]
struct Support {
    operator: String,
    reason: String,
    ends_at: String,
}

impl Support {
    fn told(self) -> (String, String, String) {
        let until = Stamp::parse(&self.ends_at).map_or(self.ends_at, |stamp| stamp.human);
        (self.operator, self.reason, until)
    }
}

#[derive(Deserialize)]
struct Denied {
    permission: String,
}

#[derive(Deserialize)]
struct Person {
    name: String,
    role: String,
    email: String,
    email_verified: bool,
}

#[derive(Deserialize)]
struct Counts {
    waiting: u64,
    leads: u64,
    to_confirm: u64,
}

#[derive(Deserialize)]
struct Day {
    day: String,
    spent_microusd: u64,
    conversations: u64,
    by_model: u64,
    by_knowledge: u64,
    unanswered: u64,
    by_person: u64,
    leads: u64,
}

/// What the company keeps from somebody's role.
const DENIED_LIST: TenantSql = crate::sql!(
    "select p.permission
     from memberships m
     join role_permissions p on p.company_id = m.company_id and p.role = m.role and not p.allowed
     where m.company_id = $1 and m.user_id = $2"
);

const PERSON_READ: TenantSql = crate::sql!(
    "select u.name, m.role, u.email, u.email_verified_at is not null as email_verified
     from users u
     join memberships m on m.company_id = u.company_id and m.user_id = u.user_id
     where u.company_id = $1 and u.user_id = $2
     union all
     select a.operator, 'support', '', true
     from support_accesses a
     where a.company_id = $1 and a.access_id = $2"
);

const COUNT_READ: TenantSql = crate::sql!(
    "select (select count(*) from conversations c
             where c.company_id = k.company_id and not c.trial and (c.handed_over_at is not null or c.taken_over_at is not null)
               and c.closed_at is null
               and (c.taken_over_at is null
                    or (select l.author from messages l
                        where l.company_id = c.company_id and l.conversation_id = c.conversation_id
                        order by l.message_id desc limit 1) = 'visitor')) as waiting,
            (select count(*) from leads l
             left join conversations t on t.company_id = l.company_id and t.conversation_id = l.conversation_id
             where l.company_id = k.company_id and l.status = 'new' and t.trial is not true) as leads,
            (select count(*) from knowledge_entries e where e.company_id = k.company_id and e.to_confirm) as to_confirm
     from companies k
     where k.company_id = $1"
);

/// The thirty days up to one, of the company's own clock; also those on which nothing was. What staff tried cost money, and counts for nothing else.
const DAY_LIST: TenantSql = crate::sql!(
    "with days as (
         select d::date as day, d::timestamp at time zone k.time_zone as starts,
                (d + interval '1 day')::timestamp at time zone k.time_zone as ends
         from companies k
         cross join generate_series($2::date - 29, $2::date, interval '1 day') d
         where k.company_id = $1
     )
     select d.day, coalesce(s.spent_microusd, 0) as spent_microusd, c.conversations, m.by_model, m.by_knowledge,
            m.unanswered, m.by_person, l.leads
     from days d
     left join ledger_days s on s.company_id = $1 and s.day = d.day
     cross join lateral (
         select count(*) as conversations
         from conversations c
         where c.company_id = $1 and not c.trial and c.created_at >= d.starts and c.created_at < d.ends) c
     cross join lateral (
         select count(*) filter (where m.source = 'model') as by_model,
                count(*) filter (where m.source = 'knowledge') as by_knowledge,
                count(*) filter (where m.source = 'none') as unanswered,
                count(*) filter (where m.author = 'member') as by_person
         from messages m
         join conversations c on c.company_id = m.company_id and c.conversation_id = m.conversation_id and not c.trial
         where m.company_id = $1 and m.created_at >= d.starts and m.created_at < d.ends) m
     cross join lateral (
         select count(*) as leads
         from leads l
         left join conversations t on t.company_id = l.company_id and t.conversation_id = l.conversation_id
         where l.company_id = $1 and t.trial is not true and l.created_at >= d.starts and l.created_at < d.ends) l
     order by d.day"
);
