//! A table as the catalogue knows it, and every way to touch another company's row in it.

use std::collections::BTreeMap;

use bulkhead_tests::company::Company;
use serde_json::Value;

use super::Outcome::{self, Empty, NoGrant, NoParent, Policy, Rows, Taken, Unset};
use super::Setting;

/// One statement against one table.
pub struct Attack {
    /// What it does.
    pub what: &'static str,
    /// The statement.
    pub sql: String,
    /// What comes of it while our own company is set.
    own: Vec<Outcome>,
    /// Whether it asks for something that the role was never granted: then the setting does not matter.
    no_grant: bool,
}

impl Attack {
    /// What comes of it under a setting.
    pub fn expected(&self, setting: Setting) -> Vec<Outcome> {
        match setting {
            _ if self.no_grant => vec![NoGrant],
            Setting::To(_) => self.own.clone(),
            Setting::Never => vec![Unset],
            Setting::ToNothing => vec![Empty],
        }
    }
}

/// What the catalogue says of a table.
pub struct Table {
    pub name: String,
    /// Columns that can be written.
    columns: Vec<String>,
    /// The columns of the primary key.
    key: Vec<String>,
    /// Columns that the role may update.
    updatable: Vec<String>,
    deletes: bool,
    inserts: bool,
    /// Foreign keys to other companies' tables: the columns besides the company, and the table they point to.
    parents: Vec<(Vec<String>, String, Vec<String>)>,
    /// Columns of unique keys that are texts or hashes, and so can be made different.
    unique_texts: Vec<String>,
    /// A row of each company, by its id; and how many there are.
    rows: BTreeMap<String, (Value, u64)>,
    /// A row of each company that refers to a parent, by company and first column.
    children: BTreeMap<(String, String), Value>,
    /// The ids of a parent's row, by company and table.
    ids: BTreeMap<(String, String), Value>,
}

impl Table {
    /// Every way to touch a row of `them`, while `us` is set.
    pub fn attacks(&self, us: &Company, them: &Company) -> Vec<Attack> {
        let (name, theirs) = (&self.name, format!("company_id = '{}'", them.id));
        let mut attacks = Vec::new();
        let mut add = |what, sql: String, own: Vec<Outcome>, granted: bool| {
            attacks.push(Attack { what, sql, own, no_grant: !granted });
        };
        add("select", format!("select * from {name} where {theirs}"), vec![Rows(0)], true);
        let not_ours = format!("select * from {name} where company_id <> '{}'", us.id);
        add("select all others", not_ours, vec![Rows(0)], true);

        let row = |row: &Value| literal(row);
        let columns = self.columns.join(", ");
        let their_row = row(&self.rows[&them.id].0);
        let their_new = row(&self.fresh(&self.rows[&them.id].0));
        let from = |row: &str| format!("select {columns} from jsonb_populate_record(null::{name}, {row}) r");
        let insert = |row: &str| format!("insert into {name} ({columns}) {}", from(row));
        add("insert a row of theirs again", insert(&their_row), vec![Policy], self.inserts);
        add("insert a new row for them", insert(&their_new), vec![Policy], self.inserts);
        add("insert returning", format!("{} returning *", insert(&their_new)), vec![Policy], self.inserts);
        let returning = |sql: &str| format!("with did as ({sql} returning *) select * from did");
        add("insert in a CTE", returning(&insert(&their_new)), vec![Policy], self.inserts);
        let nothing = format!("{} on conflict do nothing", insert(&their_row));
        add("insert on conflict do nothing", nothing, vec![Policy], self.inserts);

        let move_out = format!("update {name} set company_id = '{}' where company_id = '{}'", them.id, us.id);
        add("move a row to them", move_out, vec![], false);
        let move_in = format!("update {name} set company_id = '{}' where {theirs}", us.id);
        add("take a row of theirs", move_in, vec![], false);

        let key = self.key.join(", ");
        let column = self.updatable.first().unwrap_or(&self.key[0]);
        let updates = !self.updatable.is_empty();
        let update = format!("update {name} set {column} = {column} where {theirs}");
        add("update", update.clone(), vec![Rows(0)], updates);
        add("update in a CTE", returning(&update), vec![Rows(0)], updates);
        let joined = format!("update {name} t set {column} = o.{column} from {name} o where o.{theirs}");
        add("update from a row of theirs", joined, vec![Rows(0)], updates);
        let on_conflict = |row: &str| {
            format!("{} on conflict ({key}) do update set {column} = excluded.{column}", insert(row))
        };
        add("on conflict do update", on_conflict(&their_row), vec![Policy], self.inserts && updates);
        add("on conflict do update, new", on_conflict(&their_new), vec![Policy], self.inserts && updates);

        let delete = format!("delete from {name} where {theirs}");
        add("delete", delete.clone(), vec![Rows(0)], self.deletes);
        add("delete in a CTE", returning(&delete), vec![Rows(0)], self.deletes);

        let on: Vec<String> = self.key.iter().map(|column| format!("t.{column} = r.{column}")).collect();
        let merge = |then: String| {
            let source = format!("jsonb_populate_record(null::{name}, {their_row})");
            format!("merge into {name} t using {source} r on {} {then}", on.join(" and "))
        };
        let merge_update = merge(format!("when matched then update set {column} = r.{column}"));
        add("merge, update", merge_update, vec![Rows(0)], updates);
        add("merge, delete", merge("when matched then delete".to_owned()), vec![Rows(0)], self.deletes);
        let values: Vec<String> = self.columns.iter().map(|column| format!("r.{column}")).collect();
        let values = format!("when not matched then insert ({columns}) values ({})", values.join(", "));
        add("merge, insert", merge(values), vec![Policy], self.inserts);

        for (here, parent, there) in &self.parents {
            let Some(child) = self.children.get(&(us.id.clone(), here[0].clone())) else { continue };
            // A name that both have is one's own wherever it is written: nothing of theirs is in it.
            let named = |company: &Company| {
                let row = &self.ids[&(company.id.clone(), parent.clone())];
                there.iter().map(|column| row[column].clone()).collect::<Vec<_>>()
            };
            let shared = |names: Vec<Value>| {
                names
                    .iter()
                    .all(|name| name.as_str().is_some_and(|name| uuid::Uuid::parse_str(name).is_err()))
            };
            if shared(named(them)) {
                continue;
            }
            let mut child = self.fresh(child);
            for (column, theirs) in here.iter().zip(there) {
                child[column] = self.ids[&(them.id.clone(), parent.clone())][theirs].clone();
            }
            add("attach a new row to theirs", insert(&row(&child)), vec![NoParent], self.inserts);
            if self.updatable.contains(&here[0]) {
                let id = literal(&child[&here[0]]);
                let attach = format!("update {name} set {} = ({id} #>> '{{}}')::uuid", here[0]);
                add("attach our rows to theirs", attach, vec![NoParent], true);
            }
        }
        attacks
    }

