//! Where users come from at the start, and the file that ACL LOAD reads and ACL SAVE writes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::acl::{Acl, Catalog, User};
use crate::config::{AclPubsubDefault, Config, DeclaredUser, Settings, StartupError, io_reason};

use super::host::Host;

/// The users with which the server starts: of the configuration file, or of `aclfile`. An error ends the start.
pub(super) fn at_start(config: &Config, catalog: Catalog) -> Result<Acl, String> {
    let settings = config.current();
    let acl = Acl::new(catalog, settings.acl_pubsub_default == AclPubsubDefault::Allchannels);
    acl.set_default_password(&settings.requirepass);
    let declared = config.declared_users();
    if !settings.aclfile.is_empty() && !declared.is_empty() {
        let both = "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is \
                    invalid. This setup is very likely to lead to configuration errors and security holes, please \
                    define either an ACL file or declare users directly in your redis.conf, but not both.";
        return Err(config.refused("aclfile", both).to_string());
    }
    if let Some(first) = enter(&acl, declared).first() {
        return Err(first.to_string());
    }
    if !settings.aclfile.is_empty() {
        read(&acl, &settings)
            .map_err(|error| format!("Aborting Redis startup because of ACL errors: {error}"))?;
    }
    Ok(acl)
}

/// Enters the users of a configuration file. Gives what each line that is wrong has wrong.
pub(super) fn enter(acl: &Acl, declared: &[DeclaredUser]) -> Vec<StartupError> {
    let undeclared = acl.declare(declared.iter().map(|user| &user.definition));
    undeclared.iter().filter_map(|wrong| Some(declared.get(wrong.at)?.refused(&wrong.why))).collect()
}

/// ACL LOAD: all users anew, or none. Gives those that are gone.
pub(super) fn load(host: &Host) -> Result<Vec<Arc<User>>, String> {
    read(&host.acl, &host.config.current())
}

fn read(acl: &Acl, settings: &Settings) -> Result<Vec<Arc<User>>, String> {
    let path = &settings.aclfile;
    let text = std::fs::read(settings.dir.join(path))
        .map_err(|error| format!("Error loading ACLs, opening file '{path}': {}", io_reason(&error)))?;
    acl.load(path, &text)
}

/// ACL SAVE: the file as a whole, or not at all.
pub(super) fn save(host: &Host) -> Result<(), String> {
    let settings = host.config.current();
    let path = settings.dir.join(&settings.aclfile);
    replace(&path, &host.acl.text())
        .map_err(|error| format!("Writing ACL file for ACL SAVE: {}", io_reason(&error)))
}

/// Puts a whole new file, synced, in the place of an old one, whose permissions it takes over. A new file is
/// for its owner alone: it holds the hashes of passwords.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    // A link stays a link: its target is replaced.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = target.parent().unwrap_or(Path::new("/")).to_path_buf();
    let mut name = target.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary: PathBuf = target.with_file_name(name);
    let mode = std::fs::metadata(&target).map_or(0o600, |meta| meta.permissions().mode() & 0o777);
    // What a crash left behind carries our process id.
    let _ = std::fs::remove_file(&temporary);
    let write = || {
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(text)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &target)?;
        std::fs::File::open(&folder)?.sync_all()
    };
    let written = write();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}
