//! A disk that fails or loses power at any step of a save: the old file or the new one.

use super::*;
use crate::persist::files::faulty::{Cut, Fault};
use crate::persist::replace::remove_abandoned;

fn old() -> Vec<(u32, Record)> {
    vec![record("old", Value::Text("as it was".into()))]
}

/// Enough for several blocks and a chain, so that steps lie between blocks.
fn new() -> Vec<(u32, Record)> {
    let mut all = small();
    all.push(record("large", Value::Bytes(vec![7; 1_500_000])));
    all
}

/// A disk with the old snapshot, synced, and the guard that wrote it.
fn prepared() -> (FaultyFiles, Arc<Guard>) {
    let (files, guard) = (FaultyFiles::new(), Arc::default());
    save_records(&files, &guard, &old(), 1).unwrap();
    (files, guard)
}

fn steps_of_a_save() -> u64 {
    let (files, guard) = prepared();
    let before = files.steps();
    save_records(&files, &guard, &new(), 1).unwrap();
    files.steps() - before
}

fn names(files: &FaultyFiles) -> usize {
    files.list(Path::new("/d")).unwrap().len()
}

/// Taking out either sync of a save makes this fail: without the file's, the names survive
/// and the data does not; without the folder's, an acknowledged save is undone.
#[test]
fn a_power_cut_at_any_step_leaves_the_old_or_the_new() {
    let (before, after) = (sorted(old()), sorted(new()));
    let steps = steps_of_a_save();
    let mut seen = [0, 0];
    for step in 1..=steps + 1 {
        let (files, guard) = prepared();
        files.fail_at(files.steps() + step, Fault::PowerCut);
        let outcome = save_records(&files, &guard, &new(), 1);
        assert_eq!(outcome.is_ok(), step > steps, "step {step}: {:?}", files.log());
        let torn = (0..20).map(Cut::Torn);
        for cut in [Cut::SyncedOnly, Cut::Everything, Cut::NamesOnly].into_iter().chain(torn) {
            let restarted = files.after_power_cut(cut);
            remove_abandoned(Path::new(PATH), &restarted).unwrap();
            let (_, back) =
                load_records(&restarted, 1).unwrap_or_else(|e| panic!("step {step}, {cut:?}: {e}"));
            let is_new = back == after;
            assert!(is_new || back == before, "step {step}, {cut:?}: neither old nor new");
            assert!(is_new || outcome.is_err(), "step {step}, {cut:?}: acknowledged and lost");
            assert_eq!(names(&restarted), 1, "step {step}, {cut:?}: something stays behind");
            seen[usize::from(is_new)] += 1;
        }
    }
    assert!(seen.iter().all(|n| *n > 20), "{seen:?} of {steps} steps");
}

#[test]
fn an_error_at_any_step_leaves_the_old_and_nothing_else() {
    let steps = steps_of_a_save();
    let (before, after) = (sorted(old()), sorted(new()));
    for fault in [Fault::Full, Fault::Io] {
        for step in 1..=steps {
            let (files, guard) = prepared();
            files.fail_at(files.steps() + step, fault);
            let e = save_records(&files, &guard, &new(), 1).unwrap_err();
            assert!(e.to_string().contains("/d"), "{e}");
            let (_, back) = load_records(&files, 1).unwrap();
            // The folder's sync is the last step: the name holds the new file by then.
            let expected = if step == steps { &after } else { &before };
            assert!(back == *expected, "{fault:?} at step {step}: {:?}", files.log());
            assert_eq!(names(&files), 1, "{fault:?} at step {step}: something stays behind");
            // And the next save is not hindered.
            save_records(&files, &guard, &new(), 1).unwrap();
            assert!(load_records(&files, 1).unwrap().1 == after);
        }
    }
}

#[test]
fn a_file_that_is_kept_is_there_after_a_power_cut_at_any_step() {
    const STRANGER: &[u8] = b"somebody's thesis";
    let path = Path::new(PATH);
    let prepared = || {
        let (files, guard) = prepared();
        files.put(path, STRANGER);
        guard.remember_foreign(path, files.identity(path).unwrap().unwrap());
        (files, guard)
    };
    let (files, guard) = prepared();
    let before = files.steps();
    save_records(&files, &guard, &new(), 1).unwrap();
    let steps = files.steps() - before;
    assert_eq!(names(&files), 2, "{:?}", files.log());
    for step in 1..=steps + 1 {
        let (files, guard) = prepared();
        files.fail_at(files.steps() + step, Fault::PowerCut);
        let outcome = save_records(&files, &guard, &new(), 1);
        assert_eq!(outcome.is_ok(), step > steps, "step {step}: {:?}", files.log());
        for cut in
            [Cut::SyncedOnly, Cut::Everything, Cut::NamesOnly].into_iter().chain((0..20).map(Cut::Torn))
        {
            let restarted = files.after_power_cut(cut);
            let kept = format!("{PATH}.kept");
            let is_there = [path, Path::new(&kept)]
                .into_iter()
                .any(|path| restarted.contents(path).is_some_and(|bytes| bytes == STRANGER));
            assert!(is_there, "step {step}, {cut:?}: it is lost");
        }
    }
}

