//! The words of the chat's surface, in the languages that it speaks.
//!
//! It never translates what the company itself says.

use serde_json::Value;

use crate::error::Error;

macro_rules! languages {
    ($($lang:literal)*) => { &[$(($lang, include_str!(concat!("../../templates/widget/strings/", $lang, ".json")))),*] };
}

/// Each language (BCP 47) with its strings, JSON. English first: it is what others fall back to.
const LANGUAGES: &[(&str, &str)] =
    languages!["en" "ar" "de" "es" "fr" "he" "it" "ja" "nl" "pl" "pt" "ru" "tr" "uk" "vi" "zh"];

/// The language nearest to a page's, and its strings.
///
/// # Errors
/// [`Error::Internal`] when they are not JSON.
pub fn of(lang: &str) -> Result<(&'static str, Value), Error> {
    let primary = lang.split(['-', '_']).next().unwrap_or("").to_ascii_lowercase();
    let found = LANGUAGES.iter().find(|(lang, _)| *lang == primary).or(LANGUAGES.first());
    let (lang, strings) = found.copied().unwrap_or(("en", "{}"));
    let strings =
        serde_json::from_str(strings).map_err(|error| Error::Internal(format!("strings {lang}: {error}")))?;
    Ok((lang, strings))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a string fills in, sorted.
    fn gaps(text: &str) -> Vec<&str> {
        let mut gaps: Vec<_> = text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        gaps.sort_unstable();
        gaps
    }

    #[test]
    fn every_language_says_all_that_english_says() {
        let (_, english) = of("en").unwrap();
        let english = english.as_object().unwrap();
        for (lang, _) in LANGUAGES {
            let (found, strings) = of(&format!("{}-XX", lang.to_uppercase())).unwrap();
            assert_eq!(found, *lang);
            let strings = strings.as_object().unwrap();
            assert!(strings.keys().eq(english.keys()), "{lang}: {:?}", strings.keys());
            for (key, text) in strings {
                let text = text.as_str().unwrap();
                assert!(!text.is_empty() && text.len() < 200, "{lang}.{key}");
                assert_eq!(gaps(text), gaps(english[key].as_str().unwrap()), "{lang}.{key}");
            }
            let same = strings.iter().filter(|(key, text)| english[*key] == **text).count();
            assert!(*lang == "en" || same <= 2, "{lang}: {same} strings are English");
        }
        assert_eq!(of("tlh").unwrap().0, "en");
        assert_eq!(of("").unwrap().0, "en");
    }
}
