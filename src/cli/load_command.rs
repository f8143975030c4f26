//! The command line that repeats a load: the one that was typed, without keys, with the seed.

use super::target::key_variable;

/// Shell text of the command line. Keys become names of variables; the seed is added where it was not typed.
pub fn repeat(typed: impl Iterator<Item = String>, seed: u64) -> String {
    let mut words = vec!["difyprobe".to_owned()];
    let mut args = typed.skip(1);
    let mut seeded = false;
    while let Some(word) = args.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), Some(value.to_owned())),
            _ => (word.clone(), None),
        };
        match flag.as_str() {
            "--api-key" => {
                words.push("--api-key $DIFY_API_KEY".to_owned());
                if value.is_none() {
                    args.next();
                }
            }
            "--app" => {
                let value = value.or_else(|| args.next()).unwrap_or_default();
                let mode = value.split_once('=').map_or(value.as_str(), |(mode, _)| mode);
                words.push(format!("--app {mode}=${}", key_variable(mode)));
            }
            _ => {
                seeded |= flag == "--seed";
                words.push(quoted(&word));
            }
        }
    }
    if !seeded {
        words.push(format!("--seed {seed}"));
    }
    words.join(" ")
}

/// A word of a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> String {
        repeat(words.iter().map(|w| (*w).to_owned()), 7)
    }

    #[test]
    fn keys_are_left_out_however_they_were_typed() {
        let text = of(&["/bin/difyprobe", "load", "a.yaml", "--api-key", "app-secret", "--rate", "5"]);
        assert_eq!(text, "difyprobe load a.yaml --api-key $DIFY_API_KEY --rate 5 --seed 7");
        let text = of(&["difyprobe", "load", "--api-key=app-secret", "--app=agent-chat=app-s", "--app", "chat=app-t"]);
        assert_eq!(
            text,
            "difyprobe load --api-key $DIFY_API_KEY --app agent-chat=$DIFY_AGENT_CHAT_KEY --app chat=$DIFY_CHAT_KEY --seed 7"
        );
    }

    #[test]
    fn a_seed_that_was_typed_stays_and_words_are_quoted_for_a_shell() {
        assert_eq!(
            of(&["d", "load", "--seed=3", "--slo", "ttft p(95) < 1s"]),
            "difyprobe load --seed=3 --slo 'ttft p(95) < 1s'"
        );
        assert_eq!(of(&["d", "it's", "--seed", "1"]), r"difyprobe 'it'\''s' --seed 1");
    }
}
