//! How hard a text is to read: Flesch and Kincaid's grade (U.S. Navy, Research Branch Report 8-75, 1975). Syllables are estimated
//! from the spelling; it knows no dictionary.

/// The school grade in which an average pupil can read the text: 8 is plain English for adults.
#[expect(clippy::cast_precision_loss, reason = "counts of words in a text are far below 2^52")]
pub fn grade(text: &str) -> f64 {
    // A price is read as a word, and may end a sentence.
    let words: Vec<&str> =
        text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).collect();
    let ends = |word: &&&str| word.trim_end_matches(['"', ')', '\'']).ends_with(['.', '!', '?', ':', ';']);
    // What follows the last stop is a sentence as well.
    let sentences =
        words.iter().filter(ends).count() + usize::from(words.last().is_some_and(|word| !ends(&word)));
    let syllables: usize = words.iter().map(|word| syllables_of(word)).sum();
    let (words, sentences) = (words.len().max(1) as f64, sentences.max(1) as f64);
    0.39 * words / sentences + 11.8 * syllables as f64 / words - 15.59
}

/// Groups of vowels, without a silent `e` at the end; a word has at least one.
fn syllables_of(word: &str) -> usize {
    let letters: Vec<char> = word.to_lowercase().chars().filter(|c| c.is_alphabetic()).collect();
    let vowel = |c: &char| "aeiouy".contains(*c);
    let groups = letters.iter().enumerate().filter(|(at, c)| {
        vowel(c)
            && at.checked_sub(1).and_then(|before| letters.get(before)).is_none_or(|before| !vowel(before))
    });
    let silent = letters.ends_with(&['e']) && !letters.ends_with(&['l', 'e']);
    (groups.count() - usize::from(silent && letters.iter().any(vowel))).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades() {
        let children = grade("The cat sat on the mat. It was warm. The dog ran to the cat.");
        let adults =
            grade("A plumber comes, finds the cause and tells you the price before any work starts.");
        let lawyers = grade(
            "Notwithstanding any provision to the contrary, indemnification obligations hereunder survive termination of \
             the aforementioned contractual relationship irrespective of jurisdictional considerations.",
        );
        assert!(
            children < 3.0 && children < adults && adults < 9.0 && lawyers > 18.0,
            "{children} {adults} {lawyers}"
        );
        assert!(grade("").is_finite());
    }

    #[test]
    fn syllables() {
        for (word, count) in [
            ("cat", 1),
            ("price", 1),
            ("table", 2),
            ("plumber", 2),
            ("appointment", 3),
            ("the", 1),
            ("24/7", 1),
        ] {
            assert_eq!(syllables_of(word), count, "{word}");
        }
    }
}
