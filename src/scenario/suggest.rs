//! "Did you mean": the closest of some words.

/// The candidate closest to `word`, if one is close enough to be a slip of the pen.
///
/// Upper case and `_` for `-` do not count as differences.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = normal(word);
    let limit = (plain.len() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|c| (difference(&plain, &normal(c)), c))
        .filter(|(d, _)| *d <= limit && *d < plain.len())
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// ``did you mean `x`?``, or else the choices.
pub(crate) fn help(word: &str, candidates: &[&str]) -> String {
    match closest(word, candidates.iter().copied()) {
        Some(found) => format!("did you mean `{found}`?"),
        None if candidates.is_empty() => String::new(),
        None => format!("possible here: {}", candidates.join(", ")),
    }
}

/// The distance; the beginning of a word is as good as a word with one slip.
fn difference(word: &[char], candidate: &[char]) -> usize {
    let distance = distance(word, candidate);
    if word.len() >= 3 && candidate.starts_with(word) { distance.min(1) } else { distance }
}

fn normal(word: &str) -> Vec<char> {
    word.chars().take(80).flat_map(char::to_lowercase).map(|c| if c == '_' { '-' } else { c }).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let get = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let mut best = (get(&last, j) + usize::from(x != y)).min(get(&last, j + 1) + 1).min(get(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(get(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let keys = ["query", "conversation", "inputs", "after-events"];
        assert_eq!(closest("quary", keys), Some("query"));
        assert_eq!(closest("qurey", keys), Some("query"));
        assert_eq!(closest("conversation_id", keys), Some("conversation"));
        assert_eq!(closest("after_events", keys), Some("after-events"));
        assert_eq!(closest("message", keys), None);
        assert_eq!(closest("conv", keys), Some("conversation"));
        assert_eq!(closest("", keys), None);
        assert_eq!(closest("b", ["a", "c"]), None);
    }

    #[test]
    fn distance_counts_single_edits() {
        let d = |a: &str, b: &str| distance(&normal(a), &normal(b));
        assert_eq!(
            (d("abc", "abc"), d("abc", "acb"), d("abc", "ab"), d("", "abc"), d("kitten", "sitting")),
            (0, 1, 1, 3, 3)
        );
    }
}
