//! Spelling of what customers read: words that are often misspelt, names of the trade as its glossary writes them, prices.
//! It knows no dictionary: an unlisted word is taken for right.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use super::Source;
use super::findings::Problem;
use super::format::Template;
use super::price::is_amount;

/// Reads the file line by line, so that each problem has its own line.
pub fn spelling(source: &Source, template: &Template) -> Vec<Problem> {
    let names = names(template);
    let mut problems = Vec::new();
    let mut customers_words = false;
    for (line, text) in (1..).zip(source.text.lines()) {
        if text.starts_with('[') {
            // Customers word goldens, and misspell them on purpose.
            customers_words = text.starts_with("[[goldens]]");
        }
        if customers_words || text.starts_with('#') || is_not_read(text) {
            continue;
        }
        for text in wrong(text, &names) {
            problems.push(Problem { path: source.path.clone(), line: Some(line), text });
        }
    }
    problems
}

/// Whether the line is a key whose value nobody reads as it stands: short names, and words that customers type.
fn is_not_read(line: &str) -> bool {
    let Some((key, _)) = line.split_once(" = ") else { return false };
    matches!(
        key,
        "keywords" | "synonyms" | "words" | "slug" | "category" | "entry" | "agent" | "message" | "color"
    )
}

/// The glossary's terms that have one spelling only, by their letters and digits: those with a digit or a capital inside, as
/// in `R-410A` or `GFCI`. Of others a hyphen may come and go with the grammar: one walks in, into a walk-in.
fn names(template: &Template) -> BTreeMap<String, &str> {
    let one_spelling = |term: &&str| {
        let inside = term.chars().skip(1);
        !term.contains(' ') && inside.clone().any(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
    };
    let terms = template.terms.iter().map(|row| row.as_ref().term.as_str()).filter(one_spelling);
    terms.map(|term| (bare(term), term)).collect()
}

/// What is wrong with a line.
fn wrong(line: &str, names: &BTreeMap<String, &str>) -> Vec<String> {
    let mut wrong = Vec::new();
    let of_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '\'' | '’');
    for word in line.split(|c: char| !of_word(c)) {
        let word = word.trim_matches(['-', '\'', '’']);
        let lower = word.to_lowercase();
        if let Some(right) = RIGHT.get(lower.as_str()) {
            wrong.push(format!("`{word}` is misspelt; write `{right}`"));
        }
        // The plural of a name is spelt as the name.
        let single = word.strip_suffix("'s").or_else(|| word.strip_suffix('s')).unwrap_or(word);
        if let Some(name) = names.get(&bare(word)).or_else(|| names.get(&bare(single)))
            && word != *name
            && single != *name
        {
            wrong.push(format!("`{word}` is `{name}` in the glossary; write it alike"));
        }
    }
    for (at, _) in line.match_indices('$') {
        let rest = line.get(at..).unwrap_or_default();
        let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '$' | ',' | '.')));
        let amount = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default().trim_end_matches([',', '.']);
        if !is_amount(amount) {
            wrong.push(format!("price `{amount}`: write $89, $1,200 or $12.50"));
        }
    }
    wrong
}

/// Letters and digits alone, in lower case.
fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The list as a map: every word of every template is looked up in it.
static RIGHT: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| MISSPELT.iter().copied().collect());

