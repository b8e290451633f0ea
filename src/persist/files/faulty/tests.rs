use super::*;

fn path(name: &str) -> PathBuf {
    Path::new("/d").join(name)
}

#[test]
fn what_was_not_synced_is_lost() {
    let files = FaultyFiles::new();
    let handle = files.create(&path("a")).unwrap();
    handle.write_all_at(b"one", 0).unwrap();
    let cut = files.after_power_cut(Cut::SyncedOnly);
    assert_eq!(cut.contents(&path("a")), None, "the name was not synced");
    files.sync_folder(Path::new("/d")).unwrap();
    let cut = files.after_power_cut(Cut::SyncedOnly);
    assert_eq!(cut.contents(&path("a")), Some(Vec::new()), "the data was not synced");
    handle.sync().unwrap();
    handle.write_all_at(b"two", 3).unwrap();
    let cut = files.after_power_cut(Cut::SyncedOnly);
    assert_eq!(cut.contents(&path("a")), Some(b"one".to_vec()));
    assert_eq!(files.contents(&path("a")), Some(b"onetwo".to_vec()));
}

#[test]
fn a_rename_is_undone_without_the_folders_sync() {
    let files = FaultyFiles::new();
    files.put(&path("a"), b"old");
    let handle = files.create(&path("b")).unwrap();
    handle.write_all_at(b"new", 0).unwrap();
    handle.sync().unwrap();
    files.rename(&path("b"), &path("a")).unwrap();
    assert_eq!(files.contents(&path("a")), Some(b"new".to_vec()));
    let cut = files.after_power_cut(Cut::SyncedOnly);
    assert_eq!(cut.contents(&path("a")), Some(b"old".to_vec()));
    files.sync_folder(Path::new("/d")).unwrap();
    let cut = files.after_power_cut(Cut::SyncedOnly);
    assert_eq!(cut.contents(&path("a")), Some(b"new".to_vec()));
    assert_eq!(cut.contents(&path("b")), None);
}

#[test]
fn a_failed_sync_loses_what_it_should_have_saved() {
    let files = FaultyFiles::new();
    files.put(&path("a"), b"");
    let handle = files.open_writable(&path("a")).unwrap();
    handle.write_all_at(b"data", 0).unwrap();
    files.fail_at(files.steps() + 1, Fault::Io);
    assert!(handle.sync().is_err());
    let cut = files.after_power_cut(Cut::Everything);
    assert_eq!(cut.contents(&path("a")), Some(Vec::new()));
}

#[test]
fn short_and_full_writes() {
    let files = FaultyFiles::new();
    let handle = files.create(&path("a")).unwrap();
    files.fail_at(2, Fault::Short);
    handle.write_all_at(b"abcd", 0).unwrap();
    assert_eq!(files.contents(&path("a")), Some(b"abcd".to_vec()));
    files.fail_at(files.steps() + 1, Fault::Full);
    let e = handle.write_all_at(b"efgh", 4).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::StorageFull);
    assert_eq!(files.contents(&path("a")), Some(b"abcdef".to_vec()));
    files.fail_at(files.steps() + 1, Fault::PowerCut);
    assert!(handle.sync().is_err());
    assert!(files.open(&path("a")).is_err(), "the power stays off");
}

#[test]
fn torn_cuts_differ_by_seed() {
    let files = FaultyFiles::new();
    let handle = files.create(&path("a")).unwrap();
    files.sync_folder(Path::new("/d")).unwrap();
    handle.write_all_at(&[7; 100], 0).unwrap();
    let sizes: std::collections::BTreeSet<usize> = (0..50)
        .filter_map(|seed| files.after_power_cut(Cut::Torn(seed)).contents(&path("a")))
        .map(|c| c.len())
        .collect();
    assert!(sizes.len() > 5, "{sizes:?}");
}
