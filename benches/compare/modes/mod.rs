//! What can be measured. Each mode starts the servers it needs, measures, and gives a section of
//! the report; none knows how the report is written.

mod abuse;
mod append;
mod expiry;
mod hold;
mod keys;
mod memory;
mod soak;
mod spin;
mod tls;
mod used;
mod users;
mod workloads;

use crate::Outcome;
use crate::machine::Machine;
use crate::options::{Control, Mode, Options, ServerSpec};
use crate::process::{Placement, Server};
use crate::report::{Report, Section, ServerFacts};

/// Runs every mode that was asked for.
pub fn run(options: &Options, machine: Machine) -> Outcome<Report> {
    let options = &named(options)?;
    let mut report = Report {
        machine,
        command_line: options.command_line.clone(),
        quick: options.quick,
        servers: Vec::new(),
        sections: Vec::new(),
    };
    for mode in &options.modes {
        eprintln!("-- {mode:?}");
        let (section, facts) = one(options, *mode)?;
        report.sections.push(section);
        for fact in facts {
            if !report.servers.contains(&fact) {
                report.servers.push(fact);
            }
        }
    }
    Ok(report)
}

fn one(options: &Options, mode: Mode) -> Outcome<(Section, Vec<ServerFacts>)> {
    match mode {
        Mode::Workloads => workloads::run(options),
        Mode::Types => workloads::run_types(options),
        Mode::Workers => workloads::run_workers(options),
        Mode::Tls => tls::run(options),
        Mode::Everysec => append::run_everysec(options),
        Mode::Always => append::run_always(options),
        Mode::Keys => keys::run(options),
        Mode::Memory => memory::run(options),
        Mode::Expiry => expiry::run(options),
        Mode::Hold => hold::run(options),
        Mode::Eviction => workloads::run_eviction(options),
        Mode::Users => users::run(options),
        Mode::Used => used::run(options),
        Mode::Soak => soak::run(options),
        Mode::Abuse => abuse::run(options),
    }
}

/// Where servers and load run unless a mode says otherwise.
fn placement(options: &Options) -> Placement {
    Placement {
        server_cores: options.server_cores.clone(),
        load_cores: options.load_cores.clone(),
        workers: options.workers,
    }
}

/// Ours first, then the peers: the first of them is the reference.
fn specs(options: &Options) -> Vec<&ServerSpec> {
    std::iter::once(&options.glasswing).chain(&options.peers).collect()
}

/// Several servers that run at the same time, each idle while another is loaded.
struct Field {
    /// Ours, the peers, and the control last.
    servers: Vec<Server>,
    /// Whether the last server is the control, and of which one it is the double.
    control_of: Option<usize>,
}

impl Field {
    fn start(options: &Options, placement: &Placement) -> Outcome<Field> {
        let mut servers = Vec::new();
        for spec in specs(options) {
            servers.push(Server::start(spec, placement)?);
        }
        let control_of = match options.control {
            Control::None => None,
            Control::Ours => Some(0),
            Control::Peer => Some(1),
        };
        if let Some(of) = control_of {
            let mut control = Server::start(specs(options)[of], placement)?;
            control.label = format!("{} (control)", servers[of].label);
            servers.push(control);
        }
        Ok(Field { servers, control_of })
    }

    /// Servers that are no control.
    fn compared(&self) -> usize {
        self.servers.len() - usize::from(self.control_of.is_some())
    }

    /// Ours over every peer, and the control over its double.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let peers = (1..self.compared()).map(|peer| (0, peer));
        let control = self.control_of.map(|of| (self.servers.len() - 1, of));
        peers.chain(control).collect()
    }

    fn facts(&self) -> Outcome<Vec<ServerFacts>> {
        self.servers.iter().map(facts).collect()
    }
}

/// Gives every server a label of its own, its version where the command line names none: each is
/// started once to be asked.
fn named(options: &Options) -> Outcome<Options> {
    let mut options = options.clone();
    let placement = placement(&options);
    let mut taken: Vec<String> = Vec::new();
    for spec in std::iter::once(&mut options.glasswing).chain(&mut options.peers) {
        let label = Server::start(spec, &placement)?.label;
        let same = taken.iter().filter(|other| **other == label).count();
        spec.label = if same == 0 { label.clone() } else { format!("{label} #{}", same + 1) };
        taken.push(label);
    }
    Ok(options)
}

fn facts(server: &Server) -> Outcome<ServerFacts> {
    Ok(ServerFacts {
        label: server.label.clone(),
        version: server.version.clone(),
        threads: server.threads()?,
        command_line: server.command_line.clone(),
    })
}

/// Places 0 to `count`, reversed every other round, so that what drifts (heat, other tenants)
/// does not always meet the same server.
fn order(round: usize, count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    if round % 2 == 1 {
        places.reverse();
    }
    places
}