/// What people often write, and what they mean.
const MISSPELT: &[(&str, &str)] = &[
    ("accomodate", "accommodate"),
    ("accross", "across"),
    ("acheive", "achieve"),
    ("acomodate", "accommodate"),
    ("adress", "address"),
    ("alot", "a lot"),
    ("alright", "all right"),
    ("anual", "annual"),
    ("apparant", "apparent"),
    ("appartment", "apartment"),
    ("appologise", "apologize"),
    ("apointment", "appointment"),
    ("appoinment", "appointment"),
    ("arrangment", "arrangement"),
    ("attendence", "attendance"),
    ("availible", "available"),
    ("basicly", "basically"),
    ("becuase", "because"),
    ("begining", "beginning"),
    ("beleive", "believe"),
    ("benifit", "benefit"),
    ("bussiness", "business"),
    ("calender", "calendar"),
    ("cancelation", "cancellation"),
    ("catagory", "category"),
    ("ceiing", "ceiling"),
    ("certian", "certain"),
    ("cieling", "ceiling"),
    ("commited", "committed"),
    ("comming", "coming"),
    ("commitee", "committee"),
    ("completly", "completely"),
    ("concious", "conscious"),
    ("definately", "definitely"),
    ("definatly", "definitely"),
    ("dependant", "dependent"),
    ("desparate", "desperate"),
    ("diffrent", "different"),
    ("dilemna", "dilemma"),
    ("dissapear", "disappear"),
    ("dissapoint", "disappoint"),
    ("embarass", "embarrass"),
    ("enviroment", "environment"),
    ("equiptment", "equipment"),
    ("estimatation", "estimate"),
    ("excercise", "exercise"),
    ("existance", "existence"),
    ("experiance", "experience"),
    ("explaination", "explanation"),
    ("familar", "familiar"),
    ("fawcet", "faucet"),
    ("finaly", "finally"),
    ("flourescent", "fluorescent"),
    ("foriegn", "foreign"),
    ("fourty", "forty"),
    ("freind", "friend"),
    ("garantee", "guarantee"),
    ("gaurantee", "guarantee"),
    ("goverment", "government"),
    ("grammer", "grammar"),
    ("gratefull", "grateful"),
    ("guage", "gauge"),
    ("guarentee", "guarantee"),
    ("happend", "happened"),
    ("harrass", "harass"),
    ("heigth", "height"),
    ("hygeine", "hygiene"),
    ("imediately", "immediately"),
    ("immediatly", "immediately"),
    ("incidently", "incidentally"),
    ("independant", "independent"),
    ("inital", "initial"),
    ("insurence", "insurance"),
    ("intrest", "interest"),
    ("jewelery", "jewelry"),
    ("knowlege", "knowledge"),
    ("labratory", "laboratory"),
    ("leasure", "leisure"),
    ("lenght", "length"),
    ("liason", "liaison"),
    ("libary", "library"),
    ("lisence", "license"),
    ("maintainance", "maintenance"),
    ("maintenence", "maintenance"),
    ("managment", "management"),
    ("medecine", "medicine"),
    ("millenium", "millennium"),
    ("miniture", "miniature"),
    ("mischievious", "mischievous"),
    ("mispell", "misspell"),
    ("morgage", "mortgage"),
    ("neccessary", "necessary"),
    ("necesary", "necessary"),
    ("neighbour", "neighbor"),
    ("noticable", "noticeable"),
    ("occassion", "occasion"),
    ("occured", "occurred"),
    ("occurence", "occurrence"),
    ("occuring", "occurring"),
    ("ommit", "omit"),
    ("oppurtunity", "opportunity"),
    ("paralell", "parallel"),
    ("parrallel", "parallel"),
    ("particulary", "particularly"),
    ("payed", "paid"),
    ("peice", "piece"),
    ("perscription", "prescription"),
    ("persistant", "persistent"),
    ("plummer", "plumber"),
    ("posession", "possession"),
    ("prefered", "preferred"),
    ("priviledge", "privilege"),
    ("probaly", "probably"),
    ("proffesional", "professional"),
    ("profesional", "professional"),
    ("publically", "publicly"),
    ("quarentine", "quarantine"),
    ("questionaire", "questionnaire"),
    ("reccomend", "recommend"),
    ("recieve", "receive"),
    ("recieved", "received"),
    ("reciept", "receipt"),
    ("recomend", "recommend"),
    ("refered", "referred"),
    ("referal", "referral"),
    ("relevent", "relevant"),
    ("religous", "religious"),
    ("repitition", "repetition"),
    ("restaraunt", "restaurant"),
    ("rythm", "rhythm"),
    ("saftey", "safety"),
    ("schedual", "schedule"),
    ("scedule", "schedule"),
    ("seperate", "separate"),
    ("seperately", "separately"),
    ("sherrif", "sheriff"),
    ("shold", "should"),
    ("similiar", "similar"),
    ("sincerly", "sincerely"),
    ("speach", "speech"),
    ("strenght", "strength"),
    ("succesful", "successful"),
    ("successfull", "successful"),
    ("supercede", "supersede"),
    ("suprise", "surprise"),
    ("survivers", "survivors"),
    ("temperture", "temperature"),
    ("tommorow", "tomorrow"),
    ("tommorrow", "tomorrow"),
    ("truely", "truly"),
    ("unforseen", "unforeseen"),
    ("unfortunatly", "unfortunately"),
    ("untill", "until"),
    ("usefull", "useful"),
    ("vaccum", "vacuum"),
    ("vacumn", "vacuum"),
    ("vehical", "vehicle"),
    ("visable", "visible"),
    ("wether", "whether"),
    ("wich", "which"),
    ("writting", "writing"),
    ("yeild", "yield"),
    // Spelt as in Britain; templates are in American English.
    ("colour", "color"),
    ("favourite", "favorite"),
    ("labour", "labor"),
    ("centre", "center"),
    ("metre", "meter"),
    ("cheque", "check"),
    ("tyre", "tire"),
    ("tyres", "tires"),
    ("kerb", "curb"),
    ("grey", "gray"),
    ("organise", "organize"),
    ("recognise", "recognize"),
    ("licence", "license"),
    ("licences", "licenses"),
    ("fulfil", "fulfill"),
    ("enrol", "enroll"),
    ("mould", "mold"),
    ("plough", "plow"),
    ("jewellery", "jewelry"),
    ("travelled", "traveled"),
    ("cancelled", "canceled"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_names_and_prices() {
        let names: BTreeMap<String, &str> =
            ["R-410A", "GFCI", "P-trap"].into_iter().map(|name| (bare(name), name)).collect();
        let right = |line: &str| assert_eq!(wrong(line, &names), Vec::<String>::new(), "{line}");
        let bad = |line: &str, told: &str| {
            let wrong = wrong(line, &names);
            assert!(wrong.iter().any(|text| text.contains(told)), "{line}: {wrong:?}");
        };
        right(
            "We recharge R-410A, check each GFCI (all GFCIs) and the P-trap. It's $1,200 to $2,400.50, or $9.",
        );
        bad("we recharge R410A", "`R410A` is `R-410A`");
        bad("a gfci outlet", "`gfci` is `GFCI`");
        bad("two gfcis", "`gfcis` is `GFCI`");
        bad("You recieve a reciept.", "`reciept` is misspelt; write `receipt`");
        bad("Definately!", "write `definitely`");
        bad("about $1,20 more", "price `$1,20`");
        bad("only $ today", "price `$`");
        bad("é costs $1200,000", "price `$1200,000`");
    }
}
