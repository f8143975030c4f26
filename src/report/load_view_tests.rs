use super::*;

fn slo(state: SloState, margin: Option<f64>, advisory: bool) -> SloResult {
    SloResult { state, margin, advisory, ..SloResult::default() }
}

#[test]
fn objectives_that_call_for_attention_come_first() {
    let slos = [
        slo(SloState::Met, Some(0.5), false),
        slo(SloState::Met, Some(0.1), false),
        slo(SloState::Missed, Some(-0.3), true),
        slo(SloState::Unknown, None, false),
        slo(SloState::Missed, Some(-0.2), false),
        slo(SloState::Missed, Some(-0.9), false),
    ];
    let order: Vec<_> = by_weight(&slos).iter().map(|s| (s.state, s.margin)).collect();
    assert_eq!(
        order,
        [
            (SloState::Missed, Some(-0.9)),
            (SloState::Missed, Some(-0.2)),
            (SloState::Unknown, None),
            (SloState::Missed, Some(-0.3)),
            (SloState::Met, Some(0.1)),
            (SloState::Met, Some(0.5)),
        ]
    );
}

#[test]
fn margins_say_on_which_side_of_the_limit_a_value_lies() {
    assert_eq!(margin(&slo(SloState::Met, Some(0.234), false)), "23 % inside");
    assert_eq!(margin(&slo(SloState::Met, Some(0.0), false)), "0.0 % inside");
    assert_eq!(margin(&slo(SloState::Missed, Some(-0.052), false)), "5.2 % beyond");
    assert_eq!(margin(&slo(SloState::Missed, Some(-0.0), false)), "0.0 % beyond");
    assert_eq!(margin(&slo(SloState::Missed, Some(-1.26), false)), "2.3 times the limit");
    assert_eq!(margin(&slo(SloState::Missed, Some(-17.2), false)), "18 times the limit");
    assert_eq!(margin(&slo(SloState::Unknown, None, false)), "");
}

#[test]
fn values_have_three_digits_and_their_unit() {
    let shown = [(1420.3, "ms"), (2.314, "%"), (24.06, "/s"), (37.0, ""), (0.0, "%"), (0.25, "ms"), (f64::NAN, "ms")];
    let shown: Vec<_> = shown.map(|(v, unit)| value(v, unit)).into();
    assert_eq!(shown, ["1420 ms", "2.31 %", "24.1 /s", "37", "0 %", "0.25 ms", "- ms"]);
    let limit_of =
        |limit_value, unit: &str| limit(&SloResult { limit: limit_value, unit: unit.into(), ..SloResult::default() });
    assert_eq!([limit_of(0.5, "%"), limit_of(800.0, "ms"), limit_of(1.0, "%")], ["0.5 %", "800 ms", "1 %"]);
}

#[test]
fn shares_read_as_all_or_nothing_only_where_they_are() {
    let shown: Vec<_> = [0.0, 0.000_01, 0.023, 0.5, 0.999_99, 1.0].map(percent).into();
    assert_eq!(shown, ["0 %", "0.001 %", "2.3 %", "50 %", "99.99 %", "100 %"]);
}

#[test]
fn groups_are_named_by_what_they_are_part_of() {
    let group = GroupResult { scenario: Some("chat".into()), step: Some("ask".into()), ..GroupResult::default() };
    assert_eq!(name(&group), "chat / ask");
    assert_eq!(name(&GroupResult { turn: Some("later".into()), ..GroupResult::default() }), "later turns");
    assert_eq!(name(&GroupResult::default()), "all");
}

#[test]
fn failure_classes_keep_the_order_of_tables_and_add_up() {
    let (a, b) = ("timeout".to_owned(), "connect".to_owned());
    let odd = "new_class".to_owned();
    let seen = classes([(&odd, &1_u64), (&a, &2), (&b, &3), (&a, &4)].into_iter());
    assert_eq!(seen, [("connect".to_owned(), 3), ("timeout".to_owned(), 6), ("new_class".to_owned(), 1)]);
}
