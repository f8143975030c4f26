//! All keys of a load file: the one source of what the reader accepts and of the JSON Schema.

use super::keys::{ID, STEP_ID};
use super::shape::{Form, Free, Group, Names, Shape, Table, may, must};

static LABEL: Form = Form::new("a label: lower-case letters, digits and `-`", "burst", r"^[a-z0-9]+(-[a-z0-9]+)*$");
static LEVEL: Form = Form::new("a rate or a number of users", "20", r"^[0-9]+(\.[0-9]+)?(/[smh])?$");
static RANGE: Form = Form::new(
    "a range of rates or of numbers of users",
    "1..20",
    r"^[0-9]+(\.[0-9]+)?(/[smh])?\.\.[0-9]+(\.[0-9]+)?(/[smh])?$",
);
static LIMIT: Form = Form::new("a limit", "800ms", r"^[0-9]+(\.[0-9]+)? ?(us|µs|ms|s|m|%|/s|/m|/h)?$");
static PERCENT: Form = Form::new("a percentage", "20%", r"^[0-9]+(\.[0-9]+)? ?%$");
static PRICE: Form = Form::new("a price with at most 9 decimals", "1.50", r"^[0-9]+(\.[0-9]{1,9})?$");
static CLASS: Form = Form::new("a failure class", "http_429", r"^[a-z0-9]+([_-][a-z0-9]+)*$");
/// Codes of currencies, as servers write them in `usage.currency`.
pub(crate) static CURRENCY: Form = Form::new("a currency", "USD", r"^[A-Z]{3}$");

static COUNT: Shape = Shape::Whole(1, u64::MAX);
static IN_FLIGHT: Shape = Shape::Whole(1, 1_000_000);
static OBJECTIVE: Shape = Shape::ScalarOrMap(&Shape::Line, &Shape::Map(&SLO));

/// The whole file.
pub(crate) static LOAD: Table = Table {
    name: "a load",
    doc: "A difyprobe load: which scenarios are run, when, and what must hold.",
    keys: &[
        must("difyprobe-load", &Shape::Version, "Version of the file format: 1."),
        must("id", &Shape::Word(&ID), "Dotted lower-case id; names the folder of results."),
        may("title", &Shape::Line, "One line for people."),
        may("seed", &Shape::Whole(0, u64::MAX), "Seed of the schedule and of all data; default a new one each time."),
        must(
            "scenarios",
            &Shape::List(&Shape::ScalarOrMap(&Shape::Line, &Shape::Map(&SHARE)), 1),
            "The scenarios with their shares; a text alone is a `use`.",
        ),
        must("arrival", &Shape::Map(&ARRIVAL), "When scenarios begin."),
        may("slo", &Shape::OneOrMore(&OBJECTIVE), "What the server must hold: exit 5 if it does not."),
        may(
            "validity",
            &Shape::List(&OBJECTIVE, 0),
            "What the generator itself must hold: exit 4 if it does not. Replaces the built-in conditions.",
        ),
        may(
            "stop-when",
            &Shape::OneOrMore(&Shape::ScalarOrMap(&Shape::Line, &Shape::Map(&STOP))),
            "Ends the run early.",
        ),
        may("budget", &Shape::Map(&BUDGET), "Ends the run when this much is used up."),
        may("requests", &COUNT, "No scenario begins after this many generation requests."),
        may("drain", &Shape::Time, "How long scenarios may go on after the end; default `30s`."),
        may("think", &Shape::Choice(&["as-written", "none"]), "Think times of the scenarios; default `as-written`."),
    ],
    groups: &[],
};

static SHARE: Table = Table {
    name: "a share",
    doc: "One scenario and how often it is run.",
    keys: &[
        must("use", &Shape::Line, "Id of a scenario, or path of a scenario file seen from the load file."),
        may("weight", &Shape::Whole(1, 10_000), "Share of the arrivals, relative to the others; default 1."),
    ],
    groups: &[],
};

static ARRIVAL: Table = Table {
    name: "an arrival",
    doc: "When scenarios begin; exactly one of the models.",
    keys: &[
        may("open", &Shape::Map(&OPEN), "By a schedule that does not wait for answers."),
        may("closed", &Shape::Map(&CLOSED), "By users, each beginning the next scenario when one is done."),
        may("replay", &Shape::Map(&REPLAY), "At recorded times."),
    ],
    groups: &[Group::One(&["open", "closed", "replay"])],
};

static OPEN: Table = Table {
    name: "an open arrival",
    doc: "Scenarios begin by a schedule that does not wait for answers.",
    keys: &[
        may("process", &Shape::Choice(&["constant", "poisson"]), "Even or random gaps; default `constant`."),
        may(
            "unit",
            &Shape::Choice(&["conversations-per-second"]),
            "What levels count; an arrival is a whole scenario, not one request.",
        ),
        must("stages", &Shape::List(&Shape::Map(&STAGE), 1), "Arrivals per second, one stage after the other."),
        may(
            "max-in-flight",
            &IN_FLIGHT,
            "Scenarios under way at the same time; arrivals beyond are dropped and counted. Default: those of a minute, 100 to 10,000.",
        ),
    ],
    groups: &[],
};

static CLOSED: Table = Table {
    name: "a closed arrival",
    doc: "Users, each beginning the next scenario when one is done.",
    keys: &[
        may("users", &Shape::Whole(1, 1_000_000), "Number of users."),
        may("for", &Shape::Limit, "How long `users` go on."),
        may("stages", &Shape::List(&Shape::Map(&STAGE), 1), "Number of users, one stage after the other."),
        may("iterations", &Shape::Whole(1, u32::MAX as u64), "Scenarios that each user runs."),
    ],
    groups: &[Group::One(&["users", "stages"]), Group::AtMostOne(&["for", "stages"])],
};

