//! A template file's format: what may stand in it, described for authors in templates/README.md.
//! It reads TOML into values that remember their line, and judges nothing beyond the format.

use serde::Deserialize;
use toml::Spanned;

use super::office::{
    Closure, FollowUp, Item, Label, Message, Notification, PaymentMethod, Permission, Stage,
};
use super::{Kind, Source};

/// A parsed template, and where it came from.
pub struct File {
    /// The file's path as errors name it.
    pub path: String,
    /// Which folder it lies in.
    pub kind: Kind,
    /// What it says.
    pub template: Template,
    /// Byte offset of each line's start.
    lines: Vec<usize>,
}

impl File {
    /// Reads one file; the error is the line, where known, and what is wrong there.
    pub fn parse(source: &Source) -> Result<Self, (Option<usize>, String)> {
        let lines: Vec<usize> =
            std::iter::once(0).chain(source.text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        match toml::from_str(&source.text) {
            Ok(template) => Ok(Self { path: source.path.clone(), kind: source.kind, template, lines }),
            Err(error) => Err((
                error.span().map(|span| line_at(&lines, span.start)),
                error.message().replace('\n', ", "),
            )),
        }
    }

    /// The line, from 1, at which `value` starts.
    pub fn line<T>(&self, value: &Spanned<T>) -> usize {
        line_at(&self.lines, value.span().start)
    }
}

fn line_at(starts: &[usize], offset: usize) -> usize {
    starts.partition_point(|start| *start <= offset)
}

/// An industry, or what every company gets. Both have one format; the check asks different things of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    pub slug: Spanned<String>,
    pub name: String,
    pub version: i32,
    pub summary: String,
    #[serde(default)]
    pub lead_questions: Vec<Spanned<String>>,
    #[serde(default)]
    pub quick_replies: Vec<Spanned<String>>,
    #[serde(default)]
    pub contexts: Contexts,
    #[serde(default)]
    pub hours: Hours,
    #[serde(default)]
    pub categories: Vec<Spanned<Category>>,
    #[serde(default)]
    pub services: Vec<Spanned<Service>>,
    #[serde(default)]
    pub entries: Vec<Spanned<Entry>>,
    #[serde(default)]
    pub terms: Vec<Spanned<Term>>,
    #[serde(default)]
    pub agents: Vec<Spanned<Agent>>,
    #[serde(default)]
    pub specialisations: Vec<Spanned<Specialisation>>,
    #[serde(default)]
    pub pages: Vec<Spanned<Page>>,
    #[serde(default)]
    pub goldens: Vec<Spanned<Golden>>,
    #[serde(default)]
    pub master: Vec<Spanned<Master>>,
    #[serde(default)]
    pub stages: Vec<Spanned<Stage>>,
    #[serde(default)]
    pub labels: Vec<Spanned<Label>>,
    #[serde(default)]
    pub messages: Vec<Spanned<Message>>,
    #[serde(default)]
    pub follow_ups: Vec<Spanned<FollowUp>>,
    #[serde(default)]
    pub notifications: Vec<Spanned<Notification>>,
    #[serde(default)]
    pub permissions: Vec<Spanned<Permission>>,
    #[serde(default)]
    pub checklist: Vec<Spanned<Item>>,
    #[serde(default)]
    pub closures: Vec<Spanned<Closure>>,
    #[serde(default)]
    pub payment_methods: Vec<Spanned<PaymentMethod>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    pub identity: Option<Spanned<String>>,
    pub personality: Option<Spanned<String>>,
    pub voice: Option<Spanned<String>>,
    pub rules: Option<Spanned<String>>,
}

impl Contexts {
    /// Each kind in the order of the prompt.
    pub fn each(&self) -> [(&'static str, Option<&Spanned<String>>); 4] {
        [
            ("identity", self.identity.as_ref()),
            ("personality", self.personality.as_ref()),
            ("voice", self.voice.as_ref()),
            ("rules", self.rules.as_ref()),
        ]
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    pub monday: Option<Spanned<String>>,
    pub tuesday: Option<Spanned<String>>,
    pub wednesday: Option<Spanned<String>>,
    pub thursday: Option<Spanned<String>>,
    pub friday: Option<Spanned<String>>,
    pub saturday: Option<Spanned<String>>,
    pub sunday: Option<Spanned<String>>,
}

impl Hours {
    /// Each open day by its ISO number, 1 for Monday.
    pub fn each(&self) -> impl Iterator<Item = (i16, &Spanned<String>)> {
        let days = [
            &self.monday,
            &self.tuesday,
            &self.wednesday,
            &self.thursday,
            &self.friday,
            &self.saturday,
            &self.sunday,
        ];
        (1..).zip(days).filter_map(|(weekday, day)| Some((weekday, day.as_ref()?)))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    pub slug: String,
    pub name: String,
    /// For a category that the company template does not have: the agents that see it.
    #[serde(default)]
    pub agents: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub slug: String,
    pub name: String,
    pub description: String,
    pub price: String,
    pub unit: String,
    pub duration_minutes: i32,
    pub includes: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub slug: String,
    pub category: String,
    pub question: String,
    pub answer: String,
    pub keywords: String,
    /// States something that the business must set itself: a price, a promise, a rule of the house.
    #[serde(default)]
    pub confirm: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    pub term: String,
    pub meaning: String,
    pub synonyms: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    pub slug: String,
    pub name: String,
    pub role: String,
    pub greeting: String,
    pub instructions: String,
    pub tier: Tier,
    #[serde(default)]
    pub default: bool,
    pub scopes: Vec<String>,
    #[serde(default)]
    pub tools: Vec<String>,
    #[serde(default)]
    pub starters: Vec<String>,
    #[serde(default)]
    pub handoffs: Vec<Handoff>,
}

/// A colleague that an agent brings in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handoff {
    /// Slug of an agent of the same file.
    pub to: String,
    pub when: String,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    Fast,
    Balanced,
    Best,
}

impl Tier {
    /// The value of `template_agents.tier`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Best => "best",
        }
    }
}

/// What a shared agent learns of the industry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Specialisation {
    pub agent: String,
    pub greeting: Option<String>,
    pub instructions: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    pub slug: String,
    pub title: String,
    pub body: String,
}

/// A question that measures search and answers; either an entry answers it or the business must not.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    pub question: String,
    pub entry: Option<String>,
    pub expect: Option<Expect>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    Refuse,
    Handover,
}

impl Expect {
    /// The value of `template_goldens.expect`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Handover => "handover",
        }
    }
}

/// An entry of the platform's own knowledge.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Master {
    pub slug: String,
    pub question: String,
    pub answer: String,
    pub keywords: String,
}
