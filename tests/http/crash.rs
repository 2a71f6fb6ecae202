//! Stopped under load: what was acknowledged is there. For what is less gentle see `tests/chaos`.

use std::sync::Mutex;
use std::time::Duration;

use crate::blackbox::Home;
use crate::on_both_engines;
use crate::server::{Server, deliver, until};

on_both_engines!(a_stop_in_the_middle_keeps_what_was_acknowledged, a_stalled_request_does_not_hold_up_the_stop,);

fn body(number: usize) -> Vec<u8> {
    let body = serde_json::json!({
        "id": format!("evt_{number:05}"), "object": "event", "type": "customer.created", "created": 1_736_071_200,
        "livemode": true, "api_version": "2026-03-25.dahlia",
        "data": {"object": {"id": format!("cus_{number}"), "object": "customer", "created": 1_736_071_200, "metadata": {}}},
    });
    body.to_string().into_bytes()
}

/// Sends events on several lanes until the service is gone; stops it after the first hundred. The ids that were
/// acknowledged.
fn acknowledged_until_stopped(server: &mut Server) -> Vec<String> {
    let acknowledged = Mutex::new(Vec::new());
    let address = server.address.clone();
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let (acknowledged, address) = (&acknowledged, &address);
            scope.spawn(move || {
                for number in (lane..100_000).step_by(4) {
                    match deliver(address, &body(number)) {
                        Ok(answer) if answer.status == 200 => {
                            acknowledged.lock().unwrap().push(format!("evt_{number:05}"));
                        }
                        // A stopping service may say so, and then is gone.
                        Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                        Err(_) => return,
                    }
                }
            });
        }
        assert!(until(Duration::from_secs(20), || acknowledged.lock().unwrap().len() >= 100), "{}", server.said());
        server.signal("TERM");
    });
    acknowledged.into_inner().unwrap()
}

fn all_there(home: &Home, acknowledged: &[String]) {
    for group in acknowledged.chunks(200) {
        let ids = group.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
        let count = home.count(&format!("SELECT CAST(COUNT(*) AS BIGINT) FROM events WHERE event_id IN ({ids})"));
        assert_eq!(count, i64::try_from(group.len()).unwrap());
    }
}

fn a_stop_in_the_middle_keeps_what_was_acknowledged(home: &Home) {
    let mut server = Server::start(home);
    let acknowledged = acknowledged_until_stopped(&mut server);
    assert_eq!(server.wait(Duration::from_secs(10)), Some(0), "{}", server.said());
    all_there(home, &acknowledged);
}

fn a_stalled_request_does_not_hold_up_the_stop(home: &Home) {
    use std::io::Write as _;
    let server = Server::start(home);
    let mut idle = std::net::TcpStream::connect(&server.address).unwrap();
    idle.write_all(b"POST /webhooks/stripe/default HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf").unwrap();
    let mut silent = std::net::TcpStream::connect(&server.address).unwrap();
    silent.write_all(b"GET /heal").unwrap();
    assert_eq!(server.get("/healthz").status, 200);
    server.stop();
}