static REPLAY: Table = Table {
    name: "a replay",
    doc: "Scenarios begin at recorded times.",
    keys: &[
        must("file", &Shape::Line, "One time in seconds per line, or in the first column; seen from the load file."),
        may("max-in-flight", &IN_FLIGHT, "As of `open`."),
    ],
    groups: &[],
};

static STAGE: Table = Table {
    name: "a stage",
    doc: "A part of the load with one label.",
    keys: &[
        may(
            "ramp",
            &Shape::ScalarOrMap(&Shape::Word(&RANGE), &Shape::Map(&RAMP)),
            "The level moves in a straight line: `1..20`, or `from` and `to`.",
        ),
        may("hold", &Shape::Amount(&LEVEL), "The level stays: `20`, `0.5`, `300/m`."),
        may("step", &Shape::Amount(&LEVEL), "The level jumps to this one and stays."),
        must("for", &Shape::Limit, "How long."),
        may("label", &Shape::Word(&LABEL), "Name in reports; default what it does (`ramp`, `hold`, `step`), numbered."),
        may("measure", &Shape::Flag, "Whether its requests enter the results; default true."),
    ],
    groups: &[Group::One(&["ramp", "hold", "step"])],
};

static RAMP: Table = Table {
    name: "a ramp",
    doc: "From one level to another.",
    keys: &[
        may(
            "from",
            &Shape::Amount(&LEVEL),
            "Level at the begin; default that at the end of the stage before, at first 0.",
        ),
        must("to", &Shape::Amount(&LEVEL), "Level at the end."),
    ],
    groups: &[],
};

static SLO: Table = Table {
    name: "an objective",
    doc: "What a metric must hold. The same as one line: `ttft p(95) < 800ms {in: hold}`.",
    keys: &[
        must("metric", &Shape::Line, "Name of a metric."),
        may("stat", &Shape::Line, "Percentile (`p95`), `mean`, `min` or `max`; for times."),
        may("class", &Shape::Word(&CLASS), "Failures of this class alone; for `error-rate`."),
        may("max", &Shape::Amount(&LIMIT), "Highest value that is good."),
        may("min", &Shape::Amount(&LIMIT), "Lowest value that is good."),
        may("scenario", &Shape::Word(&ID), "Of this scenario alone."),
        may("step", &Shape::Word(&STEP_ID), "Of this step alone."),
        may("turn", &Shape::Choice(&["first", "later"]), "Of first or of later turns of conversations alone."),
        may("in", &Shape::OneOrMore(&Shape::Word(&LABEL)), "In these stages alone, taken together."),
        may("abort", &Shape::Flag, "Ends the run as soon as it is missed."),
        may("advisory", &Shape::Flag, "Shown, but never red."),
        may("grace", &Shape::Time, "Not looked at for this long after the begin of the measured time."),
    ],
    groups: &[Group::One(&["max", "min"])],
};

static STOP: Table = Table {
    name: "a stop condition",
    doc: "Ends the run early. The same as one line: `error-rate > 20% for 10s`.",
    keys: &[must("error-rate", &Shape::Map(&OVER), "Failed requests / all requests.")],
    groups: &[],
};

static OVER: Table = Table {
    name: "an error rate",
    doc: "A share over a time.",
    keys: &[
        must("over", &Shape::Amount(&PERCENT), "The share that is too much."),
        must("for", &Shape::Limit, "Length of the sliding window that it is taken over."),
    ],
    groups: &[],
};

static BUDGET: Table = Table {
    name: "a budget",
    doc: "What a run may use up.",
    keys: &[
        may("tokens", &COUNT, "Completion tokens, as the server counts them."),
        may(
            "cost",
            &Shape::Free(&Free { names: Names::Currencies, of: &Shape::Amount(&PRICE), single: false }),
            "Price by currency, as the server states it.",
        ),
    ],
    groups: &[Group::Some(&["tokens", "cost"])],
};

/// All tables, for hints about keys in the wrong place and for the JSON Schema.
pub(crate) static LOAD_TABLES: &[&Table] =
    &[&LOAD, &SHARE, &ARRIVAL, &OPEN, &CLOSED, &REPLAY, &STAGE, &RAMP, &SLO, &STOP, &OVER, &BUDGET];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_described_and_groups_name_only_keys_of_their_table() {
        for table in LOAD_TABLES {
            for key in table.keys {
                assert!(key.doc.ends_with('.'), "{} {}", table.name, key.name);
                assert_eq!(table.keys.iter().filter(|k| k.name == key.name).count(), 1, "{} {}", table.name, key.name);
            }
            for group in table.groups {
                let (Group::One(names) | Group::AtMostOne(names) | Group::Some(names)) = group;
                names.iter().for_each(|n| assert!(table.key(n).is_some(), "{} {n}", table.name));
            }
        }
    }

    #[test]
    fn forms_accept_their_own_examples_and_no_blank() {
        for form in [&LABEL, &LEVEL, &RANGE, &LIMIT, &PERCENT, &PRICE, &CLASS, &CURRENCY] {
            assert!(form.fits(form.example), "{}", form.pattern);
            assert!(!form.fits("a b") && !form.fits("") && !form.fits("-1"), "{}", form.pattern);
        }
    }
}
