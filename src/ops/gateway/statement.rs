//! Looks at a statement's first words: which command it is, and whether it may be sent at all.
//! It is no parser of SQL and never changes a statement; Postgres alone decides what one means.

/// Commands that would end or fork the request's transaction, outlive the request in the session,
/// or speak another protocol (copy). `prepare` covers `prepare transaction` too.
const REFUSED: [&str; 13] = [
    "ABORT",
    "BEGIN",
    "COMMIT",
    "COPY",
    "DEALLOCATE",
    "END",
    "EXECUTE",
    "LOAD",
    "PREPARE",
    "RELEASE",
    "ROLLBACK",
    "SAVEPOINT",
    "START",
];

/// The command's name if it is one that no request may contain.
///
/// A procedure or `do` block that commits is refused by Postgres itself, since it runs inside a transaction.
pub fn refused(sql: &str) -> Option<&'static str> {
    let word = first_word(skip_blank(sql));
    REFUSED.into_iter().find(|command| word.eq_ignore_ascii_case(command))
}

/// The command as Postgres names it in its completion message: `SELECT`, `INSERT`, `CREATE`, …
pub fn command(sql: &str) -> String {
    let rest = skip_blank(sql).trim_start_matches(['(', ' ', '\n']);
    let word = first_word(rest).to_ascii_uppercase();
    match word.as_str() {
        "WITH" => main_command(rest).to_owned(),
        "VALUES" | "TABLE" => "SELECT".to_owned(),
        _ => word,
    }
}

/// Whether a command's completion message counts rows.
pub fn counts_rows(command: &str) -> bool {
    matches!(command, "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "FETCH" | "MOVE")
}

/// Everything that Postgres's lexer passes over before the first word, an empty statement's `;` among it:
/// `;commit` is one statement to Postgres, and it is a commit.
fn skip_blank(mut sql: &str) -> &str {
    loop {
        sql = sql.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c', ';']);
        if let Some(comment) = sql.strip_prefix("--") {
            sql = comment.split_once(['\n', '\r']).map_or("", |(_, rest)| rest);
        } else if sql.starts_with("/*") {
            sql = skip_comment(sql);
        } else {
            return sql;
        }
    }
}

/// A block comment; they nest in Postgres.
fn skip_comment(mut sql: &str) -> &str {
    let mut depth = 0_usize;
    loop {
        if let Some(rest) = sql.strip_prefix("/*") {
            (depth, sql) = (depth + 1, rest);
        } else if let Some(rest) = sql.strip_prefix("*/") {
            (depth, sql) = (depth - 1, rest);
            if depth == 0 {
                return sql;
            }
        } else {
            let mut chars = sql.chars();
            if chars.next().is_none() {
                return "";
            }
            sql = chars.as_str();
        }
    }
}

fn first_word(sql: &str) -> &str {
    sql.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii())).next().unwrap_or_default()
}

/// The command behind `with … as (…)`: the first verb outside parentheses, strings and comments.
fn main_command(mut sql: &str) -> &'static str {
    let mut depth = 0_usize;
    loop {
        sql = skip_blank(sql);
        let mut chars = sql.chars();
        match chars.next() {
            None => return "SELECT",
            Some(quote @ ('\'' | '"')) => {
                sql = chars.as_str().split_once(quote).map_or("", |(_, rest)| rest);
            }
            Some('(') => (depth, sql) = (depth + 1, chars.as_str()),
            Some(')') => (depth, sql) = (depth.saturating_sub(1), chars.as_str()),
            Some(c) if c.is_alphabetic() || c == '_' => {
                let word = first_word(sql);
                let verb = ["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"]
                    .into_iter()
                    .find(|verb| depth == 0 && word.eq_ignore_ascii_case(verb));
                if let Some(verb) = verb {
                    return verb;
                }
                sql = sql.strip_prefix(word).unwrap_or_default();
            }
            Some(_) => sql = chars.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_control_is_seen_behind_whatever_postgres_skips() {
        for sql in [
            "commit",
            "COMMIT;",
            "  \n\x0c commit",
            ";commit",
            "; ;\t-- a\n/* b /* c */ d */ Commit and chain",
            "--x\rcommit",
            "/**/commit",
            "commit/**/",
            "end",
            "prepare transaction 'x'",
        ] {
            assert!(refused(sql).is_some(), "{sql:?}");
        }
        for sql in
            ["", "select 'commit'", "-- commit", "/* commit", "commits", "set local x = 1", "commit\u{e9}"]
        {
            assert!(refused(sql).is_none(), "{sql:?}");
        }
    }

    #[test]
    fn commands_are_named_as_postgres_names_them() {
        for (sql, name) in [
            ("select 1", "SELECT"),
            ("(select 1) union (select 2)", "SELECT"),
            ("values (1)", "SELECT"),
            ("with a as (delete from t returning 1) select * from a", "SELECT"),
            ("with \"select\" as (select ')') insert into t select 1", "INSERT"),
            ("with a as (select 1) /* select */ update t set x = 1", "UPDATE"),
            ("create table t ()", "CREATE"),
            ("", ""),
        ] {
            assert_eq!(command(sql), name, "{sql:?}");
        }
    }
}
