//! Which shard of a load this process is: as typed, else as the launcher around it says.

use super::exit::Failure;
use crate::workload::Shard;

/// Reads environment variables; a closure, so that tests need no real ones.
pub type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

/// The shard, and a note where it was not typed.
///
/// # Errors
/// A shard that is none, or a launcher that does not say how many there are.
pub fn choose(typed: Option<&str>, env: Lookup<'_>) -> Result<(Shard, Option<String>), Failure> {
    if let Some(text) = typed {
        return parse(text).map(|shard| (shard, None)).map_err(|why| Failure::usage(format!("--shard {text}: {why}")));
    }
    let Some((shard, source)) = detect(env)? else { return Ok((Shard::WHOLE, None)) };
    if shard.count == 1 {
        return Ok((Shard::WHOLE, None));
    }
    let note = format!("shard {}/{}, from {source}; `--shard 0/1` runs the whole", shard.index, shard.count);
    Ok((shard, Some(note)))
}

fn parse(text: &str) -> Result<Shard, String> {
    let numbers = text.split_once('/').and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
    match numbers {
        Some((_, 0)) => Err("there must be at least one shard".to_owned()),
        Some((index, count)) if index < count => Ok(Shard { index, count }),
        Some((_, count)) => Err(format!("shards are counted from 0: 0/{count} to {}/{count}", count - 1)),
        None => Err("write I/N, e.g. 0/4 for the first of four".to_owned()),
    }
}

/// What the launcher says, and in which variable.
///
/// Slurm's array tasks and the processes within one (of `srun` or `mpirun`) are counted together. Open MPI comes before
/// `SLURM_PROCID`: where `mpirun` starts its daemons by `srun`, that one numbers the nodes.
fn detect(env: Lookup<'_>) -> Result<Option<(Shard, String)>, Failure> {
    if let Some(index) = number(env, "JOB_COMPLETION_INDEX")? {
        let count = match number(env, "DIFYPROBE_SHARDS")? {
            None => number(env, "JOB_COMPLETIONS")?,
            found => found,
        };
        let count = count.ok_or_else(|| {
            let set = "set DIFYPROBE_SHARDS to the `completions` of the job, or give --shard";
            Failure::usage(format!("JOB_COMPLETION_INDEX is {index}, but not of how many: {set}"))
        })?;
        return checked(index, count, "JOB_COMPLETION_INDEX").map(Some);
    }
    let outer = array(env)?;
    let inner = match pair(env, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")? {
        None => pair(env, "SLURM_PROCID", "SLURM_NTASKS")?,
        found => found,
    };
    match (outer, inner) {
        (None, None) => Ok(None),
        (Some((index, count)), None | Some((_, 1, _))) => checked(index, count, "SLURM_ARRAY_TASK_ID").map(Some),
        (None, Some((index, count, name))) => checked(index, count, name).map(Some),
        (Some((outer, outers)), Some((inner, inners, name))) => {
            let (index, count) = (outer.saturating_mul(inners).saturating_add(inner), outers.saturating_mul(inners));
            checked(index, count, &format!("SLURM_ARRAY_TASK_ID and {name}")).map(Some)
        }
    }
}