#[test]
fn short_writes_and_reads_change_nothing() {
    let steps = steps_of_a_save();
    let expected = sorted(new());
    for step in 1..=steps {
        let (files, guard) = prepared();
        files.fail_at(files.steps() + step, Fault::Short);
        save_records(&files, &guard, &new(), 1).unwrap();
        let begun = files.steps();
        load_records(&files, 1).unwrap();
        for read in 1..=files.steps() - begun {
            files.fail_at(files.steps() + read, Fault::Short);
            assert!(load_records(&files, 1).unwrap().1 == expected, "short read {read}");
        }
    }
}

#[test]
fn a_read_error_at_any_step_is_told() {
    let (files, _) = prepared();
    let begun = files.steps();
    load_records(&files, 1).unwrap();
    for step in 1..=files.steps() - begun {
        files.fail_at(files.steps() + step, Fault::Io);
        let e = load_records(&files, 1).unwrap_err();
        assert!(matches!(e, LoadError::Io { .. }), "step {step}: {e}");
    }
}

#[test]
fn a_file_that_this_server_did_not_write_is_not_replaced() {
    let (files, _) = prepared();
    let stranger: Arc<Guard> = Arc::default();
    let e = save_records(&files, &stranger, &new(), 1).unwrap_err();
    assert!(matches!(e, SaveError::NotOurs { changed: false, .. }), "{e}");
    assert!(e.to_string().contains("Move it away"), "{e}");
    let (loaded, back) = load_records(&files, 1).unwrap();
    assert_eq!(back, old());
    stranger.remember(Path::new(PATH), loaded.identity);
    save_records(&files, &stranger, &new(), 1).unwrap();
    save_records(&files, &stranger, &old(), 1).unwrap();
    files.put(Path::new(PATH), b"REDIS0010");
    let e = save_records(&files, &stranger, &new(), 1).unwrap_err();
    assert!(matches!(e, SaveError::NotOurs { changed: true, .. }), "{e}");
    files.remove(Path::new(PATH)).unwrap();
    save_records(&files, &stranger, &new(), 1).unwrap();
}

/// Never ends by itself; does `act` at its tenth call.
struct Endless<F> {
    calls: u32,
    act: F,
}

impl<F: FnMut() -> Result<(), SaveError> + Send> Capture for Endless<F> {
    fn next(&mut self, out: &mut BlockWriter<'_>) -> Result<Step, SaveError> {
        self.calls += 1;
        if self.calls == 10 {
            (self.act)()?;
        }
        out.push(0, &record("k", Value::Bytes(vec![1; 200_000])).1)?;
        Ok(Step::More)
    }
}

#[test]
fn a_cancelled_a_failed_and_a_panicked_save_leave_the_old_file() {
    type Ending = fn(&Progress) -> Result<(), SaveError>;
    let endings: [Ending; 3] = [
        |progress| {
            progress.cancel();
            Ok(())
        },
        |_| Err(SaveError::capture("the store is gone")),
        |_| panic!("a planted panic"),
    ];
    for (ending, expected) in endings.into_iter().zip(["cancelled", "the store is gone", "a planted panic"]) {
        let (files, guard) = prepared();
        let progress = Arc::new(still());
        let inner = Arc::clone(&progress);
        let capture = Endless { calls: 0, act: move || ending(&inner) };
        let others = Endless { calls: 0, act: || Ok(()) };
        let plan = plan(vec![Box::new(others), Box::new(capture)], &guard);
        let e = save(plan, &files, &progress).unwrap_err();
        assert!(e.to_string().contains(expected), "{e}");
        assert_eq!(load_records(&files, 1).unwrap().1, old());
        assert_eq!(names(&files), 1);
    }
}

#[test]
fn a_record_that_cannot_be_encoded_ends_the_save() {
    struct Bad;
    impl Capture for Bad {
        fn next(&mut self, out: &mut BlockWriter<'_>) -> Result<Step, SaveError> {
            out.push(0, &()).map(|()| Step::Done)
        }
    }
    let (files, guard) = prepared();
    let e = save(plan(vec![Box::new(Bad)], &guard), &files, &still()).unwrap_err();
    assert!(matches!(e, SaveError::Encode(_)), "{e}");
    assert_eq!(load_records(&files, 1).unwrap().1, old());
}

#[test]
fn a_speed_limit_waits_for_the_clock() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let (files, guard) = prepared();
    let ms = Arc::new(AtomicU64::new(0));
    let hand = Arc::clone(&ms);
    // Each look at the clock is 100 ms later.
    let progress = Progress::new(Box::new(move || hand.fetch_add(100, Ordering::Relaxed)));
    let mut plan = plan(captures(&new(), 1), &guard);
    plan.bytes_per_second_limit = Some(1_000_000);
    let saved = save(plan, &files, &progress).unwrap();
    let least = saved.bytes / 1_000 - 200;
    assert!(ms.load(Ordering::Relaxed) >= least, "{ms:?} for {} bytes", saved.bytes);
}