    /// The same kinds of statement on our own rows work, or the attacks would be refused for another reason.
    pub fn controls(&self, us: &Company) -> Vec<Attack> {
        let (name, (row, count)) = (&self.name, &self.rows[&us.id]);
        let columns = self.columns.join(", ");
        let mut controls = vec![Attack {
            what: "control: select without a filter",
            sql: format!("select * from {name}"),
            own: vec![Rows(*count)],
            no_grant: false,
        }];
        if let Some(column) = self.updatable.first() {
            controls.push(Attack {
                what: "control: update without a filter",
                sql: format!("update {name} set {column} = {column}"),
                own: vec![Rows(*count)],
                no_grant: false,
            });
        }
        controls.push(Attack {
            what: "control: insert a row of ours",
            sql: format!(
                "insert into {name} ({columns}) select {columns} from jsonb_populate_record(null::{name}, {}) r",
                literal(&self.fresh(row))
            ),
            // One row a company, one default agent, one answer a message: then the key is reached, and taken.
            own: vec![Rows(1), Taken, NoParent],
            no_grant: !self.inserts,
        });
        controls
    }

    /// The row under new ids and short names.
    fn fresh(&self, row: &Value) -> Value {
        let mut row = row.clone();
        let parent = |column: &String| self.parents.iter().any(|(here, ..)| here.contains(column));
        for column in self.key.iter().filter(|column| *column != "company_id" && !parent(column)) {
            if row[column].as_str().is_some_and(|text| uuid::Uuid::try_parse(text).is_ok()) {
                row[column] = uuid::Uuid::new_v4().to_string().into();
            }
        }
        for column in &self.unique_texts {
            let random = uuid::Uuid::new_v4().simple().to_string();
            match row[column].as_str() {
                // Bytes, of which a hash has 32.
                Some(text) if text.starts_with("\\x") => row[column] = format!("\\x{random}{random}").into(),
                Some(text) => row[column] = format!("{text}-{}", &random[..8]).into(),
                None => {}
            }
        }
        row
    }
}

/// The value as a jsonb literal of SQL.
fn literal(value: &Value) -> String {
    format!("'{}'::jsonb", value.to_string().replace('\'', "''"))
}

/// Every table with companies' data; each must have a row of either company.
pub async fn tables(a: &Company, b: &Company) -> Vec<Table> {
    let mut tables = Vec::new();
    for name in a.tables().await {
        tables.push(table(&name, a, b).await);
    }
    tables
}

