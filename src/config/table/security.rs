//! Settings of passwords and protected commands.

macro_rules! security_rows {
    ({ $($before:tt)* } $($rest:ident)*) => { collect! { { $($before)*
"Security" {
    requirepass: Secret = Secret::default() => "requirepass" optional_text() [SECRET APPLIED] "Password that clients must give with AUTH; empty is none.";
    enable_protected_configs: ProtectedAction = ProtectedAction::No => "enable-protected-configs" one_of(ProtectedAction::NAMES) [IMMUTABLE] "Whether CONFIG SET may change dir and dbfilename.";
    enable_debug_command: ProtectedAction = ProtectedAction::No => "enable-debug-command" one_of(ProtectedAction::NAMES) [IMMUTABLE] "Whether DEBUG is allowed.";
    enable_module_command: ProtectedAction = ProtectedAction::No => "enable-module-command" one_of(ProtectedAction::NAMES) [IMMUTABLE] "Whether MODULE is allowed.";
    aclfile: String = String::new() => "aclfile" text() [IMMUTABLE] requires(Acl: "") "File of ACL users.";
    acl_pubsub_default: AclPubsubDefault = AclPubsubDefault::Resetchannels => "acl-pubsub-default" one_of(AclPubsubDefault::NAMES) [] "Channels of a new ACL user.";
    acllog_max_len: u64 = 128 => "acllog-max-len" int(0, LONG_MAX) [] "Entries of the ACL log.";
}
    } $($rest)* } };
}
