//! CONFIG SET of what the server listens on: a change takes effect at once, and one that cannot be carried
//! out leaves the server where it was.

mod common;

use std::net::TcpListener;

use common::Server;

#[test]
fn the_addresses_can_be_changed_while_some_of_them_stay() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for bind in ["127.0.0.1 127.0.0.2", "127.0.0.2 127.0.0.1", "*", "127.0.0.1 -192.0.2.1", "127.0.0.1"] {
        assert_eq!(client.line(&format!("CONFIG SET bind \"{bind}\"")), "OK", "{bind}");
        assert_eq!(server.client().line("PING"), "PONG", "{bind}");
    }
}

#[test]
fn addresses_that_fail_change_nothing() {
    let server = Server::start(&[]);
    let mut client = server.client();
    // An address for documentation: no machine has it.
    assert_eq!(
        client.line("CONFIG SET bind 192.0.2.1"),
        "(error) ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses."
    );
    assert_eq!(client.line("CONFIG GET bind"), "1) \"bind\"\n2) \"127.0.0.1\"");
    assert_eq!(server.client().line("PING"), "PONG");
}

#[test]
fn a_port_that_is_taken_changes_nothing() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("its address").port();
    assert_eq!(
        client.line(&format!("CONFIG SET port {port}")),
        "(error) ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check \
         server logs."
    );
    assert_eq!(server.client().line("PING"), "PONG");
}