/// Asks the catalogue and the schema's owner.
async fn table(name: &str, a: &Company, b: &Company) -> Table {
    let list = async |sql: &str| -> Vec<String> {
        let rows = a.rows(&sql.replace("TABLE", &format!("'public.{name}'::regclass"))).await;
        rows.iter().map(|row| row.get(0)).collect()
    };
    let columns = list(
        "select attname::text from pg_attribute
         where attrelid = TABLE and attnum > 0 and not attisdropped and attgenerated = '' and $1::text is not null
         order by attnum",
    )
    .await;
    let key = list(
        "select a.attname::text from pg_index i, unnest(i.indkey) with ordinality k(n, at)
         join pg_attribute a on a.attnum = k.n
         where i.indrelid = TABLE and a.attrelid = TABLE and i.indisprimary and $1::text is not null
         order by k.at",
    )
    .await;
    let updatable = list(
        "select attname::text from pg_attribute
         where attrelid = TABLE and attnum > 0 and not attisdropped and $1::text is not null
           and has_column_privilege('bulkhead_runtime', TABLE, attname, 'update')
         order by attnum",
    )
    .await;
    let unique_texts = list(
        "select distinct a.attname::text from pg_index i, pg_attribute a
         where i.indrelid = TABLE and i.indisunique and a.attrelid = TABLE and a.attnum = any(i.indkey)
           and a.atttypid in ('text'::regtype, 'bytea'::regtype) and $1::text is not null
           -- A word of a fixed list cannot be made another.
           and not exists (select from pg_constraint c where c.conrelid = TABLE and c.contype = 'c'
                           and c.conkey = array[a.attnum] and pg_get_constraintdef(c.oid) like '%ARRAY[%')
         union
         -- What a unique key is generated from.
         select a.attname::text
         from pg_index i
         join pg_attribute g on g.attrelid = i.indrelid and g.attnum = any(i.indkey) and g.attgenerated <> ''
         join pg_attrdef d on d.adrelid = g.attrelid and d.adnum = g.attnum
         join pg_depend p on p.classid = 'pg_attrdef'::regclass and p.objid = d.oid and p.refobjid = g.attrelid
         join pg_attribute a on a.attrelid = g.attrelid and a.attnum = p.refobjsubid and a.atttypid = 'text'::regtype
         where i.indrelid = TABLE and i.indisunique and $1::text is not null",
    )
    .await;
    let may = async |right: &str| {
        let sql = format!(
            "select 1::text from (select 1) x where has_table_privilege('bulkhead_runtime', TABLE, '{right}') and $1::text is not null"
        );
        !list(&sql).await.is_empty()
    };
    let (inserts, deletes) = (may("insert").await, may("delete").await);
    let parents = a
        .rows(&format!(
            "select array_agg(h.attname::text order by p.at), k.confrelid::regclass::text, array_agg(t.attname::text order by p.at)
             from pg_constraint k, unnest(k.conkey, k.confkey) with ordinality p(here, there, at), pg_attribute h, pg_attribute t
             where k.conrelid = 'public.{name}'::regclass and k.contype = 'f'
               and h.attrelid = k.conrelid and h.attnum = p.here and h.attname <> 'company_id'
               and t.attrelid = k.confrelid and t.attnum = p.there
               and exists (select from pg_attribute c where c.attrelid = k.confrelid and c.attname = 'company_id')
               and $1::text is not null
             group by k.oid, k.confrelid"
        ))
        .await
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect::<Vec<(Vec<String>, String, Vec<String>)>>();
    let (mut rows, mut children, mut ids) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for company in [a, b] {
        let found = company.rows(&one(name, "true")).await;
        let row = found
            .first()
            .unwrap_or_else(|| panic!("{name} has no row of this company: Company::furnish lacks one"));
        let count =
            company.rows(&format!("select from {name} where company_id = $1::text::uuid")).await.len();
        rows.insert(company.id.clone(), (row.get::<_, Value>(0), u64::try_from(count).unwrap()));
        for (here, parent, _) in &parents {
            // The row with the fewest other references: those could be refused first.
            if let Some(row) = company.rows(&one(name, &format!("{} is not null", here[0]))).await.first() {
                children.insert((company.id.clone(), here[0].clone()), row.get(0));
            }
            let row = company.rows(&one(parent, "true")).await;
            ids.insert((company.id.clone(), parent.clone()), row[0].get(0));
        }
    }
    let name = name.to_owned();
    Table { name, columns, key, updatable, deletes, inserts, parents, unique_texts, rows, children, ids }
}

/// Reads one row of a company's, as JSON; the emptiest first.
fn one(table: &str, which: &str) -> String {
    format!(
        "select to_jsonb(t) from {table} t where company_id = $1::text::uuid and {which}
         order by (select count(*) from jsonb_each(to_jsonb(t)) e where e.value <> 'null') limit 1"
    )
}