/// Place in a Slurm array, whose numbers may begin anywhere and have steps.
fn array(env: Lookup<'_>) -> Result<Option<(u64, u64)>, Failure> {
    let Some(id) = number(env, "SLURM_ARRAY_TASK_ID")? else { return Ok(None) };
    let Some(count) = number(env, "SLURM_ARRAY_TASK_COUNT")? else {
        return Err(Failure::usage("SLURM_ARRAY_TASK_ID is set, but not SLURM_ARRAY_TASK_COUNT: give --shard"));
    };
    let first = number(env, "SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
    let step = number(env, "SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
    let place = id.checked_sub(first).filter(|place| place % step == 0).map(|place| place / step);
    match place {
        Some(place) if place < count => Ok(Some((place, count))),
        _ => {
            let task = format!("array task {id} is not one of {count} from {first} in steps of {step}");
            Err(Failure::usage(format!("{task}: give --shard, or number the array 0-{}", count.saturating_sub(1))))
        }
    }
}

fn pair<'n>(env: Lookup<'_>, index: &'n str, count: &str) -> Result<Option<(u64, u64, &'n str)>, Failure> {
    Ok(number(env, index)?.zip(number(env, count)?).map(|(i, n)| (i, n, index)))
}

fn checked(index: u64, count: u64, source: &str) -> Result<(Shard, String), Failure> {
    let numbers = u32::try_from(index).ok().zip(u32::try_from(count).ok()).filter(|(i, n)| i < n);
    let (index, count) =
        numbers.ok_or_else(|| Failure::usage(format!("{source}: there is no shard {index} of {count}")))?;
    Ok((Shard { index, count }, source.to_owned()))
}

fn number(env: Lookup<'_>, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = env(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong = || Failure::usage(format!("{name} is `{text}`, which is no number; `--shard` overrides it"));
    text.parse().map(Some).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shard and note, or the message.
    fn of(variables: &[(&str, &str)]) -> Result<(u32, u32, String), String> {
        let env = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let found = choose(None, &env).map_err(|e| e.to_string())?;
        Ok((found.0.index, found.0.count, found.1.unwrap_or_default()))
    }

    fn numbers(variables: &[(&str, &str)]) -> (u32, u32) {
        of(variables).map(|(index, count, _)| (index, count)).unwrap()
    }

    #[test]
    fn what_is_typed_comes_first() {
        let env = |name: &str| (name == "JOB_COMPLETION_INDEX").then(|| "7".to_owned());
        assert_eq!(choose(Some("2/5"), &env).unwrap(), (Shard { index: 2, count: 5 }, None));
        for (text, why) in
            [("5/5", "0/5 to 4/5"), ("1/0", "at least one"), ("1", "I/N"), ("a/b", "I/N"), ("-1/2", "I/N")]
        {
            let message = choose(Some(text), &env).unwrap_err().to_string();
            assert!(message.contains(why), "{message}");
        }
    }

    #[test]
    fn without_a_launcher_it_is_the_whole() {
        assert_eq!(of(&[]), Ok((0, 1, String::new())));
        assert_eq!(of(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "1")]), Ok((0, 1, String::new())));
        assert_eq!(of(&[("JOB_COMPLETION_INDEX", "")]), Ok((0, 1, String::new())));
    }

    #[test]
    fn kubernetes_needs_the_number_of_completions() {
        let found = of(&[("JOB_COMPLETION_INDEX", "3"), ("DIFYPROBE_SHARDS", "8")]).unwrap();
        assert!(found.0 == 3 && found.1 == 8 && found.2.contains("from JOB_COMPLETION_INDEX"), "{found:?}");
        assert_eq!(numbers(&[("JOB_COMPLETION_INDEX", "0"), ("JOB_COMPLETIONS", "2")]), (0, 2));
        assert!(of(&[("JOB_COMPLETION_INDEX", "3")]).unwrap_err().contains("DIFYPROBE_SHARDS"));
        assert!(of(&[("JOB_COMPLETION_INDEX", "8"), ("DIFYPROBE_SHARDS", "8")]).unwrap_err().contains("8 of 8"));
        assert!(of(&[("JOB_COMPLETION_INDEX", "x")]).unwrap_err().contains("`x`"));
    }

    #[test]
    fn slurm_arrays_may_begin_anywhere_and_have_steps() {
        let array = |id, min, step| {
            [
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_COUNT", "4"),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_STEP", step),
                ("SLURM_PROCID", "0"),
                ("SLURM_NTASKS", "1"),
            ]
        };
        assert_eq!(numbers(&array("2", "0", "1")), (2, 4));
        assert_eq!(numbers(&array("4", "1", "1")), (3, 4));
        assert_eq!(numbers(&array("16", "10", "2")), (3, 4));
        assert!(of(&array("11", "10", "2")).unwrap_err().contains("array task 11"));
        assert!(of(&array("9", "0", "1")).unwrap_err().contains("0-3"));
        assert!(of(&[("SLURM_ARRAY_TASK_ID", "1")]).unwrap_err().contains("SLURM_ARRAY_TASK_COUNT"));
    }

    #[test]
    fn processes_within_an_array_task_are_counted_with_it() {
        let both = [
            ("SLURM_ARRAY_TASK_ID", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "3"),
            ("SLURM_PROCID", "1"),
            ("SLURM_NTASKS", "4"),
        ];
        assert_eq!(numbers(&both), (9, 12));
    }

    #[test]
    fn open_mpi_comes_before_the_process_number_of_slurm() {
        let slurm = [("SLURM_PROCID", "1"), ("SLURM_NTASKS", "2")];
        assert_eq!(numbers(&slurm), (1, 2));
        let mpi = [("OMPI_COMM_WORLD_RANK", "5"), ("OMPI_COMM_WORLD_SIZE", "6")];
        assert_eq!(numbers(&[slurm, mpi].concat()), (5, 6));
    }
}
