-- What words are worth: one that is rare among all trades says more about a question than one that everybody uses.

create table lexicon (
    lexeme text primary key,
    weight real not null check (weight >= 0)
);
comment on table lexicon is 'words of all industries'' entries, stemmed; rebuilt whenever templates are loaded';
comment on column lexicon.lexeme is 'the word, as to_tsvector(''english'', …) stems it';
comment on column lexicon.weight is 'its inverse document frequency over all template entries, 4 at most; a word that is not listed is of no trade';
grant select on lexicon to bulkhead_runtime;
