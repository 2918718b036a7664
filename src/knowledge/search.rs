//! Search: the entries that a question is about, within the agent's scope, best first.
//!
//! It never looks outside the scope: not for an answer, not for a word to correct a misspelt one by.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ids::EntryId;
use crate::tenant::TenantSql;

/// An entry found for a question.
#[derive(Clone, Debug, Deserialize)]
pub struct Hit {
    entry_id: EntryId,
    /// The entry's question.
    pub question: String,
    /// The entry's answer.
    pub answer: String,
    /// How much of what the question says this entry is about: 0 to 1, rare words counting more.
    score: f64,
    /// Whose it is.
    layer: Layer,
}

/// Where an entry comes from; of those that fit about as well the earlier layer comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Written or edited by the company's people.
    Company,
    /// As the company's template has it.
    Template,
    /// The platform's own, for all companies of the industry.
    Platform,
}

impl Hit {
    /// The entry.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.entry_id
    }

    /// Whether the entry is so close to the question that it may answer by itself, word for word.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.score >= ANSWER_SCORE
    }

    /// Whether the entry is close enough to the question to be named as what a model's answer rests on.
    #[must_use]
    pub fn supports(&self) -> bool {
        self.score >= SUPPORT_SCORE
    }

    /// How much of what the question says this entry is about: 0 to 1.
    #[must_use]
    pub fn score(&self) -> f64 {
        self.score
    }

    /// Where the entry comes from.
    #[must_use]
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// What a reader sees of where an answer comes from.
    #[must_use]
    pub fn citation(&self) -> serde_json::Value {
        json!({ "entry_id": self.entry_id, "question": self.question })
    }
}

/// From this score on an entry may answer by itself.
pub const ANSWER_SCORE: f64 = 0.46;

/// From this score on an entry is named as a source of a model's answer.
const SUPPORT_SCORE: f64 = 0.35;

/// Entries for a question, best first: how much of what the question says each one is about.
///
/// A word weighs by how rare it is (inverse document frequency), among the entries in scope or in the lexicon of all
/// trades, whichever is less: `cost` says little anywhere, `tooth` says little at a dentist's. One that no entry in
/// scope has weighs twice what the lexicon says, and so does one that no trade knows: a dentist's entries must not
/// answer for a water heater. A word that only the answer has counts half.
///
/// Two kinds of words are helped. One that neither an entry in scope nor any trade has is taken for misspelt: the most
/// alike word of the entries in scope (by trigrams) stands in for it and counts four fifths. And words that are one phrase
/// of a term of the trade (`hot water tank`) are met by an entry that says another phrase of it (`water heater`), for as much.
///
/// Of entries that fit about as well, what the company wrote or edited comes before what came with its template, and both
/// before what the platform knows.
///
/// The scope is that of the agent of a visitor's conversation (`$3`, `$4`), or, where `$5` is not null, that of the agent
/// of this short name, the empty one standing for the default agent: so that whoever tries a search has the very one of a
/// chat turn.
pub const KNOWLEDGE_SEARCH: TenantSql = crate::sql!(
    "with asked as materialized (
         select lexeme, ('''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || '''')::tsquery as word
         from unnest(to_tsvector('english', $2)) limit 32
     ),
     visible as materialized (
         select e.entry_id, e.question, e.answer, false as master, e.origin = 'company' as own, e.search
         from knowledge_entries e
         where e.company_id = $1 and e.category_id = any (array(
             select s.category_id
             from agent_knowledge_scopes s
             where s.company_id = $1 and s.agent_id = any (array(
                 select c.agent_id
                 from conversations c
                 where c.company_id = $1 and c.conversation_id = $3 and c.visitor_id = $4
                 union all
                 select a.agent_id
                 from agents a
                 where a.company_id = $1 and case when $5::text = '' then a.is_default else a.slug = $5 end))))
         union all
         select m.id, m.question, m.answer, true, false, m.search
         from master_knowledge m
         where m.industry is null
            or m.industry = any (array(select k.industry from companies k where k.company_id = $1))
     ),
     matched as materialized (
         select v.entry_id, a.lexeme, ts_filter(v.search, '{a,b}') @@ a.word as plain
         from asked a
         join visible v on v.search @@ a.word
     ),
     seen as materialized (
         select a.lexeme, a.word, (select count(*) from matched m where m.lexeme = a.lexeme) as entries,
                (select l.weight from lexicon l where l.lexeme = a.lexeme) as weight
         from asked a
     ),
     mended as materialized (
         select s.lexeme, n.lexeme as meant, ('''' || replace(n.lexeme, '''', '''''') || '''')::tsquery as word
         from (select lexeme from seen where entries = 0 and weight is null and length(lexeme) >= 4 limit 4) s
         cross join lateral (
             select w.lexeme
             from (select distinct unnest(tsvector_to_array(v.search)) as lexeme from visible v) w
             where similarity(w.lexeme, s.lexeme) >= 0.4 and length(w.lexeme) >= 4
             order by similarity(w.lexeme, s.lexeme) desc, w.lexeme
             limit 1) n
     ),
     words as materialized (
         select s.lexeme, coalesce(m.word, s.word) as word,
                case when m.meant is not null then
                         least(ln(1 + (select count(*) from visible)
                                      / (0.5 + (select count(*) from visible v where v.search @@ m.word))),
                               coalesce((select l.weight from lexicon l where l.lexeme = m.meant), 3))
                     when s.entries = 0 then 2 * coalesce(s.weight, 3)
                     else least(ln(1 + (select count(*) from visible) / (0.5 + s.entries)), coalesce(s.weight, 3))
                end as weight
         from seen s
         left join mended m on m.lexeme = s.lexeme
     ),
     meant as materialized (
         select g.lexeme, string_agg(distinct '(' || plainto_tsquery('english', o.phrase)::text || ')', '|')::tsquery as word
         from search_synonyms p
         join search_synonyms o on o.company_id = p.company_id and o.term_id = p.term_id and o.phrase <> p.phrase
         cross join unnest(p.lexemes) g (lexeme)
         where p.company_id = $1 and p.lexemes <> '{}' and p.lexemes <@ array(select lexeme from asked)
           and o.lexemes <> '{}' and not o.lexemes <@ array(select lexeme from asked)
         group by g.lexeme
     ),
     found as (
         select entry_id, lexeme, case when plain then 1.0 else 0.5 end as share
         from matched
         union all
         select v.entry_id, m.lexeme, case when ts_filter(v.search, '{a,b}') @@ m.word then 0.8 else 0.4 end
         from mended m
         join visible v on v.search @@ m.word
         union all
         select v.entry_id, m.lexeme, case when ts_filter(v.search, '{a,b}') @@ m.word then 0.8 else 0.4 end
         from meant m
         join visible v on v.search @@ m.word
     ),
     scored as (
         select f.entry_id, sum(g.weight * f.share) / (select sum(weight) from words) as score
         from (select entry_id, lexeme, max(share) as share from found group by entry_id, lexeme) f
         join words g on g.lexeme = f.lexeme
         group by f.entry_id
     )
     select v.entry_id, v.question, v.answer, s.score::float8 as score,
            case when v.master then 'platform' when v.own then 'company' else 'template' end as layer
     from scored s
     join visible v on v.entry_id = s.entry_id
     where s.score > 0.15
     order by s.score + ts_rank(v.search, (select string_agg(word::text, '|')::tsquery from words)) / 4
              + case when v.own then 0.05 else 0 end desc, v.master, v.entry_id
     limit 6"
);
