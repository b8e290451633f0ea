//! What the rules of a user cost: the same load on the same server, by the default user and by a user with ten patterns
//! of keys, one after the other in every round. A difference of one percent is drowned by what lies between two servers or
//! two minutes, so nothing else lies between two runs.

use serde_json::{Value, json};

use super::{Field, order, placement};
use crate::options::Options;
use crate::report::{Section, ServerFacts, Table, Verdict};
use crate::stats::{Ratio, median, ratio};
use crate::workload::{Load, Workload};
use crate::{Outcome, acceptance};

/// A workload of the default user, its double that shows the noise, and the user's.
const CASES: [[&str; 3]; 2] = [["get", "get", "get_user"], ["set", "set", "set_user"]];
const PIPELINE: u32 = 16;

/// CPU per command, by server, case and round.
type Figures = Vec<[Vec<f64>; 3]>;

/// Runs the mode.
pub fn run(options: &Options) -> Outcome<(Section, Vec<ServerFacts>)> {
    let placement = placement(options);
    let load = Load { options, placement: &placement, processes: options.load_processes.unwrap_or(1) };
    let field = Field::start(options, &placement)?;
    let mut section = Section {
        id: "users",
        title: "A user with ten patterns of keys, beside the default user".to_owned(),
        notes: vec![format!(
            "CPU per command of the whole process at pipeline {PIPELINE}, {} rounds. In each the default user's load runs twice (the second is the control) and the user's once, on the same server and the same keys, in turning order. The last of the ten patterns is the one that matches.",
            options.rounds
        )],
        ..Section::default()
    };
    let mut table = Table::new(
        "CPU per command, medians; ratios of medians (lowest to highest round)",
        &["workload", "server", "default µs", "ten patterns µs", "ten patterns over default", "control"],
    );
    let mut data = Vec::new();
    for case in CASES {
        let figures = measure(&field, &load, case)?;
        for (place, [default, again, user]) in figures.iter().enumerate() {
            let (of_user, control) = (ratio(user, default), ratio(again, default));
            table.rows.push(vec![
                format!("{}@{PIPELINE}", case[0]),
                field.servers[place].label.clone(),
                format!("{:.3}", median(default)),
                format!("{:.3}", median(user)),
                words(of_user),
                words(control),
            ]);
            if place == 0 {
                section.verdicts.push(Verdict {
                    what: format!("{}@{PIPELINE}, ten patterns over the default user", case[0]),
                    target: acceptance::USER_CPU_RATIO,
                    measured: of_user.of_medians,
                    spread: Some((of_user.lowest, of_user.highest)),
                    unit: "x",
                });
            }
            data.push(json!({
                "workload": case[0], "server": field.servers[place].label,
                "default_us": default, "again_us": again, "user_us": user,
            }));
        }
    }
    section.tables.push(table);
    section.data = Value::from(data);
    Ok((section, field.facts()?))
}

fn words(ratio: Ratio) -> String {
    format!("{:.3} ({:.3} to {:.3})", ratio.of_medians, ratio.lowest, ratio.highest)
}

fn measure(field: &Field, load: &Load<'_>, case: [&str; 3]) -> Outcome<Figures> {
    let options = load.options;
    let workloads = [
        Workload::new(case[0], PIPELINE)?,
        Workload::new(case[1], PIPELINE)?,
        Workload::new(case[2], PIPELINE)?,
    ];
    let requests = workloads[0].calibrate(&field.servers[1], load, options.keys)?;
    let mut figures: Figures = vec![Default::default(); field.compared()];
    for server in &field.servers[..field.compared()] {
        // The keys, and the user.
        workloads[2].prepare(server, options, requests)?;
    }
    for round in 0..options.rounds {
        for place in order(round, field.compared()) {
            // Each is first, second and third as often as the others.
            for at in 0..workloads.len() {
                let turn = (at + round) % workloads.len();
                let sample = workloads[turn].run(&field.servers[place], load, options.keys, requests)?;
                figures[place][turn].push(sample.cpu_us);
            }
        }
        let now: Vec<String> = figures[0].iter().map(|of| format!("{:.3}", of[round])).collect();
        eprintln!("{} round {}: CPU us per command {}", case[0], round + 1, now.join(" "));
    }
    Ok(figures)
}
